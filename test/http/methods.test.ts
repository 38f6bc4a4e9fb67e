// A known URL with a wrong method is 405 and says what is allowed; an unknown URL is 404.
import { METHODS } from 'node:http';
import { createRequire } from 'node:module';
import type { HTTPMethods, LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { MARKER, oauthErrorOf, problemOf } from '../support/answers.js';
import { openHouse, type House, type Replica } from '../support/house.js';

/** CONNECT never becomes a request. */
const EVERY_METHOD = METHODS.filter((method) => method !== 'CONNECT');

const ALLOWED: [url: string, methods: string[]][] = [
  ['/login', ['POST']],
  ['/refresh', ['POST']],
  ['/logout', ['POST']],
  ['/logout-all', ['POST']],
  ['/password', ['POST']],
  ['/reauthenticate', ['POST']],
  ['/password/reset', ['POST']],
  ['/sessions', ['GET', 'HEAD', 'POST']],
  ['/sessions/00000000-0000-7000-8000-000000000000', ['DELETE', 'PATCH']],
  ['/introspect', ['POST']],
  ['/introspect/batch', ['POST']],
  ['/revoke', ['POST']],
  ['/.well-known/jwks.json', ['GET', 'HEAD']],
  ['/.well-known/oauth-authorization-server', ['GET', 'HEAD']],
  ['/health', ['GET', 'HEAD']],
  ['/ready', ['GET', 'HEAD']],
  ['/openapi.json', ['GET', 'HEAD']],
  ['/docs', ['GET', 'HEAD']],
  // Fastify makes this route by itself.
  ['/docs/', ['GET', 'HEAD']],
  // Another route has a parameter in its place, with other methods.
  ['/admin/users/import', ['POST']],
];

const OAUTH_URLS = ['/introspect', '/revoke'];

it('the router that knows the URLs is the one of Fastify', () => {
  const { resolve } = createRequire(import.meta.url);
  expect(createRequire(resolve('fastify')).resolve('find-my-way')).toBe(resolve('find-my-way'));
});

let house: House;
let replica: Replica;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
});
afterAll(() => house.close());

function send(method: string, url: string, payload?: string): Promise<LightMyRequestResponse> {
  return replica.app.inject({
    method: method,
    url,
    ...(payload === undefined ? {} : { payload, headers: { 'content-type': 'text/plain' } }),
  });
}

describe.each(ALLOWED)('%s', (url, allowed) => {
  const read = OAUTH_URLS.includes(url) ? oauthErrorOf : problemOf;

  it.each(EVERY_METHOD.filter((method) => !allowed.includes(method)))('does not allow %s', async (method) => {
    const response = await send(method, url);
    expect(response.statusCode).toBe(405);
    expect(response.headers.allow).toBe(allowed.join(', '));
    if (method !== 'HEAD') expect(read(response)).toEqual({ status: 405, error: 'method_not_allowed' });
  });

  it.each(['PUT', 'PURGE'])('says so of %s whatever the body is', async (method) => {
    for (const body of [MARKER, MARKER.repeat(2000)]) {
      expect(read(await send(method, url, body))).toEqual({ status: 405, error: 'method_not_allowed' });
    }
  });

  it.each(allowed)('allows %s', async (method) => {
    expect((await send(method, url)).statusCode).not.toBe(405);
  });
});

describe('an unknown URL', () => {
  it.each([
    `/${MARKER}`,
    '/login/',
    '/LOGIN',
    '//login',
    '/login/x',
    '/sessions/a/b',
    '/introspect/x',
    '/.well-known',
    '/.well-known/openid-configuration',
    '/.env',
    '/../etc/passwd',
  ])('%s is not found, whatever the method', async (url) => {
    for (const method of EVERY_METHOD) {
      const response = await send(method, url);
      expect([method, response.statusCode]).toEqual([method, 404]);
      if (method !== 'HEAD') expect(problemOf(response)).toEqual({ status: 404, error: 'not_found' });
    }
  });

  it.each(['text/plain', 'application/json', 'garbage'])(
    'is not found with a body of type %s either',
    async (type) => {
      for (const method of ['POST', 'OPTIONS', 'PROPFIND'] as const) {
        for (const payload of [MARKER, MARKER.repeat(2000)]) {
          const request = {
            method: method as HTTPMethods,
            url: `/${MARKER}`,
            headers: { 'content-type': type },
            payload,
          };
          const response = await replica.app.inject(request);
          expect(problemOf(response)).toEqual({ status: 404, error: 'not_found' });
        }
      }
    },
  );
});
