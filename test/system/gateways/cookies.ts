// Cookie mode through a gateway: login, renewal, logout, and the requests of other pages.
import { afterAll, beforeEach, expect, it } from 'vitest';

import { ACCESS_COOKIE, REFRESH_COOKIE } from '../../../src/http/doors/cookies.js';
import type { TestUser } from '../../support/house.js';
import { problemOf } from './refusals.js';
import { at, EXP, GRACE_END, HEADER, WINDOW } from './renewal.js';
import { bearer, JSON_BODY, SOCKET_KEY, type Answer, type RawHeaders, type Stage } from './stage.js';

/** What a page of the same origin sends, and what others do. */
const OWN: RawHeaders = ['Sec-Fetch-Site', 'same-origin'];
const FOREIGN: [string, RawHeaders][] = [
  ['another site', ['Sec-Fetch-Site', 'cross-site']],
  ['another host of the site', ['Sec-Fetch-Site', 'same-site']],
  ['another origin, by an older browser', ['Origin', 'http://evil.test']],
  ['nobody knows where', []],
];

/** The cookies that an answer sets, by name; those of the application among them. */
function cookiesOf({ headers }: Answer): Map<string, string> {
  const lines = headers['set-cookie'] ?? [];
  return new Map(lines.map((line) => [line.slice(0, line.indexOf('=')), line]));
}

function valueOf(line: string | undefined): string {
  return /=([^;]*)/.exec(line ?? '')?.[1] ?? '';
}

export function checkCookies(stage: () => Stage): void {
  let user: TestUser;
  let access: string;
  let refresh: string;

  beforeEach(async () => {
    await at(stage(), 0);
    user = await stage().house.user();
    const { username, password } = user;
    const body = JSON.stringify({ username, password, transport: 'cookie' });
    const answer = await stage().send('POST', '/login', [...OWN, ...JSON_BODY], body);
    expect([answer.status, answer.headers[HEADER]]).toEqual([200, undefined]);
    access = valueOf(cookiesOf(answer).get(ACCESS_COOKIE));
    refresh = valueOf(cookiesOf(answer).get(REFRESH_COOKIE));
    expect([access, refresh]).toEqual([expect.stringMatching(/^ey/), expect.stringMatching(/^ey/)]);
  });
  afterAll(() => stage().house.database.clock.release());

  function both(): RawHeaders {
    return ['Cookie', `basket=7; ${ACCESS_COOKIE}=${access}; ${REFRESH_COOKIE}=${refresh}`];
  }

  it('knows who is calling by the cookie, and keeps it from the application', async () => {
    const seen = await stage().arrive('POST', '/orders', [...OWN, ...both()], 'body');
    const headers = new Map(seen.headers.map(([name, value]) => [name.toLowerCase(), value]));
    expect(headers.get('x-auth-subject')).toBe(user.id);
    expect(headers.get('cookie')).toBe('basket=7');
    expect(JSON.stringify(seen)).not.toContain(access);
    expect(JSON.stringify(seen)).not.toContain(refresh);
  });

  it('carries the successor in the window, beside the cookies of the application', async () => {
    await at(stage(), WINDOW);
    const answer = await stage().send('GET', '/orders', [...OWN, ...both()]);
    const cookies = cookiesOf(answer);
    expect([...cookies.keys()].sort()).toEqual([ACCESS_COOKIE, 'basket', 'theme']);
    expect(cookies.get(ACCESS_COOKIE)).toMatch(/; Path=\/; Secure; HttpOnly; SameSite=Lax$/);
    expect([answer.status, answer.headers[HEADER]]).toEqual([200, undefined]);
    expect(answer.headers['cache-control']).toMatch(/\bno-store\b/);
    expect(answer.headers.vary).toMatch(/\bCookie\b/);
    await at(stage(), GRACE_END);
    access = valueOf(cookies.get(ACCESS_COOKIE));
    await stage().arrive('GET', '/orders', [...OWN, ...both()]);
  });

  it('carries tokens both ways that are as long as a cookie may be', async () => {
    const { username, password } = await stage().house.user({ scope: 'a'.repeat(2300) });
    const body = JSON.stringify({ username, password, transport: 'cookie' });
    const answer = await stage().send('POST', '/login', [...OWN, ...JSON_BODY], body);
    expect(answer.status).toBe(200);
    access = valueOf(cookiesOf(answer).get(ACCESS_COOKIE));
    refresh = valueOf(cookiesOf(answer).get(REFRESH_COOKIE));
    expect(access.length).toBeGreaterThan(3600);
    await stage().arrive('GET', '/orders', [...OWN, ...both()]);
    await at(stage(), WINDOW);
    for (const path of ['/orders', '/long']) {
      const renewed = await stage().send('GET', path, [...OWN, ...both()]);
      expect([path, renewed.status]).toEqual([path, 200]);
      expect(valueOf(cookiesOf(renewed).get(ACCESS_COOKIE)).length).toBeGreaterThan(3600);
    }
    const tooLong = await stage().send('GET', '/orders', ['Cookie', 'a'.repeat(20_000), ...bearer(access)]);
    expect([400, 431]).toContain(tooLong.status);
  });

  it('carries it on the 401 of the grace', async () => {
    await at(stage(), EXP);
    const answer = await stage().send('DELETE', '/orders/7', [...OWN, ...both()]);
    expect([answer.status, problemOf(answer).error]).toEqual([401, 'invalid_token']);
    expect([...cookiesOf(answer).keys()]).toEqual([ACCESS_COOKIE]);
    access = valueOf(cookiesOf(answer).get(ACCESS_COOKIE));
    await stage().arrive('DELETE', '/orders/7', [...OWN, ...both()]);
  });

  it('refreshes and logs out at the same origin, and is shut at once', async () => {
    const refreshed = await stage().send('POST', '/refresh', [...OWN, ...both()]);
    expect(refreshed.status).toBe(200);
    access = valueOf(cookiesOf(refreshed).get(ACCESS_COOKIE));
    refresh = valueOf(cookiesOf(refreshed).get(REFRESH_COOKIE));
    await stage().arrive('GET', '/orders', [...OWN, ...both()]);
    const out = await stage().send('POST', '/logout', [...OWN, ...both()]);
    expect([out.status, [...cookiesOf(out).keys()].sort()]).toEqual([204, [ACCESS_COOKIE, REFRESH_COOKIE]]);
    const before = stage().arrivals();
    expect((await stage().send('GET', '/orders', [...OWN, ...both()])).status).toBe(401);
    expect(stage().arrivals()).toBe(before);
  });

  it.each(FOREIGN)('refuses what changes something from %s', async (_where, where) => {
    const before = stage().arrivals();
    // Nothing that a caller says about the method counts.
    const lies = ['X-Forwarded-Method', 'GET', 'X-Original-Method', 'GET', 'X-HTTP-Method-Override', 'GET'];
    const hidden = ['Connection', 'close, X-Forwarded-Method, X-Forwarded-Host', ...lies];
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      for (const more of [[], lies, hidden]) {
        const answer = await stage().send(method, '/orders', [...where, ...both(), ...more], 'body');
        const problem = problemOf(answer);
        expect([method, answer.status, problem.error]).toEqual([method, 403, 'csrf_rejected']);
        expect(problem.detail).toMatch(/Sec-Fetch-Site|Origin/);
      }
    }
    expect(stage().arrivals()).toBe(before);
  });

  it('follows a link from another site, and asks nothing of a bearer', async () => {
    const [, elsewhere] = FOREIGN[0] ?? ['', []];
    await stage().arrive('GET', '/orders', [...elsewhere, ...both()]);
    await stage().arrive('POST', '/orders', [...elsewhere, ...bearer(access)], 'body');
    await stage().arrive('POST', '/orders', ['Origin', stage().origin, ...both()], 'body');
  });

  it.each(FOREIGN)('opens no socket for a page of %s', async (_where, where) => {
    const before = stage().arrivals();
    const handshake = ['Connection', 'Upgrade', 'Upgrade', 'websocket', ...SOCKET_KEY];
    const answer = await stage().send('GET', '/live', [...handshake, ...where, ...both()]);
    expect([answer.status, problemOf(answer).error]).toEqual([403, 'csrf_rejected']);
    expect(stage().arrivals()).toBe(before);
  });

  it('lets nobody through with the same cookie twice', async () => {
    const before = stage().arrivals();
    const twice = ['Cookie', `${ACCESS_COOKIE}=${access}; ${ACCESS_COOKIE}=${access}`];
    // Where Gatehouse calls the question malformed, a gateway may speak of an outage.
    expect((await stage().sendOnce('GET', '/orders', [...OWN, ...twice])).status).toBeGreaterThanOrEqual(400);
    expect(stage().arrivals()).toBe(before);
  });
}
