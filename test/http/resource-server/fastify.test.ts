// The Fastify plugin before a real Gatehouse: who gets in, what the others are told, and what rides back.
import { setTimeout as sleep } from 'node:timers/promises';
import cors from '@fastify/cors';
import Fastify, { type FastifyInstance, type LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import gatehouse, { hasScope } from '../../../packages/resource-server/src/fastify.js';
import { forge, MARKER, PLAIN_CHALLENGE, TOKEN_CHALLENGE } from '../../support/answers.js';
import { findFreePort } from '../../../packages/lab/shared/ports.js';
import { bearer, claimsOf, type TokenPair } from '../../support/house.js';
import { listen, openOrders, openStage, type Orders, type Stage } from './stage.js';

const ORIGIN = 'https://shop.example';

let stage: Stage;
let orders: Orders;
let pair: TokenPair;

beforeAll(async () => {
  stage = await openStage();
});
beforeEach(async () => {
  await stage.house.database.clock.set(0);
  orders = await openOrders(stage.options);
  pair = await stage.logIn();
});
afterAll(() => stage.close());

/** Reads a refusal; the test fails on any member or header out of place. */
function refusalOf(answer: LightMyRequestResponse): { status: number; error: string; challenge: unknown } {
  const body = answer.json<Record<string, unknown>>();
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(answer.headers['cache-control']).toBe('no-store');
  expect(Object.keys(body).sort()).toEqual(['detail', 'error', 'instance', 'status', 'title', 'type']);
  expect(body['status']).toBe(answer.statusCode);
  expect(answer.body).not.toContain(MARKER);
  return {
    status: answer.statusCode,
    error: String(body['error']),
    challenge: answer.headers['www-authenticate'],
  };
}

describe('a live token', () => {
  it('gets in, with its claims as request.user', async () => {
    const answer = await orders.get('/me', pair.access_token);
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual(claimsOf(pair.access_token));
    expect(answer.headers).not.toHaveProperty('refreshed-api-token');
  });

  it('gets in where its scope is asked for', async () => {
    expect((await orders.get('/orders', pair.access_token)).json()).toEqual(['a book']);
  });

  it('is refused where another scope is needed, which the challenge names', async () => {
    const answer = await orders.app.inject({
      method: 'POST',
      url: '/orders',
      headers: bearer(pair.access_token),
    });
    expect(refusalOf(answer)).toEqual({
      status: 403,
      error: 'insufficient_scope',
      challenge: 'Bearer realm="gatehouse", error="insufficient_scope", scope="orders:read orders:write"',
    });
  });

  it('is judged 200 times at once, each for its own user', async () => {
    const pairs = await Promise.all(Array.from({ length: 8 }, () => stage.logIn()));
    const asked = Array.from({ length: 200 }, (_, turn) => pairs[turn % pairs.length]?.access_token ?? '');
    // On a machine that is too busy some are told to ask again, and nothing else.
    const ask = async (token: string): Promise<LightMyRequestResponse> => {
      const answer = await orders.get('/me', token);
      return answer.statusCode === 503 ? ask(token) : answer;
    };
    const answers = await Promise.all(asked.map(ask));
    expect(answers.map((answer) => answer.json<unknown>())).toEqual(asked.map(claimsOf));
  });
});

describe('everybody else is refused', () => {
  it.each([
    ['without a token', () => undefined],
    ['with another scheme', () => `Basic ${MARKER}`],
    ['with an empty header', () => ''],
  ])('%s, and told of no error', async (_how, authorization) => {
    const header = authorization();
    const headers = header === undefined ? {} : { authorization: header };
    const answer = await orders.get('/me', undefined, headers);
    expect(refusalOf(answer)).toEqual({ status: 401, error: 'invalid_token', challenge: PLAIN_CHALLENGE });
  });

  it.each([
    ['a bearer without a token', () => 'Bearer'],
    ['two tokens', () => `Bearer ${MARKER} ${MARKER}`],
    ['a text that is no token', () => `Bearer ${MARKER}`],
    ['a text as long as a token may be', () => `Bearer ${'a'.repeat(3800)}`],
    ['a text longer than a token may be', () => `Bearer ${'a'.repeat(15_000)}`],
    ['a text in base64 that is not base64url', () => `Bearer ${pair.access_token}=`],
    ['a refresh token', () => `Bearer ${pair.refresh_token}`],
    ['a forged token', () => `Bearer ${forge(pair.access_token)}`],
  ])('with %s', async (_what, authorization) => {
    const answer = await orders.get('/me', undefined, { authorization: authorization() });
    expect(refusalOf(answer)).toEqual({
      status: 401,
      error: 'invalid_token',
      challenge: expect.stringMatching(TOKEN_CHALLENGE) as string,
    });
    expect(answer.headers).not.toHaveProperty('refreshed-api-token');
  });

  it('from the moment that a logout was answered', async () => {
    expect((await orders.get('/me', pair.access_token)).statusCode).toBe(200);
    await stage.logOut(pair);
    expect(refusalOf(await orders.get('/me', pair.access_token))).toMatchObject({ status: 401 });
  });

  it('before their body is read', async () => {
    const answer = await orders.app.inject({
      method: 'POST',
      url: '/orders',
      headers: { 'content-type': 'application/json' },
      payload: '{no json',
    });
    expect(refusalOf(answer)).toMatchObject({ status: 401 });
  });

  it('before their handler runs, however long the application takes to send the refusal', async () => {
    const { url: down } = await listen((_request, response) => response.writeHead(503).end('{}'));
    const handled: string[] = [];
    const prepare = (app: FastifyInstance) => {
      for (let hook = 0; hook < 2; hook += 1)
        app.addHook('onSend', async (_request, _reply, payload) => {
          await sleep(20);
          return payload;
        });
      app.delete('/orders', { config: { scope: 'orders:write' } }, (request, reply) => {
        handled.push(request.method);
        return reply.code(200).send({ secret: 42 });
      });
    };
    const { app } = await openOrders(stage.options, prepare);
    const away = await openOrders({ ...stage.options, url: down, timeoutMs: 300 }, prepare);
    const refused = (orders: FastifyInstance, headers = {}) =>
      orders.inject({ method: 'DELETE', url: '/orders', headers });
    const refusals = [
      await refused(app),
      await refused(app, bearer(pair.access_token)),
      await refused(away.app, bearer(pair.access_token)),
    ];
    expect(refusals.map(({ statusCode }) => statusCode)).toEqual([401, 403, 503]);
    for (const { body } of refusals) expect(body).not.toContain('secret');
    expect(handled).toEqual([]);
  });

  it('whatever the application makes of its own errors', async () => {
    const own = await openOrders(stage.options, (app) => {
      app.setErrorHandler((_error, _request, reply) => reply.code(500).send('oops'));
    });
    expect(refusalOf(await own.get('/me'))).toMatchObject({ status: 401, challenge: PLAIN_CHALLENGE });
  });

  it('of a live token of another issuer or audience, and the log says so', async () => {
    for (const [name, value, why] of [
      ['issuer', 'https://elsewhere.example', 'is not'],
      ['audience', 'elsewhere', 'does not hold'],
    ] as const) {
      const strict = await openOrders({ ...stage.options, [name]: value });
      expect(refusalOf(await strict.get('/me', pair.access_token))).toMatchObject({ status: 401 });
      expect(strict.log.join('')).toContain(`${why} the option \`${name}\``);
    }
    const same = { issuer: 'http://gatehouse.test', audience: 'gatehouse' };
    const right = await openOrders({ ...stage.options, ...same });
    expect((await right.get('/me', pair.access_token)).statusCode).toBe(200);
  });
});

describe('the successor of a token near its end', () => {
  it.each(['/me', '/orders', '/teapot'])('rides back on %s', async (path) => {
    await stage.house.database.clock.set(500);
    const answer = await orders.get(path, pair.access_token);
    const successor = String(answer.headers['refreshed-api-token']);
    expect(claimsOf(successor).jti).toBe(claimsOf(pair.access_token).jti.replace(/0$/, '1'));
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', vary: 'Authorization' });
    expect((await orders.get('/me', successor)).statusCode).toBe(200);
  });

  it('rides back on the 403 of a missing scope', async () => {
    await stage.house.database.clock.set(500);
    const answer = await orders.app.inject({
      method: 'POST',
      url: '/orders',
      headers: bearer(pair.access_token),
    });
    expect(refusalOf(answer)).toMatchObject({ status: 403 });
    expect(answer.headers).toHaveProperty('refreshed-api-token');
  });

  it('rides back on the 401 of the grace, and not after it', async () => {
    await stage.house.database.clock.set(620);
    const answer = await orders.get('/me', pair.access_token);
    expect(refusalOf(answer)).toMatchObject({
      status: 401,
      challenge: expect.stringMatching(TOKEN_CHALLENGE) as string,
    });
    expect(answer.headers['vary']).toBe('Authorization');
    expect((await orders.get('/me', String(answer.headers['refreshed-api-token']))).statusCode).toBe(200);
    await stage.house.database.clock.set(661);
    const late = await orders.get('/me', pair.access_token);
    expect(refusalOf(late)).toMatchObject({ status: 401 });
    expect(late.headers).not.toHaveProperty('refreshed-api-token');
  });

  it('never rides on a 5xx, nor after a logout', async () => {
    await stage.house.database.clock.set(500);
    const broken = await orders.get('/broken', pair.access_token);
    expect(broken.statusCode).toBe(500);
    expect(broken.headers).not.toHaveProperty('refreshed-api-token');
    await stage.logOut(pair);
    expect((await orders.get('/me', pair.access_token)).headers).not.toHaveProperty('refreshed-api-token');
  });

  it('makes no-store of what the route says to caches, and adds to its Vary', async () => {
    const cached = await openOrders(stage.options, (app) => {
      app.get('/cached', (_request, reply) =>
        reply.headers({ 'cache-control': 'max-age=60', vary: 'Accept' }).send('for a minute'),
      );
    });
    const early = await cached.get('/cached', pair.access_token);
    expect(early.headers).toMatchObject({ 'cache-control': 'max-age=60', vary: 'Accept' });
    await stage.house.database.clock.set(500);
    const late = await cached.get('/cached', pair.access_token);
    expect(late.headers).toMatchObject({ 'cache-control': 'no-store', vary: 'Accept, Authorization' });
  });
});

describe('where nobody is asked', () => {
  it('a public route answers, and knows no user even of a live token', async () => {
    const open = await openOrders(stage.options, (app) => {
      app.get('/who', { config: { public: true } }, (request) => request.user);
    });
    expect((await open.get('/menu')).body).toBe('for all');
    expect((await open.get('/who', pair.access_token)).statusCode).toBe(500);
    expect(open.log.join('')).toContain('on a public route');
  });

  it('an unknown path is 404 for everybody', async () => {
    expect((await orders.get('/nothing')).statusCode).toBe(404);
    expect((await orders.get('/nothing', pair.access_token)).statusCode).toBe(404);
  });

  it('routes beside the scope that registered the plugin stay open', async () => {
    const app = Fastify();
    await app.register(async (inner) => {
      const fastifysOwn = { prefix: '/api', logLevel: 'warn', logSerializers: {} } as const;
      await inner.register(gatehouse, { ...stage.options, ...fastifysOwn });
      inner.get('/inside', () => 'guarded');
    });
    app.get('/outside', () => 'open');
    expect((await app.inject('/outside')).statusCode).toBe(200);
    expect((await app.inject('/inside')).statusCode).toBe(401);
    await app.close();
  });

  it('has a name that other plugins can depend on, and says which Fastify it is for', async () => {
    const { app } = await openOrders(stage.options);
    expect(app.hasPlugin('gatehouse')).toBe(true);
    // Where Fastify looks before it takes a plugin.
    const meta = Object.getOwnPropertyDescriptor(gatehouse, Symbol.for('plugin-meta'))?.value as object;
    expect(meta).toMatchObject({ fastify: '5.x' });
  });
});

describe('the method', () => {
  it('HEAD is guarded as its GET is', async () => {
    const ask = (headers: Record<string, string>) =>
      orders.app.inject({ method: 'HEAD', url: '/orders', headers });
    expect((await ask({})).statusCode).toBe(401);
    expect((await ask(bearer(pair.access_token))).statusCode).toBe(200);
  });

  const preflight = { origin: ORIGIN, 'access-control-request-method': 'GET' };

  it.each([
    ['before', true],
    ['after', false],
  ])('of a preflight needs no token, CORS registered %s', async (_when, first) => {
    const app = Fastify();
    const share = () => app.register(cors, { origin: ORIGIN, exposedHeaders: ['Refreshed-API-Token'] });
    if (first) await share();
    await app.register(gatehouse, stage.options);
    app.all('/orders', () => 'guarded');
    if (!first) await share();
    const asked = await app.inject({ method: 'OPTIONS', url: '/orders', headers: preflight });
    expect(asked.statusCode).toBe(204);
    expect(asked.headers['access-control-allow-origin']).toBe(ORIGIN);
    await stage.house.database.clock.set(620);
    const refused = await app.inject({
      url: '/orders',
      headers: { ...bearer(pair.access_token), origin: ORIGIN },
    });
    expect(refused.statusCode).toBe(401);
    expect(refused.headers).toMatchObject({
      'access-control-allow-origin': ORIGIN,
      'access-control-expose-headers': 'Refreshed-API-Token',
      'refreshed-api-token': expect.any(String) as string,
      vary: 'Authorization',
    });
    await app.close();
  });

  it('OPTIONS opens a route of its own to preflights alone, and no other route', async () => {
    const own = await openOrders(stage.options, (app) => {
      app.options('/own', () => 'hints');
      app.all('/all', () => 'secrets');
    });
    const ask = (url: string, headers: Record<string, string>) =>
      own.app.inject({ method: 'OPTIONS', url, headers }).then(({ statusCode }) => statusCode);
    expect(await ask('/own', preflight)).toBe(200);
    expect(await ask('/own', {})).toBe(401);
    expect(await ask('/own', { origin: ORIGIN })).toBe(401);
    expect(await ask('/own', { 'access-control-request-method': 'GET' })).toBe(401);
    expect(await ask('/all', preflight)).toBe(401);
  });
});

describe('the log', () => {
  it('holds no token, whatever becomes of it', async () => {
    await stage.house.database.clock.set(500);
    const successor = String((await orders.get('/me', pair.access_token)).headers['refreshed-api-token']);
    await orders.get('/broken', pair.access_token);
    await orders.get('/me', pair.refresh_token);
    await orders.get('/me', forge(pair.access_token));
    const log = orders.log.join('');
    expect(log).toContain('"/me"');
    for (const token of [pair.access_token, pair.refresh_token, successor, forge(pair.access_token)])
      expect(log).not.toContain(token.slice(-20));
  });

  it.each([
    ['a wrong secret', () => ({ clientSecret: MARKER }), 'the client id or secret is wrong'],
    ['an unknown id', () => ({ clientId: MARKER }), 'the client id or secret is wrong'],
    ['a wrong path', () => ({ url: `${stage.options.url}/elsewhere` }), 'no /introspect below `url`'],
  ])('says what to correct for %s, and the caller gets 503', async (_what, wrong, advice) => {
    const misled = await openOrders({ ...stage.options, ...wrong() });
    const answer = await misled.get('/me', pair.access_token);
    expect(refusalOf(answer)).toMatchObject({ status: 503, error: 'temporarily_unavailable' });
    expect(answer.headers['retry-after']).toBe('1');
    const line = misled.log.find((text) => text.includes(advice)) ?? '{}';
    expect(JSON.parse(line)).toMatchObject({ level: 50 });
    expect(misled.log.join('')).not.toContain(MARKER);
  });

  it.each<[number, number, string]>([
    [400, 50, 'Gatehouse answered 400: `url` may not be the address of Gatehouse.'],
    [429, 40, 'Gatehouse answered 429.'],
    [500, 40, 'Gatehouse answered 500.'],
  ])('says of a %i, at level %i, what came', async (status, level, msg) => {
    const fake = await listen((_request, response) => response.writeHead(status).end());
    const misled = await openOrders({ ...stage.options, url: fake.url });
    expect((await misled.get('/me', pair.access_token)).statusCode).toBe(503);
    const lines = misled.log.map((line) => JSON.parse(line) as { level: number; msg: string });
    expect(lines).toContainEqual(expect.objectContaining({ level, msg }));
  });

  it('says as a warning that Gatehouse cannot be reached', async () => {
    const alone = await openOrders({ ...stage.options, url: `http://127.0.0.1:${await findFreePort()}` });
    expect((await alone.get('/me', pair.access_token)).statusCode).toBe(503);
    const line = alone.log.find((text) => text.includes('cannot be reached')) ?? '{}';
    expect(JSON.parse(line)).toMatchObject({ level: 40 });
  });

  it('says so for a client without the permission', async () => {
    const revoker = await stage.house.client(['revoke']);
    const credentials = { clientId: revoker.id, clientSecret: revoker.secret };
    const misled = await openOrders({ ...stage.options, ...credentials });
    expect((await misled.get('/me', pair.access_token)).statusCode).toBe(503);
    expect(misled.log.join('')).toContain('--permission introspect');
  });
});

describe('a mistake', () => {
  it('in the options is named at registration, with all others', async () => {
    const app = Fastify();
    const wrong = { url: 'auth.example', clientId: '', clientSecret: undefined, cacheSecond: 3 };
    await expect(async () => await app.register(gatehouse, wrong)).rejects.toThrow(
      /cacheSecond is no option.*url is not.*clientId is missing.*clientSecret is missing/,
    );
  });

  it.each([
    ['a scope that is a list', { scope: ['a'] as unknown as string }, /is one text.*GET \/wrong/],
    ['a scope with a comma too many', { scope: 'a  b' }, /is one text.*GET \/wrong/],
    ['a public route with a scope', { public: true, scope: 'a' }, /asks for no scope.*GET \/wrong/],
    ['a public that is neither', { public: 'yes' as unknown as boolean }, /true or false.*GET \/wrong/],
    ['an optional route with a scope', { optional: true, scope: 'a' }, /asks for no scope.*GET \/wrong/],
    ['an optional that is neither', { optional: 1 as unknown as boolean }, /true or false.*GET \/wrong/],
    ['a maxAge that is none', { maxAge: -1 }, /maxAge.*GET \/wrong/],
    ['a maxAge in minutes', { maxAge: '15m' as unknown as number }, /maxAge.*GET \/wrong/],
    ['a public route with a maxAge', { public: true, maxAge: 1 }, /no maxAge.*GET \/wrong/],
    ['an optional one with a maxAge', { optional: true, maxAge: 1 }, /no maxAge.*GET \/wrong/],
    ['both', { optional: true, public: true }, /public or optional.*GET \/wrong/],
  ])('in a route is named when it is added: %s', async (_what, config, message) => {
    const app = Fastify();
    await app.register(gatehouse, stage.options);
    expect(() => app.get('/wrong', { config }, () => 'open?')).toThrow(message);
  });

  it('in a route that was there before the plugin keeps the route closed', async () => {
    const app: FastifyInstance = Fastify();
    app.get('/wrong', { config: { scope: 'a,"b' } }, () => 'open?');
    await app.register(gatehouse, stage.options);
    const answer = await app.inject({ url: '/wrong', headers: bearer(pair.access_token) });
    expect(answer.statusCode).toBe(500);
    expect(answer.json()).toMatchObject({
      message: expect.stringMatching(/is one text.*\(GET \/wrong\)/) as string,
    });
    await app.close();
  });
});

it('hasScope() knows whole scopes only', () => {
  expect(hasScope({ scope: 'orders:read orders:write' }, 'orders:write')).toBe(true);
  expect(hasScope({ scope: 'orders:read orders:write' }, 'orders:write orders:read')).toBe(true);
  expect(hasScope({ scope: 'orders:read' }, 'orders')).toBe(false);
  expect(hasScope({ scope: 'orders:read' }, 'orders:read orders:write')).toBe(false);
  expect(hasScope({}, 'orders:read')).toBe(false);
  expect(hasScope({}, '')).toBe(true);
  expect(() => hasScope({ scope: 'a' }, 'a,b "')).toThrow(TypeError);
});
