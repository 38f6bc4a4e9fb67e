// 401, 403 and what the application itself says stay apart, and nobody gets past the question.
import { beforeAll, expect, it } from 'vitest';

import { forge, PLAIN_CHALLENGE, TOKEN_CHALLENGE } from '../../support/answers.js';
import type { TestUser, TokenPair } from '../../support/house.js';
import { retryOn503 } from '../../support/retry.js';
import { ask, bearer, JSON_BODY, type Answer, type Stage } from './stage.js';

/** A refusal as Gatehouse words it, with its own challenge, and once. */
export function problemOf({ status, headers, body }: Answer): { error: string; detail: string } {
  expect(headers['content-type']).toMatch(/^application\/problem\+json/);
  const problem = JSON.parse(body) as { status: number; error: string; detail: string; instance: string };
  expect(problem.status).toBe(status);
  expect(problem.instance).toMatch(/^[0-9a-f-]{32,36}$/);
  expect(headers['cache-control']).toBe('no-store');
  return problem;
}

export function checkRefusals(stage: () => Stage): void {
  let user: TestUser;
  let pair: TokenPair;

  beforeAll(async () => {
    user = await stage().house.user();
    pair = await stage().login(user);
  });

  it('passes a 401 on with its challenge and its reason', async () => {
    const before = stage().arrivals();
    const bare = await stage().send('GET', '/orders');
    expect([bare.status, problemOf(bare).error]).toEqual([401, 'invalid_token']);
    expect(bare.headers['www-authenticate']).toBe(PLAIN_CHALLENGE);
    const forged = await stage().send(
      'POST',
      '/orders',
      bearer(forge(pair.access_token)),
      'x'.repeat(200_000),
    );
    expect([forged.status, problemOf(forged).error]).toEqual([401, 'invalid_token']);
    expect(forged.headers['www-authenticate']).toMatch(TOKEN_CHALLENGE);
    expect(stage().arrivals()).toBe(before);
  });

  it.each([401, 403, 404, 500, 503])('passes a %i of the application on as its own', async (status) => {
    const answer = await stage().send('GET', `/status/${status}`, bearer(pair.access_token));
    expect([answer.status, answer.headers['content-type']]).toEqual([status, 'application/json']);
    expect(JSON.parse(answer.body)).toMatchObject({ url: `/status/${status}` });
  });

  it.each([
    '/publicorders',
    '/PUBLIC/orders',
    '/login/orders',
    '/session/orders',
    '/introspect',
    '/revoke',
    '/health',
    '/.well-known/other',
  ])('asks about %s', async (path) => {
    const before = stage().arrivals();
    const answer = await stage().send('GET', path);
    expect([answer.status, stage().arrivals()]).toEqual([401, before]);
  });

  it('has no address at which its own question could be asked', async () => {
    const before = stage().arrivals();
    const answer = await stage().send('GET', '/_gatehouse', bearer(pair.access_token));
    // The one names its question, the other does not: then it is an address of the application.
    if (answer.status === 200) expect(JSON.parse(answer.body)).toMatchObject({ url: '/_gatehouse' });
    else expect([answer.status, stage().arrivals()]).toEqual([404, before]);
  });

  it('keeps /introspect and /revoke inside: under these names only the application is reached', async () => {
    for (const path of ['/introspect', '/revoke']) {
      const seen = await stage().arrive('POST', path, bearer(pair.access_token), 'token=x');
      expect(seen.url).toBe(path);
    }
  });

  it('has Gatehouse answer at its own addresses', async () => {
    const session = await stage().send('GET', '/session', bearer(pair.access_token));
    expect(JSON.parse(session.body)).toMatchObject({ iss: stage().origin, sub: user.id });
    expect((await stage().send('GET', '/.well-known/jwks.json')).body).toContain('"keys"');
    expect((await stage().send('GET', '/.well-known/oauth-authorization-server')).status).toBe(200);
    const refresh = JSON.stringify({ refresh_token: pair.refresh_token });
    expect((await stage().send('POST', '/refresh', JSON_BODY, refresh)).status).toBe(200);
    expect((await stage().send('POST', '/login', JSON_BODY, '{')).status).toBe(400);
    expect((await stage().send('POST', '/login', JSON_BODY, '{"'.padEnd(20_000))).status).toBe(413);
  });

  it('tells Gatehouse whom a login comes from, whatever the caller says', async () => {
    const { username, password } = await stage().house.user();
    const lies = [
      ...['X-Forwarded-For', '203.0.113.9', 'Forwarded', 'for=203.0.113.9'],
      ...['Connection', 'close, X-Forwarded-For', ...JSON_BODY],
    ];
    const body = JSON.stringify({ username, password });
    const login = await retryOn503(() =>
      ask(stage().ports.gateway, 'POST', '/login', lies, body, '127.0.0.2'),
    );
    const { access_token: token } = JSON.parse(login.body) as TokenPair;
    const list = await stage().send('GET', '/sessions', bearer(token));
    expect(JSON.parse(list.body)).toMatchObject({ sessions: [{ ip: '127.0.0.2' }] });
  });

  it.each([
    ['logging out', 'POST', '/logout'],
    ['logging out everywhere', 'POST', '/logout-all'],
    ['ending the session', 'DELETE', '/sessions/'],
  ])('is shut by %s at once', async (_what, method, path) => {
    const { access_token: token, session_id: id } = await stage().login(await stage().house.user());
    await stage().arrive('GET', '/orders', bearer(token));
    const url = path.endsWith('/') ? `${path}${id}` : path;
    expect((await stage().send(method, url, bearer(token))).status).toBeLessThan(300);
    const before = stage().arrivals();
    expect((await stage().send('GET', '/orders', bearer(token))).status).toBe(401);
    expect(stage().arrivals()).toBe(before);
  });
}
