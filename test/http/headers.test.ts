// What every answer tells browsers: good ones, refusals, failures, and errors before there is a route.
import type { AddressInfo } from 'node:net';
import type { InjectOptions } from 'fastify';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { buildApp } from '../../src/app.js';
import { securityHeaders } from '../../src/http/answers/headers.js';
import {
  basic,
  bearer,
  DEFAULTS,
  login,
  openHouse,
  type House,
  type Replica,
  type TestClient,
  type TokenPair,
} from '../support/house.js';
import { exchange } from '../support/raw-socket.js';

const ON_EVERY_ANSWER = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
};
const CLOSED = "default-src 'none'; frame-ancestors 'none'";
const HSTS = 'max-age=31536000; includeSubDomains';
const APP = 'https://app.example.com';

/** Of no use here, or to no browser of today. */
const LEFT_OUT = [
  'x-powered-by',
  'server',
  'x-xss-protection',
  'x-download-options',
  'x-permitted-cross-domain-policies',
  'x-dns-prefetch-control',
  'x-frame-options',
  'origin-agent-cluster',
];

let house: House;
let plain: Replica;
let secure: Replica;
let failing: Replica;
let client: TestClient;
let pair: TokenPair;

beforeAll(async () => {
  house = await openHouse();
  const config = { issuer: 'https://login.example.com', corsOrigins: [APP] };
  plain = await house.replica();
  secure = await house.replica({ config });
  client = await house.client();
  pair = await login(secure, await house.user());
  const fail = () => Promise.reject(new Error('a bug'));
  const gatehouse = { ...secure.gatehouse, login: fail };
  const rules = { ...DEFAULTS, ...config };
  failing = {
    ...secure,
    gatehouse,
    app: await buildApp({ gatehouse, config: rules, logger: pino({ level: 'silent' }) }),
  };
});
afterAll(async () => {
  await failing.app.close();
  await house.close();
});

const asJson = { 'content-type': 'application/json' };
const asForm = () => ({ ...basic(client), 'content-type': 'application/x-www-form-urlencoded' });

const ANSWERS: [status: number, what: string, request: () => InjectOptions][] = [
  [200, 'of /session', () => ({ url: '/session', headers: bearer(pair.access_token) })],
  [
    200,
    'of /introspect',
    () => ({ method: 'POST', url: '/introspect', headers: asForm(), payload: 'token=x' }),
  ],
  [200, 'of /health', () => ({ url: '/health' })],
  [200, 'with keys', () => ({ url: '/.well-known/jwks.json' })],
  [200, 'with the document', () => ({ url: '/openapi.json' })],
  [
    204,
    'of a preflight',
    () => ({
      method: 'OPTIONS',
      url: '/login',
      headers: { origin: APP, 'access-control-request-method': 'POST' },
    }),
  ],
  [400, 'to malformed JSON', () => ({ method: 'POST', url: '/login', headers: asJson, payload: '{' })],
  [400, 'to a URL that cannot be decoded', () => ({ url: '/%zz' })],
  [401, 'to nobody', () => ({ url: '/session' })],
  [
    401,
    'to no client',
    () => ({
      method: 'POST',
      url: '/introspect',
      headers: { ...asForm(), ...basic({ id: 'a', secret: 'b' }) },
      payload: 'token=x',
    }),
  ],
  [404, 'to an unknown URL', () => ({ url: '/nowhere' })],
  [405, 'to a wrong method', () => ({ method: 'PUT', url: '/login' })],
  [
    413,
    'to a large body',
    () => ({ method: 'POST', url: '/login', headers: asJson, payload: 'x'.repeat(20_000) }),
  ],
  [
    415,
    'to another type',
    () => ({ method: 'POST', url: '/login', headers: { 'content-type': 'text/plain' }, payload: 'x' }),
  ],
  [500, 'of a bug', () => ({ method: 'POST', url: '/login', payload: { username: 'a', password: 'b' } })],
];

describe.each(ANSWERS)('the %i %s', (status, _what, request) => {
  it('has them all', async () => {
    const response = await (status === 500 ? failing : secure).app.inject(request());
    expect(response.statusCode).toBe(status);
    expect(response.headers).toMatchObject(ON_EVERY_ANSWER);
    expect(response.headers['content-security-policy']).toBe(CLOSED);
    expect(response.headers['strict-transport-security']).toBe(HSTS);
    for (const name of LEFT_OUT) expect(response.headers).not.toHaveProperty(name);
  });
});

it('says no-store on everything but keys, metadata and documentation', async () => {
  for (const [, what, request] of ANSWERS.filter(([status]) => status !== 500)) {
    const cacheControl = (await secure.app.inject(request())).headers['cache-control'];
    if (what === 'with keys' || what === 'with the document')
      expect(cacheControl).toMatch(/^public, max-age=\d+/);
    else expect(cacheControl, what).toBe('no-store');
  }
});

it('asks for TLS only where callers find it behind TLS', async () => {
  const { headers } = await plain.app.inject({ url: '/health' });
  expect(headers).not.toHaveProperty('strict-transport-security');
  expect(headers).toMatchObject(ON_EVERY_ANSWER);
  expect(securityHeaders('http://https.example.com')).not.toHaveProperty('strict-transport-security');
});

it('lets the page of the documentation load its own scripts, be framed by nobody and keep all else', async () => {
  for (const url of ['/docs/', '/docs/static/swagger-ui-bundle.js']) {
    const { headers, statusCode } = await secure.app.inject({ url });
    expect(statusCode).toBe(200);
    expect(headers).toMatchObject({ ...ON_EVERY_ANSWER, 'strict-transport-security': HSTS });
    const policy = String(headers['content-security-policy']);
    for (const directive of [
      "default-src 'none'",
      "script-src 'self'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
    ])
      expect(policy.split(/; ?/)).toContain(directive);
  }
});

it('keeps Cross-Origin-Resource-Policy beside CORS, which alone decides about calls of allowed origins', async () => {
  const headers = { ...bearer(pair.access_token), origin: APP };
  const response = await secure.app.inject({ url: '/session', headers });
  expect(response.headers).toMatchObject({
    'access-control-allow-origin': APP,
    'cross-origin-resource-policy': 'same-origin',
  });
});

describe('on the wire', () => {
  let port: number;
  beforeAll(async () => {
    await secure.app.listen({ host: '127.0.0.1', port: 0 });
    ({ port } = secure.app.server.address() as AddressInfo);
  });

  it.each([
    ['what is no HTTP', 'what?\r\n\r\n', 400],
    ['headers without end', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ['an unknown URL', 'GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 404],
    ['a URL that cannot be decoded', 'GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 400],
  ])('%s gets them too, each once', async (_what, text, status) => {
    // That none comes twice is seen by who reads the answer.
    const [answer] = await exchange(port, text);
    expect(answer?.status).toBe(status);
    const expected = { ...ON_EVERY_ANSWER, 'content-security-policy': CLOSED, 'cache-control': 'no-store' };
    expect(answer?.headers).toMatchObject({ ...expected, 'strict-transport-security': HSTS });
  });
});
