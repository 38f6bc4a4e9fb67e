// POST /introspect/batch: of many tokens at once what /introspect says of each, decided in one statement.
import pino from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';

import { buildApp } from '../../src/app.js';
import { removeClient } from '../../src/domain/clients.js';
import { disableUser } from '../../src/domain/users/users.js';
import { RATES } from '../../src/http/doors/rates.js';
import { CLIENT_CHALLENGE, forge, MARKER, problemOf } from '../support/answers.js';
import {
  basic,
  bearer,
  claimsOf,
  DEFAULTS,
  introspect,
  login,
  openHouse,
  postForm,
  type House,
  type Replica,
  type TestClient,
  type TestUser,
  type TokenPair,
} from '../support/house.js';
import { listen, type Asked } from '../support/plans.js';

const START = 1_900_000_000;
const MOST = 256;

interface Result {
  active: boolean;
  jti?: string;
  refreshed_token?: string;
}

let house: House;
let replica: Replica;
let statements: { asked: Asked[] };
let client: TestClient;
let user: TestUser;
let pair: TokenPair;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica({ through: (database) => (statements = listen(database)) });
  client = await house.client(['introspect', 'revoke']);
});
beforeEach(async () => {
  await house.database.clock.freeze(START);
  user = await house.user({ scope: 'read write' });
  pair = await login(replica, user);
});
afterAll(() => house.close());

function post(payload: unknown, headers: Record<string, string> = basic(client), at = replica) {
  return at.app.inject({
    method: 'POST',
    url: '/introspect/batch',
    headers: { 'content-type': 'application/json', ...headers },
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
  });
}

async function resultsOf(tokens: string[], at = replica): Promise<Result[]> {
  const answer = await post({ tokens }, basic(client), at);
  expect(answer.statusCode).toBe(200);
  const body = answer.json<{ results: Result[] }>();
  expect(Object.keys(body)).toEqual(['results']);
  expect(body.results).toHaveLength(tokens.length);
  return body.results;
}

/** What `/introspect` says of each, with its header as a member. */
async function oneByOne(tokens: string[]): Promise<Result[]> {
  const results: Result[] = [];
  for (const token of tokens) {
    const answer = await introspect(replica, client, token);
    const successor = answer.headers['refreshed-api-token'];
    results.push({
      ...answer.json<Result>(),
      ...(typeof successor === 'string' && { refreshed_token: successor }),
    });
  }
  return results;
}

describe('a batch', () => {
  it('is answered in its order with what /introspect says of each', async () => {
    const other = await login(replica, await house.user());
    const ended = await login(replica, user);
    await replica.app.inject({ method: 'POST', url: '/logout', headers: bearer(ended.access_token) });
    const revoked = await login(replica, user);
    await postForm(replica, '/revoke', client, { token: revoked.access_token });
    const tokens = [
      pair.access_token,
      pair.refresh_token,
      ended.access_token,
      other.access_token,
      forge(pair.access_token),
      revoked.access_token,
      MARKER,
      pair.access_token,
    ];
    const results = await resultsOf(tokens);
    expect(results.map(({ active }) => active)).toEqual([
      ...[true, false, false, true],
      ...[false, false, false, true],
    ]);
    expect(results).toEqual(await oneByOne(tokens));
    expect(results[0]).toMatchObject({
      active: true,
      sub: user.id,
      scope: 'read write',
      token_type: 'Bearer',
    });
    expect(results[1]).toEqual({ active: false });
  });

  it('says in its headers that it is kept by nobody, and is JSON', async () => {
    const { headers } = await post({ tokens: [pair.access_token] });
    expect(headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      vary: 'Authorization',
    });
    expect(headers).not.toHaveProperty('refreshed-api-token');
  });

  it.each([1, 16, 17, 128, MOST])('of %i tokens is decided in one statement', async (count) => {
    const { access_token: other } = await login(replica, await house.user());
    const tokens = Array.from({ length: count }, (_, at) => (at % 3 === 1 ? other : pair.access_token));
    statements.asked.length = 0;
    const results = await resultsOf(tokens);
    expect(statements.asked).toHaveLength(1);
    const jtis = results.map(({ jti }) => jti);
    expect(jtis).toEqual(tokens.map((token) => claimsOf(token).jti));
  });

  it('is asked anew each time: an end, on another replica, counts in the next one', async () => {
    const other = await house.replica();
    const tokens = Array.from({ length: 20 }, () => pair.access_token);
    expect((await resultsOf(tokens)).every(({ active }) => active)).toBe(true);
    await other.app.inject({ method: 'POST', url: '/logout', headers: bearer(pair.access_token) });
    expect(await resultsOf(tokens)).toEqual(tokens.map(() => ({ active: false })));
  });

  it.each([
    ['at their exp', () => house.database.clock.advance(660)],
    ['after their user was disabled', () => disableUser(replica.database, user.username)],
  ])('of tokens %s is dead', async (_when, end) => {
    await end();
    expect(await resultsOf([pair.access_token, pair.access_token])).toEqual([
      { active: false },
      { active: false },
    ]);
  });

  it('takes an empty text for no token, and white space around its members', async () => {
    const answer = await post(` {\n"tokens" :\t[ "" , ${JSON.stringify(pair.access_token)} ] } `);
    expect(answer.json<{ results: Result[] }>().results.map(({ active }) => active)).toEqual([false, true]);
  });

  it('may bring tokens in other letters of JSON', async () => {
    const escaped = pair.access_token.replace(
      /[^]/g,
      (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    const answer = await post(`{"\\u0074okens":["${escaped}"]}`);
    expect(answer.json()).toMatchObject({ results: [{ active: true, sub: user.id }] });
  });
});

describe('a token near its end', () => {
  it('brings its successor, and nothing where none is due', async () => {
    await house.database.clock.advance(485);
    const young = await login(replica, user);
    const tokens = [pair.access_token, young.access_token, pair.access_token, pair.refresh_token];
    const results = await resultsOf(tokens);
    expect(results).toEqual(await oneByOne(tokens));
    expect(results.map(({ refreshed_token: successor }) => typeof successor)).toEqual([
      ...['string', 'undefined'],
      ...['string', 'undefined'],
    ]);
    expect(claimsOf(results[0]?.refreshed_token ?? '').iat).toBe(START + 480);
  });

  it('brings it in its grace beside {"active":false}, and not after it', async () => {
    await house.database.clock.advance(630);
    const [inGrace] = await resultsOf([pair.access_token]);
    expect(inGrace).toEqual({ active: false, refreshed_token: expect.any(String) as string });
    expect((await resultsOf([inGrace?.refreshed_token ?? '']))[0]).toMatchObject({ active: true });
    await house.database.clock.advance(30);
    expect(await resultsOf([pair.access_token])).toEqual([{ active: false }]);
  });

  it('brings none when it was ended', async () => {
    await house.database.clock.advance(485);
    await replica.app.inject({ method: 'POST', url: '/logout', headers: bearer(pair.access_token) });
    expect(await resultsOf([pair.access_token])).toEqual([{ active: false }]);
  });
});

describe('the client', () => {
  const REFUSED = { status: 401, error: 'invalid_client', challenge: CLIENT_CHALLENGE };

  it.each([
    ['no credentials', () => ({})],
    ['a wrong secret', () => basic({ ...client, secret: MARKER })],
    ['an unknown client', () => basic({ id: MARKER, secret: client.secret })],
    ['a user token instead', () => bearer(pair.access_token)],
  ])('is refused with %s, with any body', async (_what, headers) => {
    for (const body of [{ tokens: [pair.access_token] }, '', '['.repeat(1024 * 1024)])
      expect(problemOf(await post(body, headers() as Record<string, string>))).toEqual(REFUSED);
  });

  it('is refused before the end of a body is there', async () => {
    const { app } = replica;
    const tooLarge = {
      method: 'POST',
      url: '/introspect/batch',
      payload: 'x'.repeat(3 * 1024 * 1024),
    } as const;
    const headers = { 'content-type': 'application/json' };
    expect(problemOf(await app.inject({ ...tooLarge, headers }))).toEqual(REFUSED);
    const known = { ...headers, ...basic(client) };
    expect(problemOf(await app.inject({ ...tooLarge, headers: known }))).toMatchObject({ status: 413 });
  });

  it('is refused without the permission, with any body', async () => {
    const revoker = await house.client(['revoke']);
    for (const body of [{ tokens: [pair.access_token] }, '', '['.repeat(3 * 1024 * 1024)])
      expect(problemOf(await post(body, basic(revoker)))).toEqual({
        status: 403,
        error: 'insufficient_scope',
      });
  });

  it('is known from when it was added, and refused from when it was removed, on every replica', async () => {
    const other = await house.replica();
    const leaving = await house.client(['introspect']);
    const ask = () => post({ tokens: [pair.access_token] }, basic(leaving), other);
    expect((await ask()).statusCode).toBe(200);
    await removeClient(replica.database, leaving.id);
    expect(problemOf(await ask())).toEqual(REFUSED);
    expect(problemOf(await ask())).toEqual(REFUSED);
  });

  it('that has spent its tokens is refused before anything is asked', async () => {
    const app = await buildApp({
      gatehouse: replica.gatehouse,
      config: DEFAULTS,
      logger: pino({ level: 'silent' }),
      limits: { ...RATES, tokens: { ...RATES.tokens, max: 2 } },
    });
    onTestFinished(() => app.close());
    const ask = (...tokens: string[]) => post({ tokens }, basic(client), { ...replica, app });
    expect((await ask('a', 'b')).statusCode).toBe(200);
    statements.asked.length = 0;
    const answer = await ask('c');
    expect(problemOf(answer)).toEqual({ status: 429, error: 'too_many_requests' });
    expect(statements.asked).toEqual([]);
  });
});
