// Whom a request was about and what came of it, in its line of the log: logins, refreshes and ends, by ids and constant words.
import { Writable } from 'node:stream';
import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import pino, { type Logger } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { ACCESS_COOKIE, REFRESH_COOKIE } from '../../src/http/doors/cookies.js';
import { LOGIN_LIMITS } from '../../src/domain/guessing/throttle.js';
import { disableUser } from '../../src/domain/users/users.js';
import { loggerOptions } from '../../src/http/log/log.js';
import {
  basic,
  bearer,
  claimsOf,
  DEFAULTS,
  login,
  openHouse,
  postForm,
  refresh,
  type House,
  type Replica,
  type TestClient,
  type TestUser,
  type TokenPair,
} from '../support/house.js';
import { retryOn503 } from '../support/retry.js';

type Line = Record<string, unknown>;

/** What stands in the line of every request. */
const ALWAYS = ['level', 'time', 'reqId', 'method', 'url', 'status', 'ms', 'ip', 'msg'];

let house: House;
let replica: Replica;
let client: TestClient;
let user: TestUser;
let pair: TokenPair;
let logger: Logger;
let lines: Line[] = [];

beforeAll(async () => {
  house = await openHouse();
  const destination = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      lines.push(JSON.parse(chunk.toString()) as Line);
      done();
    },
  });
  logger = pino(loggerOptions('debug'), destination);
  replica = await house.replica({ logger, config: { sessionsPerUser: 5 } });
  client = await house.client();
});
beforeEach(async () => {
  await house.database.clock.freeze(1_900_000_000);
  user = await house.user();
  pair = await login(replica, user);
  lines = [];
});
afterAll(() => house.close());

const ask = (options: InjectOptions) => replica.app.inject(options);
const post = (url: string, headers: Record<string, string>, payload?: object) =>
  ask({ method: 'POST', url, headers, ...(payload && { payload }) });
const logIn = (username: string, password: string) => post('/login', {}, { username, password });
const own = () => ({ user: user.id, session: pair.session_id });

/** What the line of this answer says beside what all lines say, with its level and status. */
function saidOf(response: LightMyRequestResponse): Line {
  const [line, ...more] = lines.filter(
    ({ msg, reqId }) => msg === 'answered' && reqId === response.headers['x-request-id'],
  );
  expect(more).toEqual([]);
  expect(line?.['status']).toBe(response.statusCode);
  const { level, status } = line ?? {};
  return {
    level,
    status,
    ...Object.fromEntries(Object.entries(line ?? {}).filter(([name]) => !ALWAYS.includes(name))),
  };
}

/** Lines that are no line of a request. */
const besides = () => lines.filter(({ msg }) => msg !== 'answered');

describe('a login', () => {
  it('that is right names the user and the session', async () => {
    const response = await logIn(user.username, user.password);
    const { session_id: session } = response.json<TokenPair>();
    expect(saidOf(response)).toEqual({ level: 'info', status: 200, user: user.id, session });
  });

  it('with a wrong password names the user', async () => {
    expect(saidOf(await logIn(user.username, 'not the password'))).toEqual({
      level: 'info',
      status: 401,
      user: user.id,
      code: 'invalid_credentials',
      reason: 'wrong_password',
    });
  });

  it('of a user that does not exist names nobody: people type their password there', async () => {
    expect(saidOf(await logIn(user.password, user.username))).toEqual({
      level: 'info',
      status: 401,
      code: 'invalid_credentials',
      reason: 'unknown_user',
    });
    expect(JSON.stringify(lines)).not.toContain(user.username);
  });

  it('of a disabled user says so', async () => {
    await disableUser(replica.database, user.username);
    expect(saidOf(await logIn(user.username, user.password))).toMatchObject({
      level: 'info',
      user: user.id,
      reason: 'user_disabled',
    });
  });

  it('locked out names the user and says which limit was reached, also when the refusal is repeated', async () => {
    for (let guess = 1; guess <= LOGIN_LIMITS.pairMinute.points; guess += 1)
      await logIn(user.username, 'not the password');
    for (let time = 1; time <= 2; time += 1)
      expect(saidOf(await logIn(user.username, user.password))).toEqual({
        level: 'info',
        status: 429,
        user: user.id,
        code: 'too_many_requests',
        reason: 'too_many_guesses_by_network_at_user',
      });
  });

  it('locked out by what many networks guessed says so', async () => {
    const trusting = await house.replica({ logger, config: { trustProxy: ['127.0.0.1'] } });
    const logInFrom = (ip: string, password: string) =>
      trusting.app.inject({
        method: 'POST',
        url: '/login',
        headers: { 'x-forwarded-for': ip },
        payload: { username: user.username, password },
      });
    for (let guess = 1; guess <= LOGIN_LIMITS.account.points; guess += 1)
      await retryOn503(() => logInFrom(`198.51.${guess}.1`, 'not the password'));
    expect(saidOf(await logInFrom('203.0.113.1', user.password))).toMatchObject({
      status: 429,
      user: user.id,
      reason: 'too_many_guesses_at_user',
    });
  });

  it('for a name that does not exist, from a network that guesses, names nobody', async () => {
    const trusting = await house.replica({ logger, config: { trustProxy: ['127.0.0.1'] } });
    const guess = (n: number) =>
      trusting.app.inject({
        method: 'POST',
        url: '/login',
        headers: { 'x-forwarded-for': '192.0.2.77' },
        payload: { username: `nobody-${n}`, password: 'not the password' },
      });
    for (let n = 1; n <= LOGIN_LIMITS.network.points; n += 1) await retryOn503(() => guess(n));
    expect(saidOf(await guess(0))).toEqual({
      level: 'info',
      status: 429,
      code: 'too_many_requests',
      reason: 'too_many_guesses_by_network',
    });
  });

  it('beyond the limit of sessions names the user', async () => {
    for (let session = 2; session <= 5; session += 1) await login(replica, user);
    expect(saidOf(await logIn(user.username, user.password))).toEqual({
      level: 'info',
      status: 409,
      user: user.id,
      code: 'too_many_sessions',
    });
  });
});

describe('a refresh', () => {
  it('says what became of the token, and a theft has a warning of its own', async () => {
    const first = pair.refresh_token;
    const rotated = await refresh(replica, first);
    expect(saidOf(rotated)).toEqual({ level: 'info', status: 200, ...own(), verdict: 'rotated' });
    const second = rotated.json<TokenPair>().refresh_token;

    await house.database.clock.freeze(1_900_000_010);
    const replayed = await refresh(replica, first);
    expect(saidOf(replayed)).toEqual({ level: 'info', status: 200, ...own(), verdict: 'replayed' });

    await refresh(replica, second);
    const superseded = await refresh(replica, first);
    const refused = { level: 'info', status: 401, ...own() };
    expect(saidOf(superseded)).toEqual({ ...refused, verdict: 'superseded', code: 'refresh_superseded' });
    expect(besides()).toEqual([]);

    await house.database.clock.freeze(1_900_000_060);
    const reused = await refresh(replica, first);
    expect(saidOf(reused)).toEqual({
      ...refused,
      verdict: 'reused',
      ended: 'session',
      reason: 'refresh_reused',
      code: 'refresh_reused',
    });
    expect(besides()).toEqual([
      {
        level: 'warn',
        time: expect.any(String) as string,
        reqId: reused.headers['x-request-id'],
        ip: '127.0.0.1',
        ...own(),
        msg: 'a refresh token was used again too late: taken for theft, its session has ended',
      },
    ]);

    const dead = await refresh(replica, second);
    expect(saidOf(dead)).toEqual({ ...refused, verdict: 'dead', code: 'invalid_token' });
    expect(besides()).toHaveLength(1);
  });

  it('with no token of ours names nobody', async () => {
    expect(saidOf(await refresh(replica, 'no token of ours'))).toEqual({
      level: 'info',
      status: 401,
      verdict: 'dead',
      code: 'invalid_token',
    });
  });
});

describe('an end', () => {
  const ended = { level: 'info', ended: 'session' };

  it('by logout is told once, and its repetition names the session alone', async () => {
    const headers = bearer(pair.access_token);
    const said = { level: 'info', status: 204, ...own() };
    expect(saidOf(await post('/logout', headers))).toEqual({ ...said, ended: 'session', reason: 'logout' });
    expect(saidOf(await post('/logout', headers))).toEqual(said);
  });

  it('by logout with cookies of two sessions names both', async () => {
    const other = await login(replica, user);
    const { origin } = new URL(DEFAULTS.issuer);
    const response = await post('/logout', {
      host: new URL(origin).host,
      'sec-fetch-site': 'same-origin',
      cookie: `${ACCESS_COOKIE}=${pair.access_token}; ${REFRESH_COOKIE}=${other.refresh_token}`,
    });
    const { session, otherSession, ...said } = saidOf(response);
    expect(said).toEqual({ ...ended, status: 204, user: user.id, reason: 'logout' });
    expect([session, otherSession].sort()).toEqual([pair.session_id, other.session_id].sort());
  });

  it('by logout of all names who asked', async () => {
    const response = await post('/logout-all', bearer(pair.access_token));
    expect(saidOf(response)).toEqual({
      level: 'info',
      status: 200,
      ...own(),
      ended: 'user',
      reason: 'logout_all',
    });
  });

  it('of another session names it, and the one that asked', async () => {
    const other = await login(replica, user);
    const end = () =>
      ask({
        method: 'DELETE',
        url: `/sessions/${other.session_id}`,
        headers: bearer(pair.access_token),
      });
    const said = { user: user.id, session: other.session_id, otherSession: pair.session_id };
    expect(saidOf(await end())).toEqual({ ...ended, status: 204, ...said, reason: 'session_ended' });
    expect(saidOf(await end())).toEqual({ level: 'info', status: 204, ...said });
  });

  it('of a session that the user does not have names what asked, and nothing that was sent', async () => {
    const stranger = await login(replica, await house.user());
    const url = `/sessions/${stranger.session_id}`;
    const response = await ask({ method: 'DELETE', url, headers: bearer(pair.access_token) });
    expect(saidOf(response)).toEqual({ level: 'info', status: 404, ...own(), code: 'not_found' });
  });

  it('by a client names it', async () => {
    const by = { level: 'info', status: 200, client: client.id, ...own() };
    const revoke = (token: string) => postForm(replica, '/revoke', client, { token });
    const revoked = { reason: 'revoked' };
    expect(saidOf(await revoke(pair.access_token))).toEqual({ ...by, ended: 'token', ...revoked });
    expect(saidOf(await revoke(pair.access_token))).toEqual(by);
    expect(saidOf(await revoke(pair.refresh_token))).toEqual({ ...by, ended: 'session', ...revoked });
    expect(saidOf(await revoke('no token of ours'))).toEqual({
      level: 'info',
      status: 200,
      client: client.id,
    });
  });

  it('by a new password names the session that it opened, and the one that asked', async () => {
    const headers = bearer(pair.access_token);
    const next = 'another password of some length';
    const wrong = await post('/password', headers, { current_password: 'wrong', new_password: next });
    expect(saidOf(wrong)).toEqual({
      level: 'info',
      status: 401,
      ...own(),
      code: 'invalid_credentials',
      reason: 'wrong_password',
    });
    const change = { current_password: user.password, new_password: next };
    const right = await retryOn503(() => post('/password', headers, change));
    expect(saidOf(right)).toEqual({
      level: 'info',
      status: 200,
      user: user.id,
      session: right.json<TokenPair>().session_id,
      otherSession: pair.session_id,
      ended: 'user',
      reason: 'password_changed',
    });
  });
});

describe('a token that a door has judged', () => {
  it('is named by its user and session, live or dead, with the client that asks', async () => {
    const headers = bearer(pair.access_token);
    expect(saidOf(await ask({ url: '/sessions', headers }))).toEqual({
      level: 'info',
      status: 200,
      ...own(),
    });
    expect(saidOf(await ask({ url: '/session', headers }))).toEqual({
      level: 'debug',
      status: 200,
      ...own(),
    });
    expect(saidOf(await postForm(replica, '/introspect', client, { token: pair.access_token }))).toEqual({
      level: 'debug',
      status: 200,
      client: client.id,
      ...own(),
    });
    await post('/logout', headers);
    expect(saidOf(await ask({ url: '/session', headers }))).toEqual({
      level: 'info',
      status: 401,
      ...own(),
      code: 'invalid_token',
    });
  });
});

it('has no name, no id of a token and nothing of a token in any line', async () => {
  const { access_token: access, refresh_token: token } = pair;
  await refresh(replica, token);
  await post('/logout', bearer(access));
  await postForm(replica, '/revoke', client, { token });
  await ask({ url: '/session', headers: { ...bearer(access), ...basic(client) } });
  const text = JSON.stringify(lines);
  expect(lines.length).toBeGreaterThan(3);
  const { jti } = claimsOf(access);
  for (const secret of [user.username, jti, jti.split('.')[0] ?? '', access.slice(-20), token.slice(-20)])
    expect(text).not.toContain(secret);
});
