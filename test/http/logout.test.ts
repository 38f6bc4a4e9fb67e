// POST /logout: either token ends its session, however often and however late.
import pino from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';

import { buildApp } from '../../src/app.js';
import { AuthError } from '../../src/domain/errors.js';
import { forge, MARKER, PLAIN_CHALLENGE, problemOf, TOKEN_CHALLENGE } from '../support/answers.js';
import { ACCESS, REFRESH, SAME_ORIGIN } from '../support/browser.js';
import {
  bearer,
  DEFAULTS,
  introspect,
  login,
  openHouse,
  refresh,
  type House,
  type Replica,
  type TestClient,
  type TokenPair,
} from '../support/house.js';

let house: House;
let replica: Replica;
let client: TestClient;
let pair: TokenPair;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  client = await house.client();
});
beforeEach(async () => {
  await house.database.clock.freeze(1_900_000_000);
  pair = await login(replica, await house.user());
});
afterAll(() => house.close());

function post(headers: Record<string, string>, payload?: object) {
  return replica.app.inject({ method: 'POST', url: '/logout', headers, ...(payload && { payload }) });
}

describe('success', () => {
  it.each([
    ['an access token', () => post(bearer(pair.access_token))],
    ['an access token with an empty JSON body', () => postEmptyJson()],
    ['a refresh token', () => post({}, { refresh_token: pair.refresh_token })],
  ])('ends the session of %s with an empty 204', async (_what, send) => {
    const response = await send();
    expect(response.statusCode).toBe(204);
    expect(response.body).toBe('');
    expect(response.headers['cache-control']).toBe('no-store');
    expect((await introspect(replica, client, pair.access_token)).body).toBe('{"active":false}');
    expect((await refresh(replica, pair.refresh_token)).statusCode).toBe(401);
  });

  function postEmptyJson() {
    return replica.app.inject({
      method: 'POST',
      url: '/logout',
      headers: { ...bearer(pair.access_token), 'content-type': 'application/json' },
    });
  }

  it('answers a second call and an ended session alike', async () => {
    await post(bearer(pair.access_token));
    expect((await post(bearer(pair.access_token))).statusCode).toBe(204);
    expect((await post({}, { refresh_token: pair.refresh_token })).statusCode).toBe(204);
  });

  it('takes an expired access token and ends the session', async () => {
    await house.database.clock.advance(700);
    expect((await post(bearer(pair.access_token))).statusCode).toBe(204);
    expect((await refresh(replica, pair.refresh_token)).statusCode).toBe(401);
  });

  it('takes tokens of a session that is long over', async () => {
    await house.database.clock.advance(100 * 86_400);
    expect((await post(bearer(pair.access_token))).statusCode).toBe(204);
    expect((await post({}, { refresh_token: pair.refresh_token })).statusCode).toBe(204);
  });

  it('takes a refresh token that was superseded', async () => {
    const next = (await refresh(replica, pair.refresh_token)).json<TokenPair>();
    expect((await post({}, { refresh_token: pair.refresh_token })).statusCode).toBe(204);
    expect((await refresh(replica, next.refresh_token)).statusCode).toBe(401);
  });
});

describe('refusal', () => {
  it('challenges without an error when no token was sent', async () => {
    const refusal = { status: 401, error: 'invalid_token', challenge: PLAIN_CHALLENGE };
    expect(problemOf(await post({}))).toEqual(refusal);
    expect(problemOf(await post({ authorization: `Basic ${MARKER}` }))).toEqual(refusal);
  });

  it.each([
    ['a forged access token', () => post(bearer(forge(pair.access_token)))],
    ['a forged refresh token', () => post({}, { refresh_token: forge(pair.refresh_token) })],
    ['a refresh token in the header', () => post(bearer(pair.refresh_token))],
    ['an access token in the body', () => post({}, { refresh_token: pair.access_token })],
    ['a text that is no token', () => post(bearer(MARKER))],
    ['a scheme without a token', () => post({ authorization: 'Bearer' })],
    ['two tokens in one header', () => post({ authorization: `Bearer ${pair.access_token} ${MARKER}` })],
  ])('refuses %s', async (_what, send) => {
    expect(problemOf(await send())).toEqual({
      status: 401,
      error: 'invalid_token',
      challenge: expect.stringMatching(TOKEN_CHALLENGE) as string,
    });
    expect((await introspect(replica, client, pair.access_token)).json()).toMatchObject({ active: true });
  });

  it('refuses both tokens at once, and ends nothing', async () => {
    const both = await post(bearer(pair.access_token), { refresh_token: pair.refresh_token });
    expect(problemOf(both)).toEqual({ status: 400, error: 'invalid_request' });
    expect((await introspect(replica, client, pair.access_token)).json()).toMatchObject({ active: true });
  });

  it.each([
    ['an unknown member', { refresh_token: 'a', extra: MARKER }],
    ['an empty token', { refresh_token: '' }],
    ['a token that is no text', { refresh_token: [MARKER] }],
  ])('says what is wrong with %s', async (_what, payload) => {
    const { errors, ...refusal } = problemOf(await post({}, payload));
    expect(refusal).toEqual({ status: 400, error: 'invalid_request' });
    expect(errors).toHaveLength(1);
  });
});

it.each(['access', 'refresh'] as const)(
  'by two cookies promises nothing where the %s token could not be judged',
  async (unknown) => {
    const { gatehouse } = replica;
    const logout: typeof gatehouse.logout = (token, kind) =>
      kind === unknown
        ? Promise.reject(new AuthError('temporarily_unavailable'))
        : gatehouse.logout(token, kind);
    const logger = pino({ level: 'silent' });
    const app = await buildApp({ gatehouse: { ...gatehouse, logout }, config: DEFAULTS, logger });
    onTestFinished(() => app.close());
    const cookie = `${ACCESS}=${pair.access_token}; ${REFRESH}=${pair.refresh_token}`;
    const response = await app.inject({
      method: 'POST',
      url: '/logout',
      headers: { ...SAME_ORIGIN, cookie },
    });
    expect(problemOf(response)).toMatchObject({ status: 503, error: 'temporarily_unavailable' });
    expect(response.headers).not.toHaveProperty('set-cookie');
  },
);
