// POST /refresh on the wire: the pair and the refusals; which verdict is due when is the domain's.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { forge, MARKER, problemOf, TOKEN_CHALLENGE } from '../support/answers.js';
import { claimsOf, login, openHouse, type House, type Replica, type TokenPair } from '../support/house.js';

const NOON = 1_900_000_000;

let house: House;
let replica: Replica;
let pair: TokenPair;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
});
beforeEach(async () => {
  await house.database.clock.freeze(NOON);
  pair = await login(replica, await house.user());
});
afterAll(() => house.close());

function post(payload: object | string) {
  return replica.app.inject({
    method: 'POST',
    url: '/refresh',
    headers: { 'content-type': 'application/json' },
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
  });
}

const refused = (error: string) => ({
  status: 401,
  error,
  challenge: expect.stringMatching(TOKEN_CHALLENGE) as string,
});

it('answers exactly the next token pair, which no cache keeps', async () => {
  await house.database.clock.advance(100);
  const response = await post({ refresh_token: pair.refresh_token });
  expect(response.statusCode).toBe(200);
  expect(response.headers['cache-control']).toBe('no-store');
  expect(response.headers.vary).toMatch(/\bAuthorization\b/);
  const next = response.json<TokenPair>();
  expect(next).toEqual({
    access_token: expect.any(String) as string,
    token_type: 'Bearer',
    expires_in: 600,
    refresh_token: expect.any(String) as string,
    refresh_expires_in: 14 * 86_400,
    session_id: pair.session_id,
  });
  expect(claimsOf(next.refresh_token)).toMatchObject({
    jti: `${pair.session_id}.1`,
    iat: NOON + 100,
    auth_time: NOON,
  });
  expect(claimsOf(next.access_token)).toMatchObject({
    sid: pair.session_id,
    iat: NOON + 100,
    auth_time: NOON,
  });
  expect(claimsOf(next.access_token).jti).not.toBe(claimsOf(pair.access_token).jti);
});

it('tells the lifetimes that are left near the end of the session', async () => {
  const short = await house.replica({
    config: { refreshTtlSeconds: 900, sessionTtlSeconds: 1000, accessTtlSeconds: 600 },
  });
  const first = await login(short, await house.user());
  await house.database.clock.advance(800);
  const response = await short.app.inject({
    method: 'POST',
    url: '/refresh',
    payload: { refresh_token: first.refresh_token },
  });
  expect(response.json()).toMatchObject({ expires_in: 200, refresh_expires_in: 200 });
});

describe('refusal', () => {
  it.each([
    ['a text that is no token', () => MARKER],
    ['a forged token', () => forge(pair.refresh_token)],
    ['an access token', () => pair.access_token],
    ['a very long text', () => 'a'.repeat(16_000)],
  ])('refuses %s', async (_what, token) => {
    expect(problemOf(await post({ refresh_token: token() }))).toEqual(refused('invalid_token'));
  });

  it('refuses an expired token', async () => {
    await house.database.clock.advance(14 * 86_400);
    expect(problemOf(await post({ refresh_token: pair.refresh_token }))).toEqual(refused('invalid_token'));
  });

  it('tells a superseded token from a reused one, and both from a dead one', async () => {
    const next = (await post({ refresh_token: pair.refresh_token })).json<TokenPair>();
    const last = (await post({ refresh_token: next.refresh_token })).json<TokenPair>();
    const old = { refresh_token: pair.refresh_token };
    expect(problemOf(await post(old))).toEqual(refused('refresh_superseded'));
    await house.database.clock.advance(31);
    expect(problemOf(await post(old))).toEqual(refused('refresh_reused'));
    expect(problemOf(await post({ refresh_token: last.refresh_token }))).toEqual(refused('invalid_token'));
  });

  it.each([
    ['no token', {}, 'body/refresh_token'],
    ['an empty token', { refresh_token: '' }, 'body/refresh_token'],
    ['a token that is no text', { refresh_token: { a: MARKER } }, 'body/refresh_token'],
    ['an unknown member', { refresh_token: MARKER, scope: MARKER }, 'body'],
  ])('says what is wrong with %s', async (_what, payload, path) => {
    const { errors, ...refusal } = problemOf(await post(payload));
    expect(refusal).toEqual({ status: 400, error: 'invalid_request' });
    expect(errors?.map((issue) => issue.path)).toContain(path);
  });
});
