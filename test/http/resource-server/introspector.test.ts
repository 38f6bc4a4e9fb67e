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
    // Where there is no reason for the log, what prints errors finds none either.
    expect(refusal).not.toHaveProperty('cause');
  });

  it.each([
    undefined,
    null,
    '',
    'Basic abc',
    'Basic Bearer a',
    'Bearer',
    'Bearer a b',
    'Bearer a, Bearer b',
    'bearer ,',
  ])('comes without asking for a header of %j', async (authorization) => {
    const fake = await listen((_request, response) => response.end());
    await expect(open({ url: fake.url })(authorization)).rejects.toMatchObject({ status: 401 });
    expect(fake.requests()).toBe(0);
  });

  it.each<[string, () => Promise<unknown>, object, Record<string, string>]>([
    [
      'no token',
      () => open()(undefined),
      {
        title: 'Invalid token',
        status: 401,
        detail: 'Send an access token as `Authorization: Bearer`.',
        error: 'invalid_token',
      },
      { 'www-authenticate': 'Bearer realm="gatehouse"' },
    ],
    [
      'a bad token',
      () => open()('Bearer a'),
      {
        title: 'Invalid token',
        status: 401,
        detail: 'The token is malformed, expired or revoked.',
        error: 'invalid_token',
      },
      {
        'www-authenticate':
          'Bearer realm="gatehouse", error="invalid_token", error_description="The token is malformed, expired or revoked."',
      },
    ],
    [
      'a scope that is missing',
      () => open()(bearer(pair.access_token).authorization, { scope: 'a b' }),
      {
        title: 'Insufficient scope',
        status: 403,
        detail: 'This needs the scope: a b',
        error: 'insufficient_scope',
      },
      { 'www-authenticate': 'Bearer realm="gatehouse", error="insufficient_scope", scope="a b"' },
    ],
    [
      'a Gatehouse that does not answer',
      () => open({ clientSecret: 'wrong' })('Bearer a'),
      {
        title: 'Temporarily unavailable',
        status: 503,
        detail: 'Whether the token is alive cannot be known right now: ask again.',
        error: 'temporarily_unavailable',
      },
      { 'retry-after': '1' },
    ],
  ])('for %s is spelled out whole', async (_why, ask, problem, headers) => {
    const refusal: unknown = await ask().catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(Refusal);
    const sent = { 'cache-control': 'no-store', 'content-type': 'application/problem+json' };
    expect(refusal).toMatchObject({ name: 'Refusal', problem: { type: 'about:blank', ...problem } });
    expect((refusal as Refusal).headers).toEqual({ ...sent, ...headers });
  });

  it('of a scope that is none is a mistake of the program, not of the caller', async () => {
    await expect(open()('Bearer a', { scope: 'a,b "c"' })).rejects.toThrow(TypeError);
  });
});

describe('the header', () => {
  it('may have several spaces and any letter case', async () => {
    const { user } = await open()(`bEARER  ${pair.access_token}`);
    expect(user).toEqual(claimsOf(pair.access_token));
  });

  it('is asked about up to the length of the longest token, and no further', async () => {
    const fake = await listen((_request, response) => {
      response.setHeader('content-type', 'application/json').end('{"active":false}');
    });
    const introspect = open({ url: fake.url });
    const longest = 'a'.repeat(3800);
    await expect(introspect(`Bearer ${longest}`)).rejects.toMatchObject({ status: 401 });
    expect(fake.requests()).toBe(1);
    await expect(introspect(`Bearer ${longest}a`)).rejects.toMatchObject({ status: 401 });
    expect(fake.requests()).toBe(1);
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
  it('goes to /introspect below the path of the URL, as a form, with both halves of the credentials percent-encoded', async () => {
    const seen: unknown[] = [];
    const fake = await listen((request, response) => {
      const { method, url, headers } = request;
      seen.push([method, url, headers.authorization, headers['content-type'], headers.accept]);
      request.on('data', (bytes: Buffer) => seen.push(String(bytes)));
      request.on('end', () => response.setHeader('content-type', 'application/json').end('{"active":false}'));
    });
    const introspect = open({ url: new URL(`${fake.url}/auth//`), clientId: 'a:b', clientSecret: 'c%d é+' });
    await expect(introspect('Bearer a.b-c_d')).rejects.toMatchObject({ status: 401 });
    const basic = Buffer.from('a%3Ab:c%25d+%C3%A9%2B').toString('base64');
    expect(seen).toEqual([
      ['POST', '/auth/introspect', `Basic ${basic}`, 'application/x-www-form-urlencoded', 'application/json'],
      'token=a.b-c_d',
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
    ['a url with a fragment', { url: 'http://c.example/#a' }, /url is not/],
    ['another protocol', { url: 'ftp://c.example' }, /url is not/],
    ['a protocol that ends as ours', { url: 'xhttp://c.example' }, /url is not/],
    ['a url that is no text', { url: 7 }, /url is not/],
    ['an issuer that is no text', { issuer: 7 }, /issuer is not a text, or empty/],
    ['an id that is empty', { clientId: '' }, /clientId is missing/],
    ['an audience that is empty', { audience: '' }, /audience is not/],
    ['no time at all', { timeoutMs: 0 }, /timeoutMs is not/],
    ['a time that is no number', { timeoutMs: Number.NaN }, /timeoutMs is not/],
    ['more than a minute', { timeoutMs: 60_001 }, /timeoutMs is not a number from 1 to 60000/],
    ['more than five minutes of cache', { cacheSeconds: 301 }, /cacheSeconds is not a number from 0 to 300/],
    ['less cache than none', { cacheSeconds: -1 }, /cacheSeconds is not/],
    ['a cache as a text', { cacheSeconds: '5' }, /cacheSeconds is not/],
    ['a name that is none', { clientSecrets: 'a' }, /clientSecrets is no option/],
  ])('are refused with %s, and no value is repeated', (_what, wrong, message) => {
    const refused = () => createIntrospector({ ...stage.options, ...wrong });
    expect(refused).toThrow(message);
    expect(refused).not.toThrow(new RegExp(stage.client.secret));
  });
});

it.each([
  { timeoutMs: 1 },
  { timeoutMs: 60_000 },
  { cacheSeconds: 0 },
  { cacheSeconds: 300 },
  { url: 'https://c.example' },
])('takes the options %j', (given) => {
  expect(() => open(given)).not.toThrow();
});

it('names all mistakes in one sentence', () => {
  const wrong = { url: undefined, clientId: undefined, clientSecret: undefined, secret: 'x' };
  expect(() => open(wrong)).toThrow(
    new TypeError(
      'gatehouse: secret is no option; there are url, clientId, clientSecret, issuer, audience, timeoutMs, cacheSeconds; ' +
        'url is missing; clientId is missing; clientSecret is missing',
    ),
  );
});

it('is what the package exports, and so are the plugin and the watch', async () => {
  const [plain, fastify, watch] = await Promise.all([
    import('@gatehouse/resource-server'),
    import('@gatehouse/resource-server/fastify'),
    import('@gatehouse/resource-server/watch'),
  ]);
  expect(Object.keys(plain).sort()).toEqual(['Refusal', 'createIntrospector', 'hasScope']);
  expect(Object.keys(fastify).sort()).toEqual(['default', 'hasScope']);
  expect(Object.keys(watch)).toEqual(['createWatch']);
});
