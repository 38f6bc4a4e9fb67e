// CORS: pages of exactly the configured origins may call, and read what they need.
import type { HTTPMethods } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { problemOf } from '../support/answers.js';
import { openHouse, type House, type Replica } from '../support/house.js';

const APP = 'https://app.example.com';
const ADMIN = 'http://localhost:5173';
const PHONE = 'capacitor://localhost';
const EXTENSION = 'chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb';

/** What tracing libraries put on every request, and we look past. */
const TRACING = ['traceparent', 'tracestate', 'baggage', 'sentry-trace'];

const STRANGERS = [
  'https://evil.example',
  'http://app.example.com',
  'https://app.example.com:8443',
  'https://app.example.com.evil.example',
  'https://sub.app.example.com',
  'https://APP.example.com',
  'https://app.example.com/',
  'null',
  '*',
  'capacitor://',
  'capacitor://localhost/',
  'capacitor://localhost:80',
  'capacitor://LOCALHOST',
  'ionic://localhost',
  'http://localhost',
  'chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllclea',
];

let house: House;
let replica: Replica;
let closed: Replica;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica({ config: { corsOrigins: [APP, ADMIN, PHONE, EXTENSION] } });
  closed = await house.replica();
});
afterAll(() => house.close());

function preflight(origin: string, url = '/login', from: Replica = replica) {
  const headers = {
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type',
  };
  return from.app.inject({ method: 'OPTIONS', url, headers });
}

describe.each([APP, ADMIN, PHONE, EXTENSION])('a page of %s', (origin) => {
  it('may read answers, refusals included, and the headers that it needs', async () => {
    for (const [method, url] of [
      ['GET', '/health'],
      ['POST', '/login'],
      ['GET', '/session'],
      ['GET', '/nowhere'],
    ] as [HTTPMethods, string][]) {
      const { headers } = await replica.app.inject({ method, url, headers: { origin } });
      expect(headers['access-control-allow-origin']).toBe(origin);
      expect(headers.vary).toMatch(/\bOrigin\b/);
      expect(headers['access-control-expose-headers']).toBe(
        'Refreshed-API-Token, Retry-After, WWW-Authenticate, X-Request-Id',
      );
      expect(headers).not.toHaveProperty('access-control-allow-credentials');
    }
  });

  it.each(['/login', '/session', '/sessions', '/logout-all'])(
    'gets a preflight of %s answered',
    async (url) => {
      const response = await preflight(origin, url);
      expect(response.statusCode).toBe(204);
      expect(response.body).toBe('');
      expect(response.headers).toMatchObject({
        'access-control-allow-origin': origin,
        'access-control-allow-methods': 'GET, POST, DELETE',
        'access-control-allow-headers': `authorization, content-type, ${TRACING.join(', ')}`,
        'access-control-max-age': '600',
      });
      expect(response.headers.vary).toMatch(/\bOrigin\b/);
    },
  );

  it('gets an OPTIONS that is no preflight answered as any other method', async () => {
    const statusOf = async (url: string, headers: Record<string, string>) =>
      (await replica.app.inject({ method: 'OPTIONS', url, headers })).statusCode;
    expect(await statusOf('/login', { origin })).toBe(405);
    expect(await statusOf('/session', { origin })).toBe(401);
    expect(await statusOf('/login', { 'access-control-request-method': 'POST' })).toBe(405);
  });

  it.each([
    TRACING.join(),
    'Traceparent, TraceState, Baggage, Sentry-Trace, Authorization',
    'TRACEPARENT,TRACESTATE,BAGGAGE,SENTRY-TRACE',
  ])('may send %s along', async (names) => {
    const preflight = await replica.app.inject({
      method: 'OPTIONS',
      url: '/login',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': names },
    });
    expect(preflight.statusCode).toBe(204);
    // Browsers look for each of them here, in small letters.
    const allowed = String(preflight.headers['access-control-allow-headers']).split(', ');
    expect(allowed).toEqual(expect.arrayContaining(names.toLowerCase().split(/, ?/)));
    const headers = Object.fromEntries(names.split(/, ?/).map((name) => [name, 'x']));
    const { statusCode } = await replica.app.inject({ url: '/health', headers: { ...headers, origin } });
    expect(statusCode).toBe(200);
  });

  it.each(['x-forwarded-method', 'x-original-method', 'cookie', 'sec-fetch-site', 'x-anything', '*'])(
    'may not send %s along',
    async (name) => {
      const { headers } = await replica.app.inject({
        method: 'OPTIONS',
        url: '/session',
        headers: { origin, 'access-control-request-method': 'GET', 'access-control-request-headers': name },
      });
      expect(String(headers['access-control-allow-headers']).split(', ')).not.toContain(name);
    },
  );
});

describe.each(STRANGERS)('a page of %s', (origin) => {
  it('may not read answers', async () => {
    const { headers } = await replica.app.inject({ url: '/health', headers: { origin } });
    expect(headers).not.toHaveProperty('access-control-allow-origin');
    expect(headers.vary).toMatch(/\bOrigin\b/);
  });

  it('gets no preflight answered', async () => {
    const response = await preflight(origin);
    expect(problemOf(response)).toEqual({ status: 405, error: 'method_not_allowed' });
    expect(response.headers).not.toHaveProperty('access-control-allow-origin');
    expect(response.headers).not.toHaveProperty('access-control-allow-methods');
  });
});

it.each([APP, 'null', '*'])('nobody may without configured origins, %s neither', async (origin) => {
  const { headers } = await closed.app.inject({ url: '/health', headers: { origin } });
  expect(headers).not.toHaveProperty('access-control-allow-origin');
  expect((await preflight(origin, '/login', closed)).statusCode).toBe(405);
});
