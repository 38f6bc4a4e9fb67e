// POST /logout-all: ends every session of the user, or every other one.
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';

import { MARKER, problemOf, TOKEN_CHALLENGE } from '../support/answers.js';
import {
  bearer,
  introspect,
  login,
  openHouse,
  type House,
  type Replica,
  type TestClient,
  type TokenPair,
} from '../support/house.js';

let house: House;
let replica: Replica;
let client: TestClient;
let here: TokenPair;
let elsewhere: TokenPair;
let stranger: TokenPair;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  client = await house.client();
  stranger = await login(replica, await house.user());
});
beforeEach(async () => {
  const user = await house.user();
  here = await login(replica, user);
  elsewhere = await login(replica, user);
});
afterAll(() => house.close());

function post(payload?: object) {
  return replica.app.inject({
    method: 'POST',
    url: '/logout-all',
    headers: bearer(here.access_token),
    ...(payload && { payload }),
  });
}

async function isActive({ access_token: token }: TokenPair): Promise<boolean> {
  return (await introspect(replica, client, token)).json<{ active: boolean }>().active;
}

it.each([
  ['no body', undefined],
  ['an empty object', {}],
  ['except_current: false', { except_current: false }],
])('ends every session of the user and of nobody else, for %s', async (_what, payload) => {
  const response = await post(payload);
  expect(response.statusCode).toBe(200);
  expect(response.headers['cache-control']).toBe('no-store');
  expect(response.json()).toEqual({ sessions_ended: 2 });
  expect([await isActive(here), await isActive(elsewhere), await isActive(stranger)]).toEqual([
    false,
    false,
    true,
  ]);
});

it('keeps the session that asks when told so', async () => {
  const response = await post({ except_current: true });
  expect(response.json()).toEqual({ sessions_ended: 1 });
  expect([await isActive(here), await isActive(elsewhere)]).toEqual([true, false]);
  expect((await post({ except_current: true })).json()).toEqual({ sessions_ended: 0 });
});

it('refuses a second call, whose token it has ended', async () => {
  await post();
  expect(problemOf(await post())).toEqual({
    status: 401,
    error: 'invalid_token',
    challenge: expect.stringMatching(TOKEN_CHALLENGE) as string,
  });
});

it.each([
  ['an unknown member', { extra: MARKER }],
  ['a word for a boolean', { except_current: MARKER }],
  ['a list', [MARKER]],
])('says what is wrong with %s, and ends nothing', async (_what, payload) => {
  const { errors, ...refusal } = problemOf(await post(payload));
  expect(refusal).toEqual({ status: 400, error: 'invalid_request' });
  expect(errors).toHaveLength(1);
  expect(await isActive(elsewhere)).toBe(true);
});
