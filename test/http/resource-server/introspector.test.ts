// The plain function: the same promise for node:http, for Express and its kin, and by the names that the package exports.
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';

import {
  createIntrospector,
  Refusal,
  type GatehouseOptions,
} from '../../../packages/resource-server/src/introspector.js';
import { bearer, claimsOf, type TokenPair } from '../../support/house.js';
import { listen, openStage, type Stage } from './stage.js';

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

function open(options: Partial<GatehouseOptions> = {}) {
  const introspect = createIntrospector({ ...stage.options, ...options });
  onTestFinished(introspect.close);
  return introspect;
}

it('tells who it is, and what rides back', async () => {
  const introspect = open();
  const { authorization } = bearer(pair.access_token);
  expect(await introspect(authorization, { scope: 'orders:read' })).toEqual({
    user: claimsOf(pair.access_token),
    refreshedToken: undefined,
    headers: {},
  });
  await stage.house.database.clock.set(500);
  const { refreshedToken = '', headers } = await introspect(authorization);
  expect(claimsOf(refreshedToken).jti).toMatch(/\.1$/);
  expect(headers).toEqual({
    'refreshed-api-token': refreshedToken,
    'cache-control': 'no-store',
    vary: 'Authorization',
  });
});

it('hands out claims that nobody can change for the next one', async () => {
  const { user } = await open({ cacheSeconds: 10 })(bearer(pair.access_token).authorization);
  expect(() => Object.assign(user, { sub: 'another' })).toThrow(TypeError);
});

describe('a refusal', () => {
  it('is thrown, with all that the caller must be sent', async () => {
    await stage.house.database.clock.set(620);
    const refusal: unknown = await open()(bearer(pair.access_token).authorization).catch(
      (error: unknown) => error,
    );
    expect(refusal).toBeInstanceOf(Refusal);
    expect(refusal).toMatchObject({
      error: 'invalid_token',
      status: 401,
      statusCode: 401,
      expose: true,
      headers: {
        'www-authenticate': expect.stringContaining('error="invalid_token"') as string,
        'refreshed-api-token': expect.any(String) as string,
        'cache-control': 'no-store',
        'content-type': 'application/problem+json',
      },
    });
    expect(JSON.parse((refusal as Refusal).body)).toEqual((refusal as Refusal).problem);
  });

  it.each([undefined, null, '', 'Basic abc', 'Bearer', 'Bearer a b', 'bearer ,'])(
    'comes without asking for a header of %j',
    async (authorization) => {
      const fake = await listen((_request, response) => response.end());
      await expect(open({ url: fake.url })(authorization)).rejects.toMatchObject({ status: 401 });
      expect(fake.requests()).toBe(0);
    },
  );

  it('of a scope that is none is a mistake of the program, not of the caller', async () => {
    await expect(open()('Bearer a', { scope: 'a,b "c"' })).rejects.toThrow(TypeError);
  });
});

describe('node:http', () => {
  it('needs a try and a catch', async () => {
    const introspect = open();
    const server = await listen((request, response) => {
      void (async () => {
        try {
          const { user, headers } = await introspect(request.headers.authorization);
          response.writeHead(200, headers).end(`Hello ${user.username}`);
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          response.writeHead(error.status, error.headers).end(error.body);
        }
      })();
    });
    const good = await fetch(server.url, { headers: bearer(pair.access_token) });
    expect(await good.text()).toBe(`Hello ${claimsOf(pair.access_token).username}`);
    const bad = await fetch(server.url, { headers: bearer(pair.refresh_token) });
    expect(bad.status).toBe(401);
    expect(bad.headers.get('content-type')).toBe('application/problem+json');
    expect(await bad.json()).toMatchObject({ status: 401, error: 'invalid_token' });
  });
});

describe('the question', () => {
  it('goes to /introspect below the path of the URL, as a form, with both halves percent-encoded', async () => {
    const seen: unknown[] = [];
    const fake = await listen((request, response) => {
      const { method, url, headers } = request;
      seen.push([method, url, headers.authorization, headers['content-type']]);
      request.on('data', (bytes: Buffer) => seen.push(String(bytes)));
      request.on('end', () => response.setHeader('content-type', 'application/json').end('{"active":false}'));
    });
    const introspect = open({ url: new URL(`${fake.url}/auth/`), clientId: 'a:b', clientSecret: 'c%d é+' });
    await expect(introspect('Bearer a.b+c/d==')).rejects.toMatchObject({ status: 401 });
    const basic = Buffer.from('a%3Ab:c%25d+%C3%A9%2B').toString('base64');
    expect(seen).toEqual([
      ['POST', '/auth/introspect', `Basic ${basic}`, 'application/x-www-form-urlencoded'],
      'token=a.b%2Bc%2Fd%3D%3D',
    ]);
  });

  it('is understood by Gatehouse with a secret that needs encoding as little as with another', async () => {
    const { id, secret } = stage.client;
    const { authorization } = bearer(pair.access_token);
    await expect(open({ clientId: id, clientSecret: secret })(authorization)).resolves.toBeDefined();
    await expect(open({ clientSecret: `${secret}%` })(authorization)).rejects.toMatchObject({ status: 503 });
  });
});

describe('options', () => {
  it.each<[string, object, RegExp]>([
    ['no url', { url: undefined }, /url is missing/],
    ['a url with credentials', { url: 'http://a:b@c.example' }, /url is not/],
    ['a url with a query', { url: 'http://c.example/?a' }, /url is not/],
    ['another protocol', { url: 'ftp://c.example' }, /url is not/],
    ['an id that is empty', { clientId: '' }, /clientId is missing/],
    ['an audience that is empty', { audience: '' }, /audience is not/],
    ['no time at all', { timeoutMs: 0 }, /timeoutMs is not/],
    ['a time that is no number', { timeoutMs: Number.NaN }, /timeoutMs is not/],
    ['an hour of cache', { cacheSeconds: 3600 }, /cacheSeconds is not/],
    ['a cache as a text', { cacheSeconds: '5' }, /cacheSeconds is not/],
    ['a name that is none', { clientSecrets: 'a' }, /clientSecrets is no option/],
  ])('are refused with %s, and no value is repeated', (_what, wrong, message) => {
    const refused = () => createIntrospector({ ...stage.options, ...wrong });
    expect(refused).toThrow(message);
    expect(refused).not.toThrow(new RegExp(stage.client.secret));
  });
});

it('is what the package exports, and so is the plugin', async () => {
  const [plain, fastify] = await Promise.all([
    import('@gatehouse/resource-server'),
    import('@gatehouse/resource-server/fastify'),
  ]);
  expect(Object.keys(plain).sort()).toEqual(['Refusal', 'createIntrospector', 'hasScope']);
  expect(Object.keys(fastify).sort()).toEqual(['default', 'hasScope']);
});
