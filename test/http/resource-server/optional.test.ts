// Routes that take requests with and without a token, and refusals in the application's own words.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import Fastify, { type FastifyInstance } from 'fastify';

import gatehouse, { type OnRefusal } from '../../../packages/resource-server/src/fastify.js';
import { findFreePort } from '../../../packages/lab/shared/ports.js';
import { TOKEN_CHALLENGE } from '../../support/answers.js';
import { bearer, claimsOf, type TokenPair } from '../../support/house.js';
import { openOrders, openStage, type Stage } from './stage.js';

let stage: Stage;
let pair: TokenPair;

beforeAll(async () => {
  stage = await openStage();
});
beforeEach(async () => {
  await stage.house.database.clock.set(0);
  pair = await stage.logIn();
});
afterAll(() => stage.close());

describe('an optional route', () => {
  const addRoutes = (app: FastifyInstance) => {
    app.get('/news', { config: { optional: true } }, (request) => ({
      reader: request.findUser()?.sub ?? null,
    }));
    app.get('/careless', { config: { optional: true } }, (request) => request.user);
    app.get('/vary', { config: { optional: true } }, (_request, reply) =>
      reply.header('vary', 'Accept').send('x'),
    );
    app.get('/own', (request) => ({ reader: request.findUser()?.sub }));
    app.get('/open', { config: { public: true } }, (request) => ({ reader: request.findUser() }));
  };

  it('answers without a token, and knows who sends one', async () => {
    const { get } = await openOrders(stage.options, addRoutes);
    const without = await get('/news');
    expect([without.statusCode, without.json()]).toEqual([200, { reader: null }]);
    const reader = claimsOf(pair.access_token).sub;
    const withToken = await get('/news', pair.access_token);
    expect([withToken.statusCode, withToken.json()]).toEqual([200, { reader }]);
    expect((await get('/own', pair.access_token)).json()).toEqual({ reader });
  });

  it('refuses a token that is not live, and whatever else is sent as one', async () => {
    const { get } = await openOrders(stage.options, addRoutes);
    await stage.logOut(pair);
    const dead = await get('/news', pair.access_token);
    expect(dead.statusCode).toBe(401);
    expect(dead.headers['www-authenticate']).toMatch(TOKEN_CHALLENGE);
    for (const authorization of ['', 'Bearer', 'Bearer ', 'Basic YTpi', 'bearer x y'])
      expect([authorization, (await get('/news', undefined, { authorization })).statusCode]).toEqual([
        authorization,
        401,
      ]);
  });

  it('is 503 for a token of which nobody can know, and open without one', async () => {
    const url = `http://127.0.0.1:${await findFreePort()}`;
    const { get } = await openOrders({ ...stage.options, url }, addRoutes);
    expect((await get('/news', pair.access_token)).statusCode).toBe(503);
    expect((await get('/news')).statusCode).toBe(200);
  });

  it('tells caches that its answer depends on who asks, once', async () => {
    const { get } = await openOrders(stage.options, addRoutes);
    for (const token of [undefined, pair.access_token]) {
      expect((await get('/news', token)).headers['vary']).toBe('Authorization');
      expect((await get('/vary', token)).headers['vary']).toBe('Accept, Authorization');
    }
    await stage.house.database.clock.set(590);
    const renewed = await get('/news', pair.access_token);
    expect(renewed.headers).toHaveProperty('refreshed-api-token');
    expect(renewed.headers['vary']).toBe('Authorization');
  });

  it('lets nobody read a user by mistake who is not there', async () => {
    const { get } = await openOrders(stage.options, addRoutes);
    const careless = await get('/careless');
    expect([careless.statusCode, careless.body]).toEqual([
      500,
      expect.stringContaining('request.findUser()'),
    ]);
    expect((await get('/careless', pair.access_token)).json()).toEqual(claimsOf(pair.access_token));
    expect((await get('/open', pair.access_token)).statusCode).toBe(500);
  });
});

describe('onRefusal', () => {
  const withHook = (onRefusal: OnRefusal) => openOrders({ ...stage.options, onRefusal });

  it('writes the body; status and headers stay those of the refusal', async () => {
    const { get } = await withHook(({ error, status }, { url }) => ({ failed: error, status, url }));
    const none = await get('/me');
    expect(none.json()).toEqual({ failed: 'invalid_token', status: 401, url: '/me' });
    expect([none.statusCode, none.headers['www-authenticate']]).toEqual([401, 'Bearer realm="gatehouse"']);
    expect(none.headers).toMatchObject({
      'content-type': expect.stringMatching(/^application\/json/) as string,
      'cache-control': 'no-store',
    });
    const lacking = await stage.logIn();
    const refused = await (
      await openOrders({ ...stage.options, onRefusal: ({ error }) => error }, (app) => {
        app.get('/admin', { config: { scope: 'orders:admin' } }, () => 'secret');
      })
    ).get('/admin', lacking.access_token);
    expect([refused.statusCode, refused.body]).toEqual([403, 'insufficient_scope']);
    expect(refused.headers['www-authenticate']).toContain('scope="orders:admin"');
  });

  it('may wait, answer by itself, or leave it to the plugin', async () => {
    const { get } = await withHook(async (_refusal, request, reply) => {
      await Promise.resolve();
      if (request.headers.accept === 'text/html') return reply.redirect('/sign-in', 303);
      return undefined;
    });
    const page = await get('/me', undefined, { accept: 'text/html' });
    expect([page.statusCode, page.headers['location'], page.body]).toEqual([303, '/sign-in', '']);
    const program = await get('/me');
    expect(program.statusCode).toBe(401);
    expect(program.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(program.json()).toMatchObject({ error: 'invalid_token', instance: expect.any(String) as string });
  });

  it('opens nothing, whatever it does', async () => {
    let handled = 0;
    const hooks: OnRefusal[] = [
      (_refusal, _request, reply) => reply.code(200).send('come in'),
      (_refusal, _request, reply) => void reply.code(200),
      () => {
        throw new Error('the hook is broken');
      },
      () => Promise.reject(new Error('the hook is broken')),
      () => null,
      () => '',
    ];
    for (const onRefusal of hooks) {
      const { app, get, log } = await openOrders({ ...stage.options, onRefusal }, (routes) => {
        routes.post('/count', () => (handled += 1));
      });
      const answer = await app.inject({ method: 'POST', url: '/count', payload: { a: 1 } });
      expect(answer.statusCode).toBe(hooks.indexOf(onRefusal) < 2 ? 200 : 401);
      if (onRefusal.length === 0 && hooks.indexOf(onRefusal) < 4) {
        expect(answer.json()).toMatchObject({ error: 'invalid_token' });
        expect(log.join('')).toContain('onRefusal has failed');
      }
      expect((await get('/me', pair.access_token)).statusCode).toBe(200);
    }
    expect(handled).toBe(0);
  });

  it('keeps the successor of a token in its grace, but on a 5xx', async () => {
    const codes = [401, 500];
    const { get } = await withHook((_refusal, _request, reply) => {
      reply.code(codes.shift() ?? 401);
      return 'expired';
    });
    await stage.house.database.clock.set(630);
    expect((await get('/me', pair.access_token)).headers).toHaveProperty('refreshed-api-token');
    const broken = await get('/me', pair.access_token);
    expect([broken.statusCode, 'refreshed-api-token' in broken.headers]).toEqual([500, false]);
  });

  it('must be a function', async () => {
    const options = { ...stage.options, onRefusal: 'json' as unknown as OnRefusal };
    await expect(async () => await Fastify().register(gatehouse, options)).rejects.toThrow(
      /onRefusal is not a function/,
    );
  });
});

it('needs nothing of either: a guarded route is as it was', async () => {
  const { app } = await openOrders(stage.options);
  const answer = await app.inject({ url: '/me', headers: bearer(pair.access_token) });
  expect([answer.statusCode, answer.headers['vary']]).toEqual([200, undefined]);
});
