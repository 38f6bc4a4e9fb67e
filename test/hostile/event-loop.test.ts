// One hostile request holds the service's event loop for at most 20 ms, whatever is largest, deepest or longest in it.
import { once } from 'node:events';
import { request as openRequest, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { MOST_LINES } from '../../src/domain/operators/import-lines.js';
import { LIMITS } from '../../src/http/server/server.js';
import { FOREIGN } from '../support/foreign-hashes.js';
import { runs } from '../support/hostile.js';
import {
  basic,
  bearer,
  openHouse,
  type House,
  type TestClient,
  type TestUser,
  type TokenPair,
} from '../support/house.js';
import { retryOn503 } from '../support/retry.js';
import { findFreePort } from '../../packages/lab/shared/ports.js';
import { ask, createWorkshop, environmentFor, type Service } from '../support/service.js';
import { BLOCK_MS, monitorEnvironment, watchLoop, type Monitor } from './requests/loop.js';
import { FORM_TYPE, JSON_TYPE, LINES_TYPE } from './requests/targets.js';

const BOUND_MS = 20;
const BODY_BYTES = 16 * 1024;
/** Headers and URL together stay below what Node takes. */
const HEADER_BYTES = 15_000;

/** A machine that does other things too can slow any process down; a request that is too much is so every time. */
const TRIES = runs(10, 30);

interface Hostile {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

const workshop = createWorkshop();
let house: House;
let service: Service;
let monitor: Monitor;
let user: TestUser;
let client: TestClient;
let importer: TestClient;
let pair: TokenPair;

beforeAll(async () => {
  house = await openHouse();
  user = await house.user();
  client = await house.client();
  importer = await house.client(['users:write']);
  const port = await findFreePort();
  const environment = {
    ...environmentFor(house.database.url),
    TRUST_PROXY: '127.0.0.0/8',
    LOG_LEVEL: 'info',
  };
  service = await workshop.start({ ...environment, ...monitorEnvironment(port) });
  monitor = watchLoop(port);
  const { username, password } = user;
  pair = (await retryOn503(() => ask(service, 'POST', '/login', { body: { username, password } }))).json();
});
afterAll(async () => {
  await workshop.clear();
  await house.close();
});

let sent = 0;

/** Comes from a network of its own, where it does not say otherwise. Answered or cut off, it has been dealt with. */
async function send({ method = 'POST', path = '/login', headers = {}, body }: Hostile): Promise<number> {
  sent += 1;
  const own = { 'x-forwarded-for': `10.0.${sent >> 8}.${sent & 255}`, ...headers };
  const outgoing = openRequest({ host: '127.0.0.1', port: service.port, method, path, headers: own });
  outgoing.on('error', () => undefined);
  outgoing.end(body);
  try {
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
    incoming.resume();
    await once(incoming, 'end');
    return incoming.statusCode ?? 0;
  } catch {
    return 0;
  }
}

/** The shortest of several tries, unless one is short enough; those of which `work` says `false` do not count. */
async function holdOf(work: () => Promise<unknown>, enoughMs = BOUND_MS): Promise<number> {
  let shortest = Infinity;
  for (let tried = 0; tried < TRIES && shortest > enoughMs; tried += 1) {
    await house.database.admin.query('DELETE FROM login_attempts');
    let counts: unknown;
    const holdMs = await monitor.during(async () => (counts = await work()));
    if (counts !== false) shortest = Math.min(shortest, holdMs);
  }
  return shortest;
}

function fill(unit: string, bytes: number): string {
  return unit.repeat(Math.floor(bytes / Buffer.byteLength(unit)));
}

const json = (body: string): Hostile => ({ headers: { 'content-type': JSON_TYPE }, body });
const login = (username: string, password: string) => json(JSON.stringify({ username, password }));
const bodyOf = (open: string, unit: string, close: string) =>
  json(open + fill(unit, BODY_BYTES - open.length - close.length) + close);

/** Marks in the order that takes longest to put right. */
const MARKS = (bytes: number) => `a${fill('\u0300', bytes / 2)}${fill('\u0327', bytes / 2)}`;
const ROOM = BODY_BYTES - 60;

const BODIES: Record<string, Hostile> = {
  'arrays in arrays': json('['.repeat(BODY_BYTES / 2) + ']'.repeat(BODY_BYTES / 2)),
  'objects in objects': json(`${'{"a":'.repeat(2730)}1${'}'.repeat(2730)}`),
  'arrays that are left open': json('['.repeat(BODY_BYTES)),
  'an array of many': bodyOf('[0', ',0', ']'),
  'an array of many objects': bodyOf('[{}', ',{}', ']'),
  'many unknown members': json(
    JSON.stringify(Object.fromEntries(Array.from({ length: 1800 }, (_none, at) => [at.toString(36), 0]))),
  ),
  'one member, many times': bodyOf('{"a":0', ',"a":0', '}'),
  'many escapes': bodyOf('{"username":"', '\\u0000', '","password":""}'),
  'many quotes': bodyOf('{"a":"', '\\"', '"}'),
  'a string that is left open': bodyOf('{"a":"', '\\"', ''),
  'prototypes in prototypes': json(`${'{"__proto__":'.repeat(1100)}1${'}'.repeat(1100)}`),
  'a long number': bodyOf('{"a":', '9', '}'),
  'a body of 1 MB': json('['.repeat(1024 * 1024)),
  'a body of 1 MB in chunks': {
    ...json('['.repeat(1024 * 1024)),
    headers: { 'content-type': JSON_TYPE, 'transfer-encoding': 'chunked' },
  },
  'a name of many letters': login('x'.repeat(ROOM), ''),
  'a name of many marks': login(MARKS(ROOM), ''),
  'as many marks as a name may be typed with': login(MARKS(4060), ''),
  'a name of joiners': login('\u0628\u200c'.repeat(126) + '\u0628', ''),
  'a name of middle dots': login('\u30fb'.repeat(253) + '\u3042', ''),
  'a name in two directions': login('\u05d01'.repeat(127), ''),
  'a name of ligatures': login('\ufdfa'.repeat(2032), ''),
  'a password of many letters': login('a', 'x'.repeat(ROOM)),
  'a password of many marks': login('a', MARKS(ROOM)),
  'as many marks as a password may be typed with': login('a', MARKS(4090)),
  'a password of ligatures': login('a', fill('\ufb2c', ROOM)),
  'a password of Hangul letters': login('a', fill('\u1112\u1161\u11ab', ROOM)),
  'a password of spaces': login('a', fill('\u3000', ROOM)),
  'a password of lone surrogates': bodyOf('{"username":"a","password":"', '\\ud800', '"}'),
};

const refresh = (token: string): Hostile => ({
  ...json(JSON.stringify({ refresh_token: token })),
  path: '/refresh',
});
const form = (body: string, path = '/introspect'): Hostile => ({
  path,
  headers: { 'content-type': FORM_TYPE },
  body,
});
const get = (path: string, headers: Record<string, string> = {}): Hostile => ({
  method: 'GET',
  path,
  headers,
});
const segments = (count: number) => '.'.repeat(count - 1);
const headed = (header: object, payload = '{}') =>
  [JSON.stringify(header), payload, 'x'.repeat(64)]
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.');

const FORMS: Record<string, Hostile> = {
  'many parameters': form(
    Array.from({ length: 4000 }, (_none, at) => at.toString(36))
      .join('&')
      .slice(0, BODY_BYTES),
  ),
  'one parameter, many times': form(fill('a&', BODY_BYTES)),
  'the token, many times': form(fill('token=a&', BODY_BYTES)),
  'many parameters twice': form(
    fill('', 0) + Array.from({ length: 4600 }, (_none, at) => (at >> 1).toString(36)).join('&'),
  ),
  'many equals signs': form('token'.padEnd(BODY_BYTES, '=')),
  'many percent signs': form('token='.padEnd(BODY_BYTES, '%')),
  'many escapes': form(`token=${fill('%F0%9F%92%A9', BODY_BYTES - 6)}`),
  'many broken escapes': form(`token=${fill('%F0%9F', BODY_BYTES - 6)}`),
  'many pluses': form('token='.padEnd(BODY_BYTES, '+')),
  'a long token': form('token='.padEnd(BODY_BYTES, 'A')),
  '10,000 segments': form(`token=${segments(10_000)}`),
  'a long token at /revoke': form('token='.padEnd(BODY_BYTES, 'A'), '/revoke'),
};

const TOKENS: Record<string, Hostile> = {
  '/refresh with a long token': refresh('A'.repeat(ROOM)),
  '/refresh with 10,000 segments': refresh(segments(10_000)),
  '/refresh with a deep payload': refresh(headed({ alg: 'EdDSA', typ: 'rt+jwt' }, '['.repeat(10_000))),
  '/session with a long token': get('/session', bearer('A'.repeat(HEADER_BYTES))),
  '/session with 10,000 segments': get('/session', bearer(segments(10_000))),
  '/session with equals signs': get('/session', bearer(`A${'='.repeat(HEADER_BYTES)}!`)),
  '/session with many cookies': get('/session', { cookie: fill('a=b;', HEADER_BYTES) }),
  '/session with white space for cookies': get('/session', { cookie: `a=b;${fill(' \t', HEADER_BYTES)};` }),
  '/session with one cookie, many times': get('/session', {
    cookie: fill('__Host-gatehouse-access=a;', HEADER_BYTES),
  }),
  '/session with a long cookie': get('/session', {
    cookie: `__Host-gatehouse-access=${'A'.repeat(HEADER_BYTES)}`,
  }),
  '/session with spaces': get('/session', { authorization: `Bearer${' '.repeat(HEADER_BYTES)}!` }),
  '/session with a long kid': get(
    '/session',
    bearer(headed({ alg: 'EdDSA', typ: 'at+jwt', kid: 'k'.repeat(10_000) })),
  ),
  '/session with a deep header': get(
    '/session',
    bearer(Buffer.from('['.repeat(11_000)).toString('base64url') + '.W1tb.W1tb'),
  ),
  'Basic that is long': {
    ...form('token=a'),
    headers: { 'content-type': FORM_TYPE, ...basic({ id: 'a', secret: 'x'.repeat(10_000) }) },
  },
  'Basic of escapes': {
    ...form('token=a'),
    headers: { 'content-type': FORM_TYPE, ...basic({ id: 'a', secret: fill('%F0%9F%92%A9', 10_000) }) },
  },
};

const long = (name: string, value: string) => get('/session', { [name]: value });
const HEADERS: Record<string, Hostile> = {
  'many headers': get(
    '/session',
    Object.fromEntries(Array.from({ length: 1900 }, (_none, at) => [`x${at.toString(36)}`, ''])),
  ),
  'many proxies': long('x-forwarded-for', fill('1.2.3.4,', HEADER_BYTES)),
  'many proxies that are trusted': long('x-forwarded-for', fill('127.0.0.1,', HEADER_BYTES)),
  'many proxies that are none': long('x-forwarded-for', ','.repeat(HEADER_BYTES)),
  'a long origin': long('origin', 'a'.repeat(HEADER_BYTES)),
  'a long type': {
    ...json('{}'),
    headers: { 'content-type': `${JSON_TYPE};${fill('a="\\"";', HEADER_BYTES)}` },
  },
  'a type of semicolons': {
    ...json('{}'),
    headers: { 'content-type': JSON_TYPE.padEnd(HEADER_BYTES, '; ') },
  },
  'a type of spaces': {
    ...json('{}'),
    headers: { 'content-type': `${JSON_TYPE};${' '.repeat(HEADER_BYTES)}x` },
  },
  'a type of open quotes': {
    ...json('{}'),
    headers: { 'content-type': `${JSON_TYPE};${fill('a="\\', HEADER_BYTES)}` },
  },
  'a long cookie': long('cookie', fill('a=b;', HEADER_BYTES)),
  'a long user agent': {
    ...login('a', 'b'),
    headers: { 'content-type': JSON_TYPE, 'user-agent': 'x'.repeat(HEADER_BYTES) },
  },
  'a long expectation': long('accept-encoding', fill('gzip;q=0.1,', HEADER_BYTES)),
  'a long preflight': {
    method: 'OPTIONS',
    path: '/session',
    headers: {
      origin: 'a',
      'access-control-request-method': 'GET',
      'access-control-request-headers': fill('a,', HEADER_BYTES),
    },
  },
};

const IMPORT = '/admin/users/import';

/** As many lines as fit into one request, up to those that it may have. */
function lines(lineOf: (number: number) => string, most = MOST_LINES): Hostile {
  const fitting: string[] = [];
  let bytes = 0;
  while (fitting.length < most) {
    const line = `${lineOf(fitting.length)}\n`;
    bytes += Buffer.byteLength(line);
    if (bytes > LIMITS.importBytes) break;
    fitting.push(line);
  }
  return linesOf(fitting.join(''));
}
const linesOf = (body: string): Hostile => ({
  path: IMPORT,
  headers: { 'content-type': LINES_TYPE },
  body,
});
const lineOf = (username: string, more = {}) =>
  JSON.stringify({ username, password_hash: FOREIGN['Werkzeug scrypt'], ...more });
const LINE = 16 * 1024;

const IMPORTS: Record<string, Hostile> = {
  'of users': lines((number) => lineOf(`user-${number}@example.com`, { scope: 'read write' })),
  // Each is the worst that a line can be. A request full of them would be given up, and what is given up does not count.
  'of names of many marks': lines(() => lineOf(MARKS(4000)), 40),
  'of names of as many marks as a name may have': lines((number) => lineOf(`${number}${MARKS(500)}`)),
  'of scopes of many words': lines((number) =>
    lineOf(`scoped-${number}`, {
      scope: Array.from({ length: 250 }, (_none, at) => at.toString(36)).join(' '),
    }),
  ),
  'of hashes that nearly are': lines(() =>
    lineOf('a', { password_hash: `$argon2id$v=19$m=8,t=1,p=1$${'A'.repeat(340)}` }),
  ),
  'of arrays in arrays': lines(() => '['.repeat(LINE / 2) + ']'.repeat(LINE / 2)),
  'of many unknown members': lines(() =>
    JSON.stringify(Object.fromEntries(Array.from({ length: 1500 }, (_none, at) => [at, 0]))),
  ),
  'of many quotes': lines(() => `{"a":"${fill('\\"', LINE - 10)}"}`),
  'of empty lines': linesOf('\n'.repeat(LIMITS.importBytes)),
  'of one line': linesOf('x'.repeat(LIMITS.importBytes)),
};

const URLS: Record<string, Hostile> = {
  'of slashes': get('/'.repeat(HEADER_BYTES)),
  'of escapes': get(`/session/${fill('%41', HEADER_BYTES)}`),
  'of broken escapes': get(`/session/${fill('%F0', HEADER_BYTES)}`),
  'of percent signs': get(`/${'%'.repeat(HEADER_BYTES)}`),
  'below /session': get(`/session/${fill('a/', HEADER_BYTES)}`),
  'below /sessions': { ...get(`/sessions/${'a'.repeat(HEADER_BYTES)}`), method: 'DELETE' },
  'below /docs': get(`/docs/static/${fill('../', HEADER_BYTES)}`),
  'with many parameters': get(`/session?${fill('a&', HEADER_BYTES)}`),
  'with question marks': get(`/session${'?'.repeat(HEADER_BYTES)}`),
  'with a long authority': get(`http://${'a?'.repeat(HEADER_BYTES / 2)}`),
  'of the document': get('/openapi.json'),
  'of the page': get('/docs'),
};

describe('the watch', () => {
  it(`sees a loop that is held for ${BLOCK_MS} ms`, async () => {
    expect(await holdOf(() => monitor.block(), 0)).toBeGreaterThanOrEqual(BLOCK_MS);
  });

  it('sees that an idle one is not', async () => {
    expect(await holdOf(() => Promise.resolve())).toBeLessThanOrEqual(BOUND_MS);
  });
});

describe.each([
  ['a body', BODIES],
  ['a form', FORMS],
  ['a token', TOKENS],
  ['a header', HEADERS],
  ['a URL', URLS],
  ['an import', IMPORTS],
])('%s', (_what, requests) => {
  it.each(Object.keys(requests))(`does not hold the loop for more than ${BOUND_MS} ms: %s`, async (name) => {
    const request = requests[name] ?? {};
    const key =
      request.body === undefined || request.path === '/login'
        ? {}
        : basic(request.path === IMPORT ? importer : client);
    const hostile = { ...request, headers: { ...key, ...request.headers } };
    const statuses: number[] = [];
    const hold = await holdOf(async () => {
      const status = await send(hostile);
      statuses.push(status);
      // Given up for want of a core, it may not have done its work either.
      return status !== 503;
    });
    expect(hold).toBeLessThanOrEqual(BOUND_MS);
    // Turned away for what came before, it would not have done its work.
    expect(statuses).not.toContain(429);
    expect(statuses.filter((status) => status >= 500 && status !== 503)).toEqual([]);
  });
});

it('the service has lived through all of it', async () => {
  const headers = bearer(pair.access_token);
  expect((await retryOn503(() => ask(service, 'GET', '/session', { headers }))).status).toBe(200);
  expect(service.process.exitCode).toBeNull();
});
