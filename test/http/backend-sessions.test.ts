// Backends open, change and end sessions for users of their own: on two replicas, and against ends that come at the same time.
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { subjectId } from '../../src/domain/tokens/subjects.js';
import { problemOf } from '../support/answers.js';
import { ACCESS } from '../support/browser.js';
import {
  basic,
  bearer,
  claimsOf,
  introspect,
  login,
  openHouse,
  postForm,
  refresh,
  type House,
  type Replica,
  type TestClient,
  type TokenPair,
} from '../support/house.js';

let house: House;
let replica: Replica;
let other: Replica;
let shop: TestClient;
let forum: TestClient;
let operator: TestClient;
let server: TestClient;
let number = 0;
let externalId: string;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  other = await house.replica();
  shop = await house.client(['sessions:open']);
  forum = await house.client(['sessions:open']);
  operator = await house.client(['users:read', 'users:write', 'sessions:read', 'sessions:end']);
  server = await house.client();
});
beforeEach(() => {
  number += 1;
  externalId = `customer-${number}`;
});
afterAll(() => house.close());

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

function ask(
  client: TestClient,
  method: Method,
  url: string,
  payload?: object | string,
  at = replica,
): Promise<LightMyRequestResponse> {
  const headers = {
    ...basic(client),
    ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
  };
  return at.app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) });
}

async function open(body: object = {}, client = shop): Promise<TokenPair> {
  const answer = await ask(client, 'POST', '/sessions', { external_id: externalId, ...body });
  if (answer.statusCode !== 201) throw new Error(`${answer.statusCode} ${answer.body}`);
  return answer.json<TokenPair>();
}

async function isActive(token: string, at = other): Promise<boolean> {
  return (await introspect(at, server, token)).json<{ active: boolean }>().active;
}

const FULL = {
  username: 'Ünal Ö.',
  scope: 'orders:read orders:write',
  ext: { plan: 'gold', limits: { 'per-day': 3, rate: 0.5 }, tags: ['a', null, true] },
  amr: ['pwd', 'otp'],
  acr: 'urn:example:silver',
  act: { sub: 'support-7', act: { sub: 'robot' } },
};

describe('opening', () => {
  it('gives tokens with what the backend says, and nothing else in the answers of others', async () => {
    const authTime = Math.floor(Date.now() / 1000) - 600;
    const answer = await ask(shop, 'POST', '/sessions', {
      external_id: externalId,
      ...FULL,
      auth_time: authTime,
    });
    expect(answer.statusCode).toBe(201);
    const pair = answer.json<TokenPair>();
    expect(answer.headers['location']).toBe(`/sessions/${pair.session_id}`);
    const shown = (await introspect(other, server, pair.access_token)).json<Record<string, unknown>>();
    const { iat, exp, jti, session_exp, ...rest } = shown;
    expect(rest).toEqual({
      active: true,
      iss: 'http://gatehouse.test',
      sub: externalId,
      aud: 'gatehouse',
      client_id: shop.id,
      ...FULL,
      sid: pair.session_id,
      auth_time: authTime,
      token_type: 'Bearer',
    });
    expect([iat, exp, session_exp].every(Number.isSafeInteger)).toBe(true);
    expect(jti).toMatch(/\.0$/);
    const who = await other.app.inject({ url: '/session', headers: bearer(pair.access_token) });
    expect(who.headers).toMatchObject({
      'x-auth-subject': externalId,
      'x-auth-client': shop.id,
      'x-auth-username': encodeURIComponent(FULL.username),
      'x-auth-scope': FULL.scope,
    });
    expect(claimsOf(pair.refresh_token)).toMatchObject({ sub: externalId, client_id: shop.id });
    expect(claimsOf(pair.refresh_token)).not.toHaveProperty('ext');
  });

  it('says little where little was said', async () => {
    const pair = await open();
    const { username, scope, auth_time, ...others } = claimsOf(pair.access_token);
    expect(username).toBe(externalId);
    expect(scope).toBeUndefined();
    expect(auth_time).toBe(others.iat);
    for (const name of ['ext', 'amr', 'acr', 'act', 'ver']) expect(others).not.toHaveProperty(name);
  });

  it('mints successors with the same words', async () => {
    const pair = await open(FULL);
    const next = (await refresh(other, pair.refresh_token)).json<TokenPair>();
    const { iat, exp, jti, ...same } = claimsOf(next.access_token);
    expect(claimsOf(pair.access_token)).toMatchObject(same);
    expect([typeof iat, typeof exp, jti === claimsOf(pair.access_token).jti]).toEqual([
      'number',
      'number',
      false,
    ]);
    expect(await isActive(next.access_token)).toBe(true);
  });

  it('opens for a shorter time, and without a refresh token', async () => {
    const pair = await open({ session_ttl: 120, access_token_ttl: 60, refresh: false });
    expect(pair).not.toHaveProperty('refresh_token');
    expect(pair).not.toHaveProperty('refresh_expires_in');
    const { iat, exp, session_exp } = claimsOf(pair.access_token);
    expect(exp - iat).toBe(60);
    expect(session_exp - iat).toBe(120);
  });

  it('keeps two clients with one external id apart', async () => {
    const ours = await open();
    const theirs = await open({}, forum);
    expect(subjectId(shop.id, externalId)).not.toBe(subjectId(forum.id, externalId));
    const listed = await replica.app.inject({ url: '/sessions', headers: bearer(ours.access_token) });
    expect(listed.json<{ sessions: { id: string }[] }>().sessions.map(({ id }) => id)).toEqual([
      ours.session_id,
    ]);
    const attempts = await Promise.all([
      ask(forum, 'PATCH', `/sessions/${ours.session_id}`, { scope: 'admin' }),
      ask(forum, 'DELETE', `/sessions/${ours.session_id}`),
      replica.app.inject({
        method: 'DELETE',
        url: `/sessions/${ours.session_id}`,
        headers: bearer(theirs.access_token),
      }),
    ]);
    for (const attempt of attempts)
      expect(problemOf(attempt)).toMatchObject({ status: 404, error: 'not_found' });
    expect((await ask(forum, 'POST', '/logout-all', { external_id: externalId })).json()).toEqual({
      sessions_ended: 1,
    });
    expect(await isActive(ours.access_token)).toBe(true);
    expect(await isActive(theirs.access_token)).toBe(false);
  });

  it.each<[string, unknown]>([
    ['external_id', ''],
    ['external_id', 'with space'],
    ['external_id', 'żółw'],
    ['external_id', 'client:shop'],
    ['external_id', 'gatehouse:7'],
    ['external_id', 'x'.repeat(256)],
    ['username', ''],
    ['username', 'a\u0000b'],
    ['username', '\ud800'],
    ['scope', 'a  b'],
    ['scope', 'a a'],
    ['audience', []],
    ['audience', ['gatehouse', 'gatehouse']],
    ['audience', ['another']],
    ['audience', ['1', '2', '3', '4', '5', '6']],
    ['ext', []],
    ['ext', 'text'],
    ['ext', { constructor: 1 }],
    ['ext', { prototype: 1 }],
    ['ext', { '1': 1 }],
    ['ext', { 'with space': 1 }],
    ['ext', { a: { b: { c: { d: { e: { f: 1 } } } } } }],
    ['ext', { a: 2 ** 53 }],
    ['ext', { a: '\udfff' }],
    ['ext', { a: 'x'.repeat(1020) }],
    ['auth_time', 4_000_000_000],
    ['auth_time', -1],
    ['auth_time', 1.5],
    ['amr', []],
    ['amr', ['pwd', 'pwd']],
    ['amr', ['a b']],
    ['acr', ''],
    ['act', {}],
    ['act', { sub: 'x', other: 1 }],
    ['act', { sub: 'x', act: { act: { sub: 'y' } } }],
    ['session_ttl', 0],
    ['session_ttl', 1e9],
    ['access_token_ttl', 29],
    ['access_token_ttl', 601],
    ['ip', 'nowhere'],
    ['user_agent', 'a\u0000'],
    ['unknown', 1],
  ])('refuses %s: %j', async (name, value) => {
    const answer = await ask(shop, 'POST', '/sessions', { external_id: externalId, [name]: value });
    expect(problemOf(answer)).toMatchObject({ status: 400, error: 'invalid_request' });
  });

  it.each(['1.0', '1e2', '-0', '0.10', '1e400', '9007199254740993', '0.1000000000000000055'])(
    'refuses the number %s, which reads back otherwise',
    async (text) => {
      const body = `{"external_id":"${externalId}","ext":{"a\\"1e5":${text}}}`;
      expect(problemOf(await ask(shop, 'POST', '/sessions', body))).toMatchObject({ status: 400 });
    },
  );

  it('takes what is as large as may be, and refuses tokens that would be too long', async () => {
    const ext = { a: 'x'.repeat(1024 - '{"a":""}'.length) };
    expect(await isActive((await open({ ext })).access_token)).toBe(true);
    const answer = await ask(shop, 'POST', '/sessions', {
      external_id: 'x'.repeat(255),
      username: '\u{10000}'.repeat(254),
      scope: 'y'.repeat(1000),
      ext,
    });
    expect(problemOf(answer)).toMatchObject({ status: 400, error: 'invalid_request' });
  });

  it('is for clients with the permission alone', async () => {
    expect(problemOf(await ask(server, 'POST', '/sessions', { external_id: externalId }))).toMatchObject({
      status: 403,
      error: 'insufficient_scope',
    });
    const nobody = { id: shop.id, secret: 'wrong' };
    expect(problemOf(await ask(nobody, 'POST', '/sessions', { external_id: externalId }))).toMatchObject({
      status: 401,
      error: 'invalid_client',
    });
  });
});

describe('ends', () => {
  it('by the client, by the user, and by an operator', async () => {
    const pairs = await Promise.all([open(), open(), open(), open()]);
    const [first, second, third, fourth] = pairs;
    expect((await ask(shop, 'DELETE', `/sessions/${first.session_id}`)).statusCode).toBe(204);
    expect((await ask(shop, 'DELETE', `/sessions/${first.session_id}`)).statusCode).toBe(204);
    const out = await replica.app.inject({
      method: 'POST',
      url: '/logout',
      headers: bearer(second.access_token),
    });
    expect(out.statusCode).toBe(204);
    expect((await postForm(replica, '/revoke', server, { token: third.refresh_token })).statusCode).toBe(200);
    expect(await Promise.all(pairs.map(({ access_token }) => isActive(access_token)))).toEqual([
      false,
      false,
      false,
      true,
    ]);
    const all = await replica.app.inject({
      method: 'POST',
      url: '/logout-all',
      headers: bearer(fourth.access_token),
    });
    expect(all.json()).toEqual({ sessions_ended: 1 });
    expect(await isActive(fourth.access_token)).toBe(false);
  });

  it('disabled by an operator, opens nothing until enabled; deleted, nothing until its rows are gone', async () => {
    const { access_token } = await open();
    const id = subjectId(shop.id, externalId);
    const user = await ask(operator, 'GET', `/admin/users/${id}`);
    expect(user.json()).toMatchObject({
      id,
      external_id: externalId,
      client_id: shop.id,
      has_password: false,
    });
    expect((await ask(operator, 'PATCH', `/admin/users/${id}`, { disabled: true })).statusCode).toBe(200);
    expect(await isActive(access_token)).toBe(false);
    const opening = () => ask(shop, 'POST', '/sessions', { external_id: externalId });
    expect(problemOf(await opening())).toMatchObject({ status: 409, error: 'user_disabled' });
    await ask(operator, 'PATCH', `/admin/users/${id}`, { disabled: false });
    expect((await opening()).statusCode).toBe(201);
    expect((await ask(operator, 'DELETE', `/admin/users/${id}`)).statusCode).toBe(204);
    expect(problemOf(await opening())).toMatchObject({ status: 409, error: 'user_disabled' });
  });

  it('raised beside openings, lets none live that was answered before', async () => {
    await open();
    const openings = Array.from({ length: 24 }, async (_, place) => {
      const begunAt = performance.now();
      const answer = await ask(
        shop,
        'POST',
        '/sessions',
        { external_id: externalId },
        place % 2 ? replica : other,
      );
      return { begunAt, doneAt: performance.now(), token: answer.json<TokenPair>().access_token };
    });
    const endedFrom = performance.now();
    await ask(shop, 'POST', '/logout-all', { external_id: externalId });
    const endedAt = performance.now();
    for (const { begunAt, doneAt, token } of await Promise.all(openings)) {
      const isLive = await isActive(token);
      if (doneAt < endedFrom) expect(isLive).toBe(false);
      if (begunAt > endedAt) expect(isLive).toBe(true);
    }
    expect(await isActive((await open()).access_token)).toBe(true);
  });
});

describe('a change', () => {
  it('ends the access tokens on every replica, and is in all that is minted from then on', async () => {
    const pair = await open(FULL);
    const answer = await ask(shop, 'PATCH', `/sessions/${pair.session_id}`, {
      scope: 'orders:read',
      ext: { plan: null, limits: { rate: 1 } },
      acr: null,
    });
    expect(answer.statusCode).toBe(200);
    const ext = { limits: { 'per-day': 3, rate: 1 }, tags: ['a', null, true] };
    expect(answer.json()).toMatchObject({
      id: pair.session_id,
      external_id: externalId,
      scope: 'orders:read',
      ext,
      acr: null,
      amr: ['pwd', 'otp'],
    });
    for (const at of [replica, other]) expect(await isActive(pair.access_token, at)).toBe(false);
    const next = (await refresh(other, pair.refresh_token)).json<TokenPair>();
    const { ver, acr, ...claims } = claimsOf(next.access_token);
    expect(claims).toMatchObject({ scope: 'orders:read', ext, username: FULL.username });
    expect([ver, acr]).toEqual([1, undefined]);
    expect(await isActive(next.access_token)).toBe(true);
    expect((await introspect(replica, server, next.access_token)).body).not.toContain('"ver"');
  });

  it('of nothing ends no token', async () => {
    const pair = await open(FULL);
    const path = `/sessions/${pair.session_id}`;
    for (const body of [{}, { scope: FULL.scope }, { ext: { plan: 'gold' } }, { amr: ['pwd', 'otp'] }])
      expect((await ask(shop, 'PATCH', path, body)).statusCode).toBe(200);
    expect(await isActive(pair.access_token)).toBe(true);
  });

  it('of one session beside others of it, loses none', async () => {
    const pair = await open();
    const path = `/sessions/${pair.session_id}`;
    const names = ['a', 'b', 'c', 'd'];
    const answers = await Promise.all(
      names.map((name, place) =>
        ask(shop, 'PATCH', path, { ext: { [name]: 1 } }, place % 2 ? replica : other),
      ),
    );
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200, 200, 200]);
    const { ext, ver } = claimsOf(
      (await refresh(replica, pair.refresh_token)).json<TokenPair>().access_token,
    );
    expect(ext).toEqual({ a: 1, b: 1, c: 1, d: 1 });
    expect(ver).toBe(4);
  });

  it('is refused where it would be too large once merged, too late, or of a session that has ended', async () => {
    const pair = await open({ ext: { a: 'x'.repeat(600) } });
    const path = `/sessions/${pair.session_id}`;
    for (const body of [
      { ext: { b: 'x'.repeat(600) } },
      { ext: { 'no good': 1 } },
      { auth_time: 4_000_000_000 },
      { username: 'x' },
    ])
      expect(problemOf(await ask(shop, 'PATCH', path, body))).toMatchObject({ status: 400 });
    expect(await isActive(pair.access_token)).toBe(true);
    await ask(shop, 'DELETE', path);
    expect(problemOf(await ask(shop, 'PATCH', path, { scope: 'a' }))).toMatchObject({ status: 404 });
    expect(problemOf(await ask(shop, 'PATCH', '/sessions/none', {}))).toMatchObject({ status: 404 });
  });
});

describe('at the doors of users', () => {
  it('a session for others alone is let in nowhere', async () => {
    await replica.database.query(
      {},
    )`UPDATE clients SET audiences = ARRAY['mail', 'gatehouse'] WHERE id = ${forum.id}`;
    await replica.database.query({})`UPDATE service SET clients_version = gen_random_uuid()`;
    const mail = await open({ audience: ['mail'] }, forum);
    expect(await isActive(mail.access_token)).toBe(true);
    for (const [method, url] of [
      ['GET', '/session'],
      ['GET', '/sessions'],
      ['POST', '/logout-all'],
      ['POST', '/reauthenticate'],
      ['POST', '/password'],
    ] as const) {
      const payload = url === '/password' ? { current_password: 'a', new_password: 'b' } : { password: 'a' };
      const answer = await replica.app.inject({
        method,
        url,
        headers: bearer(mail.access_token),
        ...(url === '/reauthenticate' || url === '/password' ? { payload } : {}),
      });
      expect(problemOf(answer), url).toMatchObject({ status: 403, error: 'insufficient_scope' });
    }
    const both = await open({ audience: ['mail', 'gatehouse'] }, forum);
    expect(claimsOf(both.access_token).aud).toEqual(['mail', 'gatehouse']);
    const who = await replica.app.inject({ url: '/session', headers: bearer(both.access_token) });
    expect(who.statusCode).toBe(200);
  });

  it('gives no password, and spends no attempt of the user who bears its name', async () => {
    const native = await house.user();
    const { access_token } = await open({ username: native.username });
    for (let attempt = 0; attempt < 12; attempt += 1) {
      const answer = await replica.app.inject({
        method: 'POST',
        url: '/reauthenticate',
        headers: bearer(access_token),
        payload: { password: native.password },
      });
      expect(problemOf(answer)).toMatchObject({
        error: expect.stringMatching(/^(invalid_credentials|too_many_requests)$/) as string,
      });
    }
    expect((await login(replica, native)).session_id).toBeTruthy();
    const acting = await open({ act: { sub: 'support' } });
    const change = await replica.app.inject({
      method: 'POST',
      url: '/password',
      headers: bearer(acting.access_token),
      payload: { current_password: 'x', new_password: 'correct horse battery staple' },
    });
    expect(problemOf(change)).toMatchObject({ status: 403, error: 'insufficient_scope' });
  });

  it("takes Basic that a proxy has asked for as nobody's where a cookie tells who asks", async () => {
    const pair = await login(replica, await house.user());
    const answer = await replica.app.inject({
      method: 'POST',
      url: '/logout-all',
      headers: {
        ...basic({ id: 'staging', secret: 'password' }),
        cookie: `${ACCESS}=${pair.access_token}`,
        origin: 'http://gatehouse.test',
        'sec-fetch-site': 'same-origin',
      },
    });
    expect(answer.json()).toEqual({ sessions_ended: 1 });
  });
});
