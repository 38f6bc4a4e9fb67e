// The host that people type through a gateway: Gatehouse learns it from the gateway alone, and counts cookies for the issuer's.
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { beforeEach, expect, it } from 'vitest';

import { ACCESS_COOKIE, REFRESH_COOKIE } from '../../../src/http/doors/cookies.js';
import type { TestUser } from '../../support/house.js';
import { retryOn503 } from '../../support/retry.js';
import type { RawHeaders, Stage } from './stage.js';

const OWN_PAGE: RawHeaders = ['Sec-Fetch-Site', 'same-origin'];
const JSON_BODY: RawHeaders = ['Content-Type', 'application/json'];

/** Such a page can write what it wants, but for `Host`, under the name that leads here. */
const LIES: [what: string, headers: (own: string) => RawHeaders][] = [
  ['nothing', () => []],
  ['X-Forwarded-Host', (own) => ['X-Forwarded-Host', own]],
  ['X-Forwarded-Host twice', (own) => ['X-Forwarded-Host', own, 'X-Forwarded-Host', own]],
  ['Forwarded', (own) => ['Forwarded', `host=${own}`, 'X-Original-Host', own, 'X-Host', own]],
];

export function checkHosts(stage: () => Stage): void {
  let user: TestUser;
  let cookies: RawHeaders;

  /** Sends a request for a host, whatever address the gateway has. */
  async function sendOnce(host: string, method: string, path: string, headers: RawHeaders, body = '') {
    const asking = request({
      port: stage().ports.gateway,
      host: '127.0.0.1',
      method,
      path,
      agent: false,
      headers: ['Host', host, 'Content-Length', String(Buffer.byteLength(body)), ...headers],
    });
    asking.end(body);
    const [response] = (await once(asking, 'response')) as [IncomingMessage];
    const chunks = (await response.toArray()) as Buffer[];
    const { statusCode = 0 } = response;
    const { 'set-cookie': cookies = [] } = response.headers;
    return { statusCode, cookies, body: Buffer.concat(chunks).toString() };
  }

  const send = (...what: Parameters<typeof sendOnce>) => retryOn503(() => sendOnce(...what));
  const own = () => new URL(stage().origin).host;
  const evil = () => `evil.example:${stage().ports.gateway}`;

  function logIn(host: string, more: RawHeaders = []) {
    const body = JSON.stringify({ username: user.username, password: user.password, transport: 'cookie' });
    return send(host, 'POST', '/login', [...OWN_PAGE, ...JSON_BODY, ...more], body);
  }

  beforeEach(async () => {
    user = await stage().house.user();
    const { statusCode, cookies: lines } = await logIn(own());
    expect([statusCode, lines.length]).toEqual([200, 2]);
    cookies = ['Cookie', lines.map((line) => line.slice(0, line.indexOf(';'))).join('; ')];
    expect(cookies[1]).toContain(ACCESS_COOKIE);
    expect(cookies[1]).toContain(REFRESH_COOKIE);
  });

  it.each(LIES)('refuses another host, whatever the caller says with %s', async (_what, lies) => {
    const more = [...OWN_PAGE, ...lies(own())];
    const before = stage().arrivals();
    for (const [method, path] of [
      ['GET', '/account'],
      ['POST', '/refresh'],
      ['POST', '/logout'],
    ] as const) {
      const answer = await send(evil(), method, path, [...more, ...cookies]);
      expect([path, answer.statusCode, answer.cookies]).toEqual([path, 421, []]);
      expect(JSON.parse(answer.body)).toMatchObject({ error: 'misdirected_request' });
      expect(answer.body).not.toContain('evil');
    }
    const login = await logIn(evil(), lies(own()));
    expect([login.statusCode, login.cookies]).toEqual([421, []]);
    for (const method of ['POST', 'DELETE']) {
      const answer = await sendOnce(evil(), method, '/orders', [...more, ...cookies], 'body');
      // Where Gatehouse refuses its question so, a gateway may speak of an outage.
      expect([421, 503]).toContain(answer.statusCode);
    }
    expect(stage().arrivals()).toBe(before);
    expect((await send(own(), 'POST', '/refresh', [...OWN_PAGE, ...cookies])).statusCode).toBe(200);
  });

  it('serves the host of the issuer, whatever the caller says of another', async () => {
    for (const host of [own(), 'localhost', `LOCALHOST:${stage().ports.gateway}`, 'localhost:8443']) {
      const lies = ['X-Forwarded-Host', evil(), 'Forwarded', `host=${evil()}`];
      for (const more of [[], lies]) {
        const headers = [...OWN_PAGE, ...more, ...cookies];
        expect((await send(host, 'GET', '/account', headers)).statusCode).toBe(200);
        expect((await send(host, 'POST', '/orders', headers, 'body')).statusCode).toBe(200);
      }
    }
    expect((await send(own(), 'POST', '/logout', [...OWN_PAGE, ...cookies])).statusCode).toBe(204);
  });
}
