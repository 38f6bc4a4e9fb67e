// /session and /session/*: who is this? The claims for frontends, five headers for gateways, and a sixth where it is wanted, by whatever method.
import { once } from 'node:events';
import { Agent, METHODS, request, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { InjectOptions } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { forge, MARKER, PLAIN_CHALLENGE, problemOf, TOKEN_CHALLENGE } from '../support/answers.js';
import {
  basic,
  bearer,
  claimsOf,
  login,
  openHouse,
  type House,
  type Replica,
  type TestClient,
  type TestUser,
  type TokenPair,
} from '../support/house.js';

/** CONNECT never becomes a request. */
const ANY_METHOD = METHODS.filter((method) => method !== 'CONNECT');

let house: House;
let replica: Replica;
let user: TestUser;
let pair: TokenPair;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica({ config: { corsOrigins: ['https://app.example.com'] } });
  user = await house.user({ scope: 'read write' });
  pair = await login(replica, user);
});
afterAll(() => house.close());

function send(method: string, url: string, options: Omit<InjectOptions, 'method' | 'url'> = {}) {
  return replica.app.inject({ method: method, url, ...options });
}

it('answers the claims of the token, and who it is in five headers', async () => {
  const response = await send('GET', '/session', { headers: bearer(pair.access_token) });
  expect(response.statusCode).toBe(200);
  expect(response.json()).toEqual(claimsOf(pair.access_token));
  expect(response.headers).toMatchObject({
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    'x-auth-subject': user.id,
    'x-auth-username': user.username,
    'x-auth-session': pair.session_id,
    'x-auth-scope': 'read write',
    'x-auth-client': 'gatehouse',
  });
  expect(response.headers).not.toHaveProperty('x-auth-ext');
});

describe('with GATEWAY_EXT=on', () => {
  const decode = (header: unknown): unknown =>
    JSON.parse(Buffer.from(String(header), 'base64url').toString('utf8'));
  let told: Replica;
  let shop: TestClient;
  beforeAll(async () => {
    told = await house.replica({ config: { gatewayExt: true } });
    shop = await house.client(['sessions:open']);
  });

  async function open(ext: object): Promise<string> {
    const payload = { external_id: 'customer', ext, auth_time: 1 };
    const answer = await told.app.inject({ method: 'POST', url: '/sessions', headers: basic(shop), payload });
    if (answer.statusCode !== 201) throw new Error(`${answer.statusCode} ${answer.body}`);
    return answer.json<TokenPair>().access_token;
  }

  it.each(['/session', '/session/any/path'])('gateways are told `ext` in a sixth at %s', async (url) => {
    for (const ext of [{ plan: 'gold' }, { note: 'a\r\nX-Auth-Subject: root', name: 'Zoë 日本' }, {}]) {
      const { headers } = await told.app.inject({ url, headers: bearer(await open(ext)) });
      expect(headers['x-auth-ext']).toMatch(/^[\w-]+$/);
      expect(decode(headers['x-auth-ext'])).toEqual(ext);
    }
  });

  it('it is never left out, so that no forged one can stay', async () => {
    const { headers } = await told.app.inject({
      url: '/session',
      headers: { ...bearer(pair.access_token), 'x-auth-ext': 'forged' },
    });
    expect(headers['x-auth-ext']).toBe('e30');
  });

  it('the longest one takes 1,366 characters', async () => {
    const ext = { a: 'x'.repeat(1016) };
    expect(JSON.stringify(ext)).toHaveLength(1024);
    const { headers } = await told.app.inject({ url: '/session', headers: bearer(await open(ext)) });
    expect(headers['x-auth-ext']).toHaveLength(1366);
    expect(decode(headers['x-auth-ext'])).toEqual(ext);
  });

  it('a refusal tells nothing', async () => {
    const token = await open({ plan: 'gold' });
    const { headers, statusCode } = await told.app.inject({
      url: '/session?max_age=60',
      headers: bearer(token),
    });
    expect(statusCode).toBe(401);
    expect(Object.keys(headers).filter((name) => name.startsWith('x-auth'))).toEqual([]);
  });
});

it('percent-encodes a name beyond ASCII, and sends an empty scope where there is none', async () => {
  const other = await house.user({ username: 'zoë,日本100%' });
  const { access_token: token } = await login(replica, other);
  const response = await send('GET', '/session', { headers: bearer(token) });
  expect(response.headers['x-auth-username']).toBe('zo%C3%AB%2C%E6%97%A5%E6%9C%AC100%25');
  expect(response.headers['x-auth-scope']).toBe('');
  expect(response.json()).not.toHaveProperty('scope');
});

describe.each(['/session', '/session/', '/session/any/path?and=query', `/session/${'long/'.repeat(500)}`])(
  'any method on %.30s',
  (url) => {
    it.each(ANY_METHOD)('%s is answered as GET is', async (method) => {
      const response = await send(method, url, { headers: bearer(pair.access_token) });
      expect(response.statusCode).toBe(200);
      expect(response.headers).toMatchObject({
        'x-auth-subject': user.id,
        'x-auth-username': user.username,
        'x-auth-session': pair.session_id,
        'x-auth-scope': 'read write',
      });
      expect(response.body).toBe(method === 'HEAD' ? '' : JSON.stringify(claimsOf(pair.access_token)));
    });

    it.each(ANY_METHOD)('%s without a token is challenged', async (method) => {
      const response = await send(method, url);
      expect(response.statusCode).toBe(401);
      expect(response.headers['www-authenticate']).toBe(PLAIN_CHALLENGE);
      expect(response.headers).not.toHaveProperty('x-auth-subject');
    });
  },
);

it.each([
  ['JSON that is none', 'application/json', '{"'],
  ['a form', 'application/x-www-form-urlencoded', 'a=b'],
  ['a type that is none', 'garbage', 'x'],
  ['an empty type', '', 'x'],
  ['more than 16 KiB', 'application/json', 'x'.repeat(100_000)],
])('does not look at a forwarded body: %s', async (_what, type, payload) => {
  const headers = { ...bearer(pair.access_token), 'content-type': type };
  expect((await send('POST', '/session/upload', { headers, payload })).statusCode).toBe(200);
});

it('leaves a connection usable whose forwarded bodies it does not read', async () => {
  await replica.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = replica.app.server.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const sockets = new Set<unknown>();
  for (const size of [0, 100, 100_000, 2_000_000, 0]) {
    const headers = { ...bearer(pair.access_token), 'content-length': size };
    const asking = request({ port, method: 'POST', path: '/session/upload', headers, agent });
    asking.on('socket', (socket) => sockets.add(socket));
    asking.end('x'.repeat(size));
    const [response] = (await once(asking, 'response')) as [IncomingMessage];
    expect([size, response.statusCode]).toEqual([size, 200]);
    response.resume();
    await once(response, 'end');
  }
  agent.destroy();
  expect(sockets.size).toBe(1);
});

it('lets no preflight pass a gateway without a token', async () => {
  const headers = { origin: 'https://app.example.com', 'access-control-request-method': 'DELETE' };
  expect((await send('OPTIONS', '/session/resource', { headers })).statusCode).toBe(401);
});

it('takes no header with two tokens, whichever of them is alive', async () => {
  const { authorization } = bearer(pair.access_token);
  for (const both of [`${authorization}, Bearer ${MARKER}`, `Bearer ${MARKER}, ${authorization}`]) {
    const response = await send('GET', '/session', { headers: { authorization: both } });
    expect(problemOf(response)).toMatchObject({ status: 401, error: 'invalid_token' });
  }
});

it('takes the scheme in any letter case, with several spaces behind it', async () => {
  const headers = { authorization: `bEARER  ${pair.access_token}` };
  expect((await send('GET', '/session', { headers })).statusCode).toBe(200);
});

it.each([
  ['no token', {}, PLAIN_CHALLENGE],
  ['another scheme', { authorization: `Basic ${MARKER}` }, PLAIN_CHALLENGE],
  [
    'another scheme, with the name of ours behind it',
    { authorization: `Digest Bearer ${MARKER}` },
    PLAIN_CHALLENGE,
  ],
  ['a text that is no token', bearer(MARKER), expect.stringMatching(TOKEN_CHALLENGE) as string],
  [
    'a scheme without a token',
    { authorization: 'Bearer ' },
    expect.stringMatching(TOKEN_CHALLENGE) as string,
  ],
])('refuses %s', async (_what, headers, challenge) => {
  const expected = { status: 401, error: 'invalid_token', challenge };
  for (const url of ['/session', '/session/x']) {
    expect(problemOf(await send('GET', url, { headers }))).toEqual(expected);
  }
});

it('challenges to the letter', async () => {
  const bare = await send('GET', '/session');
  expect(bare.headers['www-authenticate']).toBe('Bearer realm="gatehouse"');
  const refused = await send('GET', '/session', { headers: bearer(forge(pair.access_token)) });
  expect(refused.headers['www-authenticate']).toBe(
    'Bearer realm="gatehouse", error="invalid_token", ' +
      'error_description="The token is missing, malformed, expired or revoked."',
  );
});

it('takes the name of the scheme in any case', async () => {
  const headers = { authorization: `bEaReR ${pair.access_token}` };
  expect((await send('GET', '/session', { headers })).statusCode).toBe(200);
});

it('takes no token from a query or a cookie', async () => {
  const token = pair.access_token;
  const inQuery = await send('GET', `/session?access_token=${token}`, {
    headers: { cookie: `token=${token}` },
  });
  expect(inQuery.statusCode).toBe(401);
});
