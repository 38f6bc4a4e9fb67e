// For which host a request counts, and what a page learns whose own name was made to lead to us (DNS rebinding).
import type { AddressInfo } from 'node:net';
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Config } from '../../src/config/config.js';
import { MARKER, oauthErrorOf, problemOf } from '../support/answers.js';
import { ACCESS, openBrowser, REFRESH } from '../support/browser.js';
import {
  basic,
  bearer,
  login,
  openHouse,
  type House,
  type Replica,
  type TestClient,
  type TestUser,
  type TokenPair,
} from '../support/house.js';
import { exchange } from '../support/raw-socket.js';

type Headers = Record<string, string>;

const EVIL = `${MARKER.toLowerCase()}.example`;
const REBOUND: Headers = { host: `${EVIL}:3000`, origin: `http://${EVIL}:3000` };
const SAME_ORIGIN: Headers = { 'sec-fetch-site': 'same-origin' };

/** Where Gatehouse may stand: on this machine alone, behind a gateway with a name, and in a container that this machine publishes. */
const LOOPBACK: Partial<Config> = { host: '127.0.0.1', issuer: 'http://localhost:3000' };
const PUBLIC: Partial<Config> = { host: '0.0.0.0', issuer: 'https://login.example.com/auth' };
const CONTAINER: Partial<Config> = { host: '0.0.0.0', issuer: 'http://localhost:3000' };
const BEHIND_NGINX: Partial<Config> = { host: '127.0.0.1', issuer: 'https://login.example.com' };

const PAGES = [
  ...['/account', '/account/', '/account/page/main.js', '/account/page/account.css', '/account/page/none.js'],
  ...['/docs', '/docs/', '/docs/static/index.html', '/docs/static/swagger-ui-bundle.js', '/docs/json'],
];

let house: House;
let user: TestUser;
let client: TestClient;
let pair: TokenPair;
const replicas = new Map<Partial<Config>, Replica>();

beforeAll(async () => {
  house = await openHouse();
  user = await house.user();
  client = await house.client();
  pair = await login(await house.replica(), user);
});
afterAll(() => house.close());

async function replicaOf(config: Partial<Config>): Promise<Replica> {
  const replica = replicas.get(config) ?? (await house.replica({ config }));
  replicas.set(config, replica);
  return replica;
}

function isMisdirected(response: LightMyRequestResponse): boolean {
  if (response.statusCode !== 421) return false;
  expect(problemOf(response)).toEqual({ status: 421, error: 'misdirected_request' });
  const { detail } = response.json<{ detail: string }>();
  expect(detail).toMatch(/ISSUER[^]*TRUST_PROXY/);
  for (const name of ['set-cookie', 'clear-site-data', 'refreshed-api-token'])
    expect(response.headers).not.toHaveProperty(name);
  expect(response.payload.toLowerCase()).not.toContain(EVIL);
  return true;
}

/** Whether a page is refused to who calls us so. */
async function isRefused(config: Partial<Config>, headers: Headers, remoteAddress = '127.0.0.1') {
  const { app } = await replicaOf(config);
  return isMisdirected(await app.inject({ url: '/account', headers, remoteAddress }));
}

describe.each([
  ['on this machine', LOOPBACK],
  ['with a name', PUBLIC],
  ['in a container of this machine', CONTAINER],
  ['behind a gateway of this machine', BEHIND_NGINX],
])('%s', (_where, config) => {
  const own = new URL(config.issuer ?? '').host;

  it.each(PAGES)('shows %s to its own host alone', async (url) => {
    const { app } = await replicaOf(config);
    for (const method of ['GET', 'HEAD'] as const) {
      const response = await app.inject({ method, url, headers: { host: own } });
      expect([200, 302, 308, 404]).toContain(response.statusCode);
      const other = await app.inject({ method, url, headers: { host: EVIL } });
      expect(other.statusCode).toBe(421);
    }
    expect(isMisdirected(await app.inject({ url, headers: { host: EVIL } }))).toBe(true);
  });

  it('shows what is no page to any host', async () => {
    const { app } = await replicaOf(config);
    const urls = [
      '/openapi.json',
      '/health',
      '/ready',
      '/.well-known/jwks.json',
      '/.well-known/oauth-authorization-server',
    ];
    for (const url of urls) expect((await app.inject({ url, headers: { host: EVIL } })).statusCode).toBe(200);
  });

  it('serves programs by any name', async () => {
    const replica = await replicaOf(config);
    const headers = { host: 'gatehouse:3000' };
    const { username, password } = user;
    const payload = { username, password };
    const answer = await replica.app.inject({ method: 'POST', url: '/login', headers, payload });
    expect(answer.statusCode).toBe(200);
    const own = answer.json<TokenPair>();
    for (const url of ['/session', '/sessions'])
      expect(
        (await replica.app.inject({ url, headers: { ...headers, ...bearer(own.access_token) } })).statusCode,
      ).toBe(200);
    const form = { ...headers, ...basic(client), 'content-type': 'application/x-www-form-urlencoded' };
    for (const url of ['/introspect', '/revoke'])
      expect(
        (await replica.app.inject({ method: 'POST', url, headers: form, payload: 'token=x' })).statusCode,
      ).toBe(200);
    const token = { refresh_token: own.refresh_token };
    const out = await replica.app.inject({ method: 'POST', url: '/logout', headers, payload: token });
    expect(out.statusCode).toBe(204);
  });

  it('hands out cookies for its own host alone, and spends no guess on others', async () => {
    const replica = await replicaOf(config);
    const other = await house.user();
    const logIn = (headers: Headers, password = other.password) => {
      const payload = { username: other.username, password, transport: 'cookie' };
      return replica.app.inject({ method: 'POST', url: '/login', headers, payload });
    };
    for (let time = 0; time < 10; time += 1) {
      for (const headers of [{}, SAME_ORIGIN, REBOUND] as Headers[])
        expect(isMisdirected(await logIn({ ...headers, host: EVIL }, 'wrong'))).toBe(true);
    }
    for (const headers of [{}, SAME_ORIGIN] as Headers[])
      expect((await logIn({ ...headers, host: own })).headers['set-cookie']).toHaveLength(2);
  });

  it('takes what changes something by cookie for its own host alone', async () => {
    const replica = await replicaOf(config);
    const other = await house.user();
    const browser = openBrowser(replica);
    const payload = { username: other.username, password: other.password, transport: 'cookie' };
    await browser.send('POST', '/login', { payload, headers: { host: own } });
    const [access, refresh] = [browser.jar.get(ACCESS), browser.jar.get(REFRESH)];
    const cookie = `${ACCESS}=${access}; ${REFRESH}=${refresh}`;
    const unsafe: [string, string, object?][] = [
      ['POST', '/refresh'],
      ['POST', '/logout'],
      ['POST', '/logout-all'],
      ['DELETE', `/sessions/${pair.session_id}`],
      ['POST', '/password', { current_password: 'a', new_password: 'b' }],
      ['POST', '/reauthenticate', { password: 'a' }],
      ['POST', '/session'],
      ['PROPFIND', '/session/any'],
    ];
    for (const [method, url, body] of unsafe) {
      for (const proof of [SAME_ORIGIN, { origin: new URL(config.issuer ?? '').origin }, {}] as Headers[]) {
        const headers = { ...proof, cookie, host: EVIL };
        const response = await replica.app.inject({
          method: method,
          url,
          headers,
          ...(body && { payload: body }),
        });
        expect([method, url, isMisdirected(response)]).toEqual([method, url, true]);
      }
    }
    expect((await browser.send('POST', '/refresh', { headers: { host: own } })).statusCode).toBe(200);
    expect((await browser.send('POST', '/logout', { headers: { host: own } })).statusCode).toBe(204);
  });

  it('answers a gateway about what changes something by cookie for its own host alone', async () => {
    const replica = await replicaOf(config);
    const browser = openBrowser(replica);
    const payload = { username: user.username, password: user.password, transport: 'cookie' };
    await browser.send('POST', '/login', { payload, headers: { host: own } });
    const told = (headers: Headers) => browser.send('GET', '/session', { headers });
    for (const method of ['POST', 'DELETE', 'PROPFIND', 'get']) {
      expect(isMisdirected(await told({ 'x-forwarded-method': method, host: EVIL }))).toBe(true);
      expect((await told({ 'x-forwarded-method': method, host: own })).statusCode).toBe(200);
    }
    const socket = { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'x-forwarded-method': 'GET' };
    expect(isMisdirected(await told({ ...socket, host: EVIL }))).toBe(true);
    // A gateway that tells no method may ask about any.
    expect(isMisdirected(await told({ host: EVIL }))).toBe(true);
    expect((await told({ host: own })).statusCode).toBe(200);
    const cookie = `${ACCESS}=${browser.jar.get(ACCESS)}`;
    const toldByProgram = (headers: Headers) =>
      replica.app.inject({ url: '/session', headers: { cookie, host: EVIL, ...headers } });
    // It names no page, so it is no browser, and may call us by any name.
    expect((await toldByProgram({})).statusCode).toBe(200);
    expect(isMisdirected(await toldByProgram({ origin: new URL(config.issuer ?? '').origin }))).toBe(true);
  });
});

describe('a page whose own name leads to this machine', () => {
  const OPERATIONS: [method: 'GET' | 'POST' | 'DELETE' | 'OPTIONS', url: string, payload?: object][] = [
    ['POST', '/login', { username: 'demo', password: 'any' }],
    ['POST', '/refresh', { refresh_token: 'any' }],
    ['POST', '/logout', { refresh_token: 'any' }],
    ['POST', '/logout-all'],
    ['POST', '/password', { current_password: 'a', new_password: 'b' }],
    ['POST', '/password/reset', { code: 'a', new_password: 'b' }],
    ['POST', '/reauthenticate', { password: 'a' }],
    ['GET', '/session'],
    ['GET', '/session/any'],
    ['GET', '/sessions'],
    ['DELETE', '/sessions/any'],
    ['GET', '/.well-known/jwks.json'],
    ['GET', '/health'],
    ['GET', '/ready'],
    ['GET', '/docs'],
    ['GET', '/openapi.json'],
    ['GET', '/nowhere'],
    ['OPTIONS', '/login'],
  ];

  describe.each([
    ['on a loopback listener', LOOPBACK],
    ['on ::1', { ...LOOPBACK, host: '::1' }],
    ['on localhost', { ...LOOPBACK, host: 'localhost' }],
    ['on 127.0.0.53', { ...LOOPBACK, host: '127.0.0.53' }],
    ['in a container that this machine publishes', CONTAINER],
    ['in a container that calls itself 127.0.0.1', { ...CONTAINER, issuer: 'http://127.0.0.1:3000' }],
    ['in a container that calls itself [::1]', { ...CONTAINER, issuer: 'http://[::1]:3000' }],
    ['on a listener behind a gateway', BEHIND_NGINX],
  ])('%s', (_where, config: Partial<Config>) => {
    it.each(OPERATIONS)('is answered nothing by %s %s', async (method, url, payload) => {
      const replica = await replicaOf(config);
      for (const headers of [
        REBOUND,
        { ...SAME_ORIGIN, host: EVIL },
        { origin: '', host: EVIL },
        { ...REBOUND, ...bearer(pair.access_token) },
      ]) {
        const response = await replica.app.inject({ method, url, headers, ...(payload && { payload }) });
        expect(isMisdirected(response)).toBe(true);
      }
    });

    it.each(['/introspect', '/revoke'])('is answered nothing by POST %s, in its own shape', async (url) => {
      const headers = { ...REBOUND, ...basic(client), 'content-type': 'application/x-www-form-urlencoded' };
      const response = await (
        await replicaOf(config)
      ).app.inject({
        method: 'POST',
        url,
        headers,
        payload: 'token=any',
      });
      expect(oauthErrorOf(response)).toEqual({ status: 421, error: 'misdirected_request' });
    });

    it('is answered by the names of this machine, and by the issuer’s', async () => {
      const replica = await replicaOf(config);
      const names = [
        'localhost:3000',
        '127.0.0.1:3000',
        '[::1]:3000',
        'localhost',
        new URL(config.issuer ?? '').host,
      ];
      for (const host of names) {
        const headers = { ...SAME_ORIGIN, host, ...bearer(pair.access_token) };
        expect((await replica.app.inject({ url: '/sessions', headers })).statusCode).toBe(401);
        expect((await replica.app.inject({ url: '/account', headers: { host } })).statusCode).toBe(200);
      }
    });
  });

  it('is nobody’s concern where Gatehouse has a name and listens for others', async () => {
    const replica = await replicaOf(PUBLIC);
    const payload = { username: user.username, password: user.password };
    const response = await replica.app.inject({ method: 'POST', url: '/login', headers: REBOUND, payload });
    expect(response.statusCode).toBe(200);
    for (const host of ['localhost', '127.0.0.1', '[::1]'])
      expect(await isRefused(PUBLIC, { host })).toBe(true);
  });
});

describe('the same host', () => {
  it.each([
    ['another port', 'login.example.com:8443'],
    ['the port of its scheme', 'login.example.com:443'],
    ['an empty port', 'login.example.com:'],
    ['capitals', 'LOGIN.Example.COM'],
    ['a dot at its end', 'login.example.com.'],
    ['a dot at its end, and a port', 'login.example.com.:443'],
  ])('may be written with %s', async (_what, host) => {
    expect(await isRefused(PUBLIC, { host })).toBe(false);
  });

  it.each([
    ...[
      '',
      ' ',
      ':443',
      '.',
      '..',
      'example.com',
      'evil.login.example.com',
      'login.example.com.evil.example',
    ],
    ...[
      'login.example.com..',
      'login-example.com',
      'login.example.com,login.example.com',
      'login.example.com:a',
    ],
    ...['login.example.com@evil.example', 'user@login.example.com', 'user:login.example.com@evil.example'],
    ...['login.example.com/', 'login.example.com?', 'login.example.com#', 'http://login.example.com'],
    ...[
      'login.example.com\\evil',
      'login.example.com evil',
      '[login.example.com]',
      '%6cogin.example.com',
      'ⅼogin',
    ],
  ])('is not %j', async (host) => {
    expect(await isRefused(PUBLIC, { host })).toBe(true);
  });

  it.each([
    '127.1',
    '2130706433',
    '0x7f.0.0.1',
    '0.0.0.0',
    '127.0.0.2',
    '::1',
    '[::]',
    '[::1%lo]',
    'localhost.evil.example',
  ])('is not %s on this machine', async (host) => {
    expect(await isRefused(LOOPBACK, { host })).toBe(true);
  });

  it.each(['localhost.', 'LOCALHOST:1', '127.0.0.1.', '[::1]:80'])('is %s on this machine', async (host) => {
    expect(await isRefused(LOOPBACK, { host })).toBe(false);
  });

  it('is an international name as browsers send it', async () => {
    const config = { ...PUBLIC, issuer: 'https://bücher.example' };
    expect(await isRefused(config, { host: 'xn--bcher-kva.example' })).toBe(false);
    expect(await isRefused(config, { host: 'bucher.example' })).toBe(true);
  });

  it('is an address where the issuer has no name', async () => {
    const config = { ...PUBLIC, issuer: 'https://[2001:db8::1]:8443' };
    expect(await isRefused(config, { host: '[2001:DB8::1]:8443' })).toBe(false);
    expect(await isRefused(config, { host: '[2001:db8::2]:8443' })).toBe(true);
    expect(await isRefused({ ...PUBLIC, issuer: 'http://192.0.2.7:3000' }, { host: '192.0.2.7:3000' })).toBe(
      false,
    );
  });
});

describe('X-Forwarded-Host', () => {
  const config = { ...PUBLIC, trustProxy: ['10.0.0.0/8'] };
  const told = (host: string, forwarded: string, from: string) =>
    isRefused(config, { host, 'x-forwarded-host': forwarded }, from);
  const OWN = 'login.example.com';

  it('counts in the place of Host from an address that is named', async () => {
    for (const proxy of ['10.0.0.1', '::ffff:10.0.0.1']) {
      expect(await told('gatehouse:3000', OWN, proxy)).toBe(false);
      expect(await told('gatehouse:3000', `${OWN}:8443`, proxy)).toBe(false);
      expect(await told(OWN, EVIL, proxy)).toBe(true);
    }
  });

  it('counts for nothing from anybody else', async () => {
    expect(await told('gatehouse:3000', OWN, '192.0.2.1')).toBe(true);
    expect(await told(EVIL, OWN, '192.0.2.1')).toBe(true);
    expect(await told(OWN, EVIL, '192.0.2.1')).toBe(false);
  });

  it.each([
    ['of several values, the last, which the proxy has written', `${EVIL}, ${OWN}`, false],
    ['of several values, not one before', `${OWN}, ${EVIL}`, true],
    ['not an empty one', `${OWN}, ,\t`, false],
    ['nothing, where it is empty: then Host', '', true],
    ['nothing that is no host', `http://${OWN}`, true],
  ])('says %s', async (_what, forwarded, isWrong) => {
    expect(await told('gatehouse:3000', forwarded, '10.0.0.1')).toBe(isWrong);
  });
});

/**
 * What gateways send that were not at hand: Traefik 3.7.9 as its source has it (`pkg/middlewares/auth/forward.go`, `writeHeader`, with
 * `trustForwardHeader: false`; `pkg/middlewares/forwardedheaders`), Envoy 1.40 as its documentation of ext_authz and its asynchronous client have it.
 */
describe('a gateway of another kind', () => {
  const GATEWAY = '172.18.0.5';
  const config = { host: '0.0.0.0', issuer: 'https://app.example.com', trustProxy: ['172.18.0.0/16'] };
  const browser = (typed: string): Headers => ({
    origin: `https://${typed}`,
    'sec-fetch-site': 'same-origin',
    'user-agent': 'Mozilla/5.0',
  });

  interface Asked {
    /** As a person types it. */
    typed: string;
    method: string;
    key: Headers;
  }
  type Question = { method: string; url: string; headers: Headers };

  /** It asks at the address that its configuration names, and so is `Host`. */
  const traefik = ({ typed, method, key }: Asked): Question => ({
    method: 'GET',
    url: '/session',
    headers: {
      host: 'gatehouse:3000',
      ...browser(typed),
      ...key,
      'x-forwarded-for': '203.0.113.9',
      'x-forwarded-method': method,
      'x-forwarded-proto': 'https',
      'x-forwarded-port': '443',
      'x-forwarded-host': typed,
      'x-forwarded-uri': '/orders',
      'accept-encoding': 'gzip',
    },
  });

  /** It asks with the method, the path and the host of the request, and adds its own address. */
  const envoy = ({ typed, method, key }: Asked): Question => ({
    method,
    url: '/session/orders',
    headers: {
      host: typed,
      'content-length': '0',
      ...browser(typed),
      ...key,
      'x-forwarded-for': '203.0.113.9,172.18.0.5',
      'x-forwarded-method': method,
      'x-forwarded-proto': 'https',
      'x-envoy-internal': 'true',
      'x-envoy-expected-rq-timeout-ms': '3000',
    },
  });

  describe.each([
    ['Traefik', traefik],
    ['Envoy', envoy],
  ])('%s', (_name, questionOf) => {
    let replica: Replica;
    let cookie: Headers;

    beforeAll(async () => {
      replica = await replicaOf(config);
      const own = openBrowser(replica);
      const payload = { username: user.username, password: user.password, transport: 'cookie' };
      await own.send('POST', '/login', { payload, headers: { host: 'app.example.com' } });
      cookie = { cookie: `${ACCESS}=${own.jar.get(ACCESS)}` };
    });

    const askAbout = (asked: Asked, remoteAddress = GATEWAY) =>
      replica.app.inject({ ...(questionOf(asked) as { method: 'GET' }), remoteAddress });

    it('is answered about what people send to the host of the issuer', async () => {
      for (const method of ['GET', 'POST', 'DELETE']) {
        for (const typed of ['app.example.com', 'app.example.com:8443', 'APP.example.com'])
          expect((await askAbout({ typed, method, key: cookie })).statusCode).toBe(200);
      }
    });

    it('is refused what a cookie changes at another host, and nothing else', async () => {
      const typed = EVIL;
      for (const method of ['POST', 'PUT', 'DELETE'])
        expect(isMisdirected(await askAbout({ typed, method, key: cookie }))).toBe(true);
      const fresh = await login(replica, user);
      for (const method of ['GET', 'POST'])
        expect((await askAbout({ typed, method, key: bearer(fresh.access_token) })).statusCode).toBe(200);
      expect((await askAbout({ typed, method: 'GET', key: cookie })).statusCode).toBe(200);
    });
  });

  it('is not believed a host that it is not named for', async () => {
    const replica = await replicaOf(config);
    const { url, headers } = traefik({
      typed: 'app.example.com',
      method: 'POST',
      key: { cookie: `${ACCESS}=any` },
    });
    expect(isMisdirected(await replica.app.inject({ url, headers, remoteAddress: '172.19.0.5' }))).toBe(true);
    expect((await replica.app.inject({ url, headers, remoteAddress: GATEWAY })).statusCode).toBe(401);
  });
});

describe('other shapes of a request', () => {
  /** Over a connection of its own, since `inject` and clients would write it anew. */
  async function statusOf(config: Partial<Config>, lines: string[]): Promise<number | undefined> {
    const { app } = await house.replica({ config });
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as AddressInfo;
    const [answer] = await exchange(port, [...lines, 'Connection: close', '', ''].join('\r\n'));
    return answer?.status;
  }

  it.each([
    ['http://login.example.com/account', EVIL, 200],
    ['https://LOGIN.example.com:8443/account', EVIL, 200],
    [`http://${EVIL}/account`, 'login.example.com', 421],
    [`http://${EVIL}:80/account`, 'login.example.com', 421],
    [`http://login.example.com@${EVIL}/account`, 'login.example.com', 421],
    ['/account?next=http://login.example.com/', EVIL, 421],
    [`/account?next=http://${EVIL}/`, 'login.example.com', 200],
  ])('count the host of the target: %s beside the Host %s is %i', async (target, host, status) => {
    expect(await statusOf(PUBLIC, [`GET ${target} HTTP/1.1`, `Host: ${host}`])).toBe(status);
  });

  it('have no host in HTTP/1.0: then nothing but pages is missing', async () => {
    expect(await statusOf(PUBLIC, ['GET /account HTTP/1.0'])).toBe(421);
    expect(await statusOf(PUBLIC, ['GET /account HTTP/1.0', 'Host: login.example.com'])).toBe(200);
    for (const config of [PUBLIC, LOOPBACK]) {
      expect(await statusOf(config, ['GET /health HTTP/1.0'])).toBe(200);
      expect(await statusOf(config, ['GET /ready HTTP/1.0'])).toBe(200);
    }
    expect(await statusOf(LOOPBACK, ['GET /health HTTP/1.0', 'Origin: http://localhost:3000'])).toBe(421);
  });

  it('are ambiguous with two hosts', async () => {
    const lines = ['GET /account HTTP/1.1', 'Host: login.example.com', `Host: ${EVIL}`];
    expect(await statusOf(PUBLIC, lines)).toBe(400);
  });
});
