// How often one may ask, and what is learned from being refused.
import pino from 'pino';
import Fastify, { type FastifyRequest, type LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';

import { buildApp } from '../../src/app.js';
import { openDatabase } from '../../src/database/prisma.js';
import { AuthError } from '../../src/domain/errors.js';
import { disableUser } from '../../src/domain/users/users.js';
import { createRates, RATES } from '../../src/http/doors/rates.js';
import { oauthErrorOf, problemOf } from '../support/answers.js';
import {
  AMPLE_MS,
  basic,
  bearer,
  DEFAULTS,
  login,
  openHouse,
  type House,
  type Replica,
  type TestClient,
  type TestUser,
} from '../support/house.js';
import { listen, type Asked } from '../support/plans.js';
import { stopClock, stopMinute } from '../support/stopped-clock.js';

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

let house: House;
let replica: Replica;
let client: TestClient;
let user: TestUser;
let statements: { asked: Asked[] };

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica({ through: (database) => (statements = listen(database)) });
  client = await house.client();
  user = await house.user();
});
afterAll(() => house.close());

function send(
  method: string,
  url: string,
  remoteAddress: string,
  headers: Record<string, string> = {},
  payload?: string,
): Promise<LightMyRequestResponse> {
  const body = payload === undefined ? {} : { payload };
  return replica.app.inject({ method: method as 'GET', url, remoteAddress, headers, ...body });
}

function ask(url: string, asker: TestClient, from: string): Promise<LightMyRequestResponse> {
  return send('POST', url, from, { ...FORM, ...basic(asker) }, 'token=any');
}

describe('a network that has spent its requests', () => {
  const flooded = '2001:db8:f:f::1';
  const neighbour = '2001:db8:f:f:abcd::2';
  const other = '2001:db8:f:0::1';

  beforeAll(async () => {
    const goOn = stopMinute();
    const cheap = '/.well-known/oauth-authorization-server';
    for (let sent = 0; sent < RATES.network.max; sent += 1) {
      const { statusCode } = await send('GET', cheap, flooded);
      if (statusCode !== 200) throw new Error(`refused after ${sent}: ${statusCode}`);
    }
    return goOn;
  });

  it.each([
    ['GET', '/.well-known/jwks.json'],
    ['GET', '/.well-known/oauth-authorization-server'],
    ['GET', '/openapi.json'],
    ['GET', '/sessions'],
    ['DELETE', '/sessions/00000000-0000-7000-8000-000000000000'],
    ['POST', '/login'],
    ['POST', '/refresh'],
    ['POST', '/logout'],
    ['POST', '/logout-all'],
  ])('is told by %s %s when to come back, before anything is looked up', async (method, url) => {
    const refused = await send(method, url, neighbour);
    expect(problemOf(refused)).toEqual({ status: 429, error: 'too_many_requests' });
    // The minute stands still.
    expect(refused.headers['retry-after']).toBe('60');
    expect(Object.keys(refused.headers).join()).not.toMatch(/ratelimit/i);
    expect((await send(method, url, other)).statusCode).not.toBe(429);
  });

  it.each(['/health', '/ready'])('is still answered by %s', async (url) => {
    expect((await send('GET', url, flooded)).statusCode).toBe(200);
  });

  it('is still answered by /session, which gateways ask for everyone', async () => {
    const { access_token: token } = await login(replica, user);
    expect((await send('GET', '/session', flooded, bearer(token))).statusCode).toBe(200);
    expect((await send('PROPFIND', '/session/any', flooded, bearer(token))).statusCode).toBe(200);
  });

  it('is still answered by /introspect and /revoke, where clients count by their id', async () => {
    expect((await ask('/introspect', client, flooded)).statusCode).toBe(200);
    expect((await ask('/revoke', client, flooded)).statusCode).toBe(200);
  });
});

describe('wrong client credentials', () => {
  const from = '192.0.2.66';

  beforeAll(async () => {
    const goOn = stopMinute();
    const wrong = { ...client, secret: 'not the secret' };
    for (let sent = 0; sent < RATES.wrongClient.max; sent += 1) {
      const { statusCode } = await ask('/introspect', wrong, from);
      if (statusCode !== 401) throw new Error(`refused after ${sent}: ${statusCode}`);
    }
    return goOn;
  });

  it.each(['/introspect', '/revoke'])(
    'are told by %s, in the words of OAuth, when to come back',
    async (url) => {
      const refused = await ask(url, { ...client, secret: 'not the secret' }, from);
      expect(oauthErrorOf(refused)).toEqual({ status: 429, error: 'too_many_requests' });
      expect(refused.headers['retry-after']).toBe('60');
      expect((await ask(url, { ...client, secret: 'not the secret' }, '192.0.2.67')).statusCode).toBe(401);
    },
  );

  it('spend nothing of the client whose id they present, not even beside it in its network', async () => {
    expect((await ask('/introspect', client, from)).statusCode).toBe(200);
    expect((await ask('/revoke', client, from)).statusCode).toBe(200);
  });

  it.each<[string, (wrong: TestClient) => Promise<LightMyRequestResponse>]>([
    ['with Basic', (wrong) => ask('/introspect', wrong, from)],
    ['at /revoke', (wrong) => ask('/revoke', wrong, from)],
    [
      'in the form',
      ({ id, secret }) =>
        send('POST', '/introspect', from, FORM, `token=t&client_id=${id}&client_secret=${secret}`),
    ],
  ])('share one statement a second, %s', async (_how, sendWrong) => {
    const before = statements.asked.length;
    const beganAtMs = performance.now();
    const wrong = [
      { ...client, secret: 'not-the-secret' },
      { id: 'nobody', secret: client.secret },
    ];
    const answers = await Promise.all(Array.from({ length: 50 }, () => wrong.map(sendWrong)).flat());
    expect(new Set(answers.map(({ statusCode }) => statusCode))).toEqual(new Set([429]));
    const seconds = Math.floor((performance.now() - beganAtMs) / 1000);
    expect(statements.asked.length - before).toBeLessThanOrEqual(1 + seconds);
  });

  it('leave other refusals what they are', async () => {
    const stranger = await house.client(['revoke']);
    expect((await ask('/introspect', stranger, from)).statusCode).toBe(403);
    expect((await send('POST', '/introspect', from, { ...FORM, ...basic(client) }, '')).statusCode).toBe(400);
  });
});

it('a client that has spent its requests is refused, and no other', async () => {
  const app = Fastify();
  const { takeRequest: take } = await createRates(app, replica.gatehouse, RATES);
  const requestOf = (id: string) => ({ client: { id }, routeOptions: {} }) as FastifyRequest;
  const loop = requestOf('in a loop');
  onTestFinished(stopMinute());
  for (let sent = 0; sent < RATES.client.max; sent += 1) await take(loop);
  await expect(take(loop)).rejects.toMatchObject({ code: 'too_many_requests' });
  await expect(take(requestOf('another'))).resolves.toBeUndefined();
  await app.close();
});

it('a client that has spent its tokens is refused as many as it asks about, and no other, until the minute is over', async () => {
  const app = Fastify();
  const { takeTokens } = await createRates(app, replica.gatehouse, RATES);
  const pass = stopClock();
  for (let taken = 0; taken < RATES.tokens.max; taken += 250) takeTokens('in a loop', 250);
  await pass(45_500);
  const refusal = { code: 'too_many_requests', retryAfterSeconds: 15 };
  expect(() => takeTokens('in a loop', 1)).toThrow(expect.objectContaining(refusal));
  expect(() => takeTokens('another', RATES.tokens.max + 1)).toThrow(AuthError);
  expect(() => takeTokens('a third', RATES.tokens.max)).not.toThrow();
  await pass(14_500);
  expect(() => takeTokens('in a loop', RATES.tokens.max)).not.toThrow();
  await app.close();
});

describe('a request of a client counts, also when it is refused:', () => {
  const MIB = 1024 * 1024;
  const JSON_TYPE = { 'content-type': 'application/json' };
  const TOKENS = '{"tokens":["any"]}';
  const BATCH = '/introspect/batch';

  it.each<[what: string, url: string, headers: Record<string, string>, body: string, status: number]>([
    ['none', BATCH, JSON_TYPE, TOKENS, 200],
    ['1 MiB of nonsense', BATCH, JSON_TYPE, '['.repeat(MIB), 400],
    ['other JSON', BATCH, JSON_TYPE, '{}', 400],
    ['another type', BATCH, FORM, 'token=any', 415],
    ['more than 1 MiB', BATCH, JSON_TYPE, ' '.repeat(MIB + 1), 413],
    ['no permission, many tokens', BATCH, JSON_TYPE, TOKENS, 403],
    ['no permission', '/introspect', FORM, 'token=any', 403],
  ])('for %s', async (_what, url, headers, payload, status) => {
    onTestFinished(stopMinute());
    const asker = await house.client(status === 403 ? ['revoke'] : ['introspect']);
    const app = await buildApp({
      gatehouse: replica.gatehouse,
      config: DEFAULTS,
      logger: pino({ level: 'silent' }),
      answerDeadlineMs: AMPLE_MS,
      limits: { ...RATES, client: { ...RATES.client, max: 2 } },
    });
    onTestFinished(() => app.close());
    const statusOf = async (by: TestClient) => {
      const answer = await app.inject({
        method: 'POST',
        url,
        headers: { ...headers, ...basic(by) },
        payload,
      });
      return answer.statusCode;
    };
    expect([await statusOf(asker), await statusOf(asker), await statusOf(asker)]).toEqual([
      status,
      status,
      429,
    ]);
    expect(await statusOf(await house.client(['revoke']))).not.toBe(429);
  });
});

/** All that an answer says, but for the request's id, the time of day and `without`. */
function contentOf({ statusMessage, headers, body }: LightMyRequestResponse, without?: string): string {
  const id = String(headers['x-request-id']);
  const told = Object.entries(headers).filter(([name]) => !['date', without].includes(name));
  return JSON.stringify([statusMessage, told, body]).replaceAll(id, 'ID');
}

describe('a refused login', () => {
  it('has the same bytes and headers for an unknown, a wrong and a disabled one', async () => {
    const admin = openDatabase(house.database.url, { connections: 1, deadlineMs: AMPLE_MS });
    const disabled = await house.user();
    await disableUser(admin, disabled.username);
    await admin.close();
    const attempts = [
      { username: user.username, password: 'a wrong password' },
      { username: 'nobody-of-that-name', password: 'a wrong password' },
      { username: 'no\u0000name', password: 'a wrong password' },
      { username: disabled.username, password: disabled.password },
      { username: disabled.username, password: 'a wrong password' },
    ];
    const answers = await Promise.all(
      attempts.map(async (attempt, turn) => {
        const json = { 'content-type': 'application/json' };
        const answer = await send('POST', '/login', `192.0.2.${turn}`, json, JSON.stringify(attempt));
        expect(answer.statusCode).toBe(401);
        return contentOf(answer);
      }),
    );
    expect(answers[0]).toContain('"instance\\":\\"ID\\"');
    expect(new Set(answers).size).toBe(1);
  });

  it('for want of attempts has them too, for a name that exists and one that does not', async () => {
    const names = [user.username, 'nobody-of-that-name-either'];
    const answers = await Promise.all(
      names.map(async (username, turn) => {
        const json = { 'content-type': 'application/json' };
        const guess = JSON.stringify({ username, password: 'a wrong password' });
        const ask = () => send('POST', '/login', `192.0.2.${100 + turn}`, json, guess);
        await Promise.all(Array.from({ length: 20 }, ask));
        const answer = await ask();
        expect(answer.statusCode).toBe(429);
        expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
        return contentOf(answer, 'retry-after');
      }),
    );
    expect(new Set(answers).size).toBe(1);
  });
});
