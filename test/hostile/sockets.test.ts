// Bytes that are no request, or more than one reading of a request: refused or closed, once, and never our mistake.
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import {
  basic,
  login,
  openHouse,
  type House,
  type Replica,
  type TestClient,
  type TokenPair,
} from '../support/house.js';
import { connectRaw, exchange, readAnswers, refusalOf } from '../support/raw-socket.js';

let house: House;
let replica: Replica;
let client: TestClient;
let pair: TokenPair;
let port: number;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  client = await house.client();
  pair = await login(replica, await house.user());
  await replica.app.listen({ host: '127.0.0.1', port: 0 });
  ({ port } = replica.app.server.address() as AddressInfo);
});
afterAll(() => house.close());

/** Behind whatever hides it: were it ever carried out, a second answer would say so. */
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
const LAST = 'Connection: close\r\n';
const BIG = 10 * 1024 * 1024;

function post(headers: string, body = ''): string {
  return `POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${headers}\r\n${body}`;
}

const MALFORMED: [what: string, bytes: string | Buffer][] = [
  ['HTTP/0.9', 'GET /health\r\n\r\n'],
  ['HTTP/0.9 with a lone LF', 'GET /health\n'],
  ['HTTP/0.9 in words', 'GET /health HTTP/0.9\r\n\r\n'],
  ['HTTP/2.0', 'GET /health HTTP/2.0\r\nHost: a\r\n\r\n'],
  ['HTTP/1.2', `GET /health HTTP/1.2\r\nHost: a\r\n\r\n`],
  ['HTTP/9.9', `GET /health HTTP/9.9\r\nHost: a\r\n\r\n`],
  ['lower-case http', `GET /health http/1.1\r\nHost: a\r\n\r\n`],
  ['TLS hello', Buffer.from('16030100c8010000c40303'.padEnd(410, '5a'), 'hex')],
  ['NUL bytes', Buffer.alloc(100)],
  ['random bytes', Buffer.from(Array.from({ length: 1000 }, (_, at) => (at * 167 + 11) % 256))],
  ['SSH banner', 'SSH-2.0-OpenSSH_9.9\r\n'],
  ['lower-case method', 'get /health HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['space before the colon', 'GET /health HTTP/1.1\r\nHost : a\r\n\r\n'],
  ['no colon', 'GET /health HTTP/1.1\r\nHost a\r\n\r\n'],
  ['empty name', 'GET /health HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n'],
  ['NUL in a header', 'GET /health HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n'],
  ['NUL in a name', 'GET /health HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n'],
  ['NUL in the target', 'GET /hea\0lth HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['obs-fold', 'GET /health HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n'],
  ['obs-fold with a tab', 'GET /health HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n'],
  ['obs-fold of the first line', 'GET /health HTTP/1.1\r\n Host: a\r\n\r\n'],
  ['obs-fold of the length', post('Content-Length:\r\n 2\r\n', '{}')],
  ['bare LF after a header', 'GET /health HTTP/1.1\r\nHost: a\nX: b\r\n\r\n'],
  ['bare LF all over', 'GET /health HTTP/1.1\nHost: a\n\n'],
  ['bare LF before the body', 'GET /health HTTP/1.1\r\nHost: a\r\n\n'],
  ['bare CR in a header', 'GET /health HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n'],
  ['no Host', 'GET /health HTTP/1.1\r\n\r\n'],
  ['two Hosts', 'GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
  ['two equal Hosts', 'GET /health HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n'],
  ['two Content-Types', post('Content-Type: text/plain\r\nContent-Length: 2\r\n', '{}')],
  ['two Content-Lengths', post('Content-Length: 2\r\nContent-Length: 60\r\n', '{}')],
  ['two equal Content-Lengths', post('Content-Length: 2\r\nContent-Length: 2\r\n', '{}')],
  ['Content-Length list', post('Content-Length: 2, 2\r\n', '{}')],
  ['Content-Length with a sign', post('Content-Length: +2\r\n', '{}')],
  ['negative Content-Length', post('Content-Length: -2\r\n', '{}')],
  ['hexadecimal Content-Length', post('Content-Length: 0x2\r\n', '{}')],
  ['fractional Content-Length', post('Content-Length: 2.0\r\n', '{}')],
  ['empty Content-Length', post('Content-Length:\r\n', '{}')],
  ['Content-Length beyond 2^64', post('Content-Length: 18446744073709551618\r\n', '{}')],
  ['CL and TE', post('Content-Length: 6\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n')],
  ['TE and CL', post('Transfer-Encoding: chunked\r\nContent-Length: 6\r\n', '0\r\n\r\n')],
  ['TE after a space, and CL', post('Content-Length: 6\r\nTransfer-Encoding : chunked\r\n', '0\r\n\r\n')],
  ['TE, chunked not last', post('Transfer-Encoding: chunked, identity\r\n', '0\r\n\r\n')],
  [
    'TE twice, chunked first',
    post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n', '0\r\n\r\n'),
  ],
  ['TE twice, chunked and junk', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n', '0\r\n\r\n')],
  ['TE unknown', post('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n')],
  ['TE with VT', post('Transfer-Encoding: \vchunked\r\n', '0\r\n\r\n')],
  ['TE quoted', post('Transfer-Encoding: "chunked"\r\n', '0\r\n\r\n')],
  ['TE with a parameter', post('Transfer-Encoding: chunked;a=b\r\n', '0\r\n\r\n')],
  ['TE folded', post('Transfer-Encoding:\r\n chunked\r\n', '0\r\n\r\n')],
  ['TE identity', post('Transfer-Encoding: identity\r\n', '{}')],
  ['chunk size junk', post('Transfer-Encoding: chunked\r\n', 'xyz\r\n{}\r\n0\r\n\r\n')],
  ['chunk size with a sign', post('Transfer-Encoding: chunked\r\n', '-2\r\n{}\r\n0\r\n\r\n')],
  ['chunk size 0x', post('Transfer-Encoding: chunked\r\n', '0x2\r\n{}\r\n0\r\n\r\n')],
  ['chunk size beyond 2^64', post('Transfer-Encoding: chunked\r\n', `1${'0'.repeat(17)}\r\n{}\r\n0\r\n\r\n`)],
  ['chunk ended by a lone LF', post('Transfer-Encoding: chunked\r\n', '2\n{}\r\n0\r\n\r\n')],
  ['chunk data too long', post('Transfer-Encoding: chunked\r\n', '2\r\n{}}\r\n0\r\n\r\n')],
  ['chunk extension with a lone LF', post('Transfer-Encoding: chunked\r\n', '2;a\nx\r\n{}\r\n0\r\n\r\n')],
];

describe('malformed, refused once:', () => {
  it.each(MALFORMED)('%s', async (_what, bytes) => {
    const [answer, ...more] = await exchange(port, Buffer.concat([toBuffer(bytes), toBuffer(SMUGGLED)]));
    expect(more).toEqual([]);
    expect(answer && refusalOf(answer)).toEqual({ status: 400, error: 'invalid_request' });
    expect(answer?.headers['connection']).toBe('close');
  });
});

describe('too much:', () => {
  const nothing = 'x'.repeat(BIG);

  it.each([
    ['a header of 10 MB', `GET /health HTTP/1.1\r\nHost: a\r\nX: ${nothing}\r\n\r\n`],
    ['a header name of 10 MB', `GET /health HTTP/1.1\r\nHost: a\r\n${nothing}: x\r\n\r\n`],
    ['10 MB of headers', `GET /health HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(BIG / 6)}\r\n`],
    ['a request line of 1 MB', `GET /${nothing.slice(0, 1e6)} HTTP/1.1\r\nHost: a\r\n\r\n`],
    ['a query of 1 MB', `GET /health?${nothing.slice(0, 1e6)} HTTP/1.1\r\nHost: a\r\n\r\n`],
    [
      '16 KiB in headers of one letter',
      `GET /health HTTP/1.1\r\nHost: a\r\n${'a:\r\n'.repeat(16_000)}${LAST}\r\n`,
    ],
    [
      '2,500 headers before Authorization',
      `GET /session HTTP/1.1\r\nHost: a\r\n${'a:b\r\n'.repeat(2500)}Authorization: Bearer x\r\n\r\n`,
    ],
    ['trailers of 1 MB', post('Transfer-Encoding: chunked\r\n', `0\r\nX: ${nothing.slice(0, 1e6)}\r\n\r\n`)],
  ])('%s is 431', async (_what, bytes) => {
    const [answer, ...more] = await exchange(port, bytes + SMUGGLED);
    expect(more).toEqual([]);
    expect(answer && refusalOf(answer)).toEqual({ status: 431, error: 'headers_too_large' });
  });

  it.each([
    [
      'a chunk extension of 1 MB',
      post('Transfer-Encoding: chunked\r\n', `2;${nothing.slice(0, 1e6)}\r\n{}\r\n`),
    ],
    ['a body said to be of 10 MB', post(`Content-Length: ${BIG}\r\n`)],
    ['a body of 10 MB', post(`Content-Length: ${BIG}\r\n`, nothing)],
    [
      'a chunk of 10 MB',
      post('Transfer-Encoding: chunked\r\n', `${BIG.toString(16)}\r\n${nothing}\r\n0\r\n\r\n`),
    ],
  ])('%s is 413', async (_what, bytes) => {
    const [answer, ...more] = await exchange(port, bytes + SMUGGLED);
    expect(more).toEqual([]);
    expect(answer && refusalOf(answer)).toEqual({ status: 413, error: 'too_large' });
  });

  it('is heard by who reads only after having sent it all', async () => {
    const { socket, received, closed } = connectRaw(
      port,
      `GET / HTTP/1.1\r\nHost: a\r\nX: ${nothing}\r\n\r\n`,
    );
    socket.pause();
    await sleep(500);
    socket.resume();
    await closed;
    expect(readAnswers(received())).toMatchObject([{ status: 431 }]);
  });

  it('is not said of 200 headers with Authorization last, but of 201', async () => {
    const request = (count: number) =>
      `GET /session HTTP/1.1\r\nHost: a\r\n${LAST}${'a:b\r\n'.repeat(count - 3)}` +
      `Authorization: Bearer ${pair.access_token}\r\n\r\n`;
    expect(await exchange(port, request(200))).toMatchObject([{ status: 200 }]);
    expect(await exchange(port, request(201))).toMatchObject([{ status: 431 }]);
  });
});

describe('two Authorization headers are refused, equal or not, whichever is good:', () => {
  const good = () => `Authorization: Bearer ${pair.access_token}\r\n`;
  const bad = () => 'aUTHORIZATION: Bearer no-such-token\r\n';
  const goodClient = () => `Authorization: ${basic(client).authorization}\r\n`;

  it.each([
    ['GET', '/session', good, bad],
    ['GET', '/session', bad, good],
    ['GET', '/session', good, good],
    ['GET', '/sessions', good, bad],
    ['POST', '/logout', good, good],
    ['POST', '/logout', bad, good],
    ['POST', '/logout-all', good, bad],
    ['DELETE', `/sessions/x`, good, good],
  ])('%s %s', async (method, url, first, second) => {
    const answers = await exchange(
      port,
      `${method} ${url} HTTP/1.1\r\nHost: a\r\n${first()}X: y\r\n${second()}\r\n`,
    );
    expect(answers.map(refusalOf)).toEqual([{ status: 400, error: 'invalid_request' }]);
    expect(answers[0]?.body).not.toContain('no-such-token');
  });

  it.each([
    ['/introspect', goodClient, goodClient],
    ['/introspect', goodClient, bad],
    ['/revoke', bad, goodClient],
  ])('POST %s', async (url, first, second) => {
    const form = `token=${pair.access_token}`;
    const answers = await exchange(
      port,
      `POST ${url} HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n` +
        `Content-Length: ${form.length}\r\n${first()}${second()}\r\n${form}`,
    );
    expect(answers).toMatchObject([{ status: 400 }]);
    expect(JSON.parse(answers[0]?.body ?? '')).toEqual({
      error: 'invalid_request',
      error_description: 'The header authorization is repeated.',
    });
  });

  it('and none of them ended the session', async () => {
    const answers = await exchange(port, `GET /session HTTP/1.1\r\nHost: a\r\n${LAST}${good()}\r\n`);
    expect(answers).toMatchObject([{ status: 200 }]);
  });
});

describe('a connection', () => {
  const get = (url: string, headers = '') => `GET ${url} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`;
  const statuses = async (bytes: string) => (await exchange(port, bytes)).map(({ status }) => status);

  it('is closed on who begins with HTTP/2', async () => {
    expect(await statuses('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + SMUGGLED)).toEqual([400]);
  });

  it('is no tunnel: CONNECT is a method that nothing takes', async () => {
    const [answer, ...more] = await exchange(
      port,
      `CONNECT example.org:443 HTTP/1.1\r\nHost: a\r\n\r\n${SMUGGLED}`,
    );
    expect(more).toEqual([]);
    expect(answer && refusalOf(answer)).toEqual({ status: 405, error: 'method_not_allowed' });
    expect(answer?.headers['allow']).toBe('');
  });

  it.each(['websocket', 'h2c', 'TLS/1.0'])(
    'ends in HTTP/1.1 with the answer to who asks for %s',
    async (protocol) => {
      const upgrade = `Upgrade: ${protocol}\r\nConnection: Upgrade\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n`;
      expect(await statuses(get('/health', upgrade) + SMUGGLED)).toEqual([200]);
    },
  );

  it('expects nothing but 100-continue', async () => {
    const [answer, ...more] = await exchange(port, get('/health', 'Expect: 200-ok\r\n') + SMUGGLED);
    expect(more).toEqual([]);
    expect(answer && refusalOf(answer)).toEqual({ status: 417, error: 'invalid_request' });
  });

  it('says 100 before the answer to who expects it, with and without a body', async () => {
    const expecting = `Expect: 100-continue\r\n${LAST}`;
    expect(await statuses(post(`Content-Length: 2\r\n${expecting}`, '{}'))).toEqual([100, 400]);
    expect(await statuses(get('/health', expecting))).toEqual([100, 200]);
    expect(await statuses(post(`Content-Length: 99999\r\n${expecting}`))).toEqual([100, 413]);
  });

  it('takes a body for a body, also where none is read', async () => {
    const hidden = `Content-Length: ${SMUGGLED.length}\r\n`;
    expect(await statuses(get('/health', hidden) + SMUGGLED + get('/health', LAST))).toEqual([200, 200]);
    expect(await statuses(get('/nothing', hidden) + SMUGGLED + get('/health', LAST))).toEqual([404, 200]);
    expect(await statuses(get('/login', hidden) + SMUGGLED + get('/health', LAST))).toEqual([405, 200]);
    expect(await statuses(post(hidden, SMUGGLED) + get('/health', LAST))).toEqual([400]);
  });

  it('is answered in the order of its requests, what is wrong with the last included', async () => {
    const session = get('/session', `Authorization: Bearer ${pair.access_token}\r\n`);
    expect(await statuses(`${session}${get('/health')}\0${SMUGGLED}`)).toEqual([200, 200, 400]);
    expect(await statuses(`${session}CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n${SMUGGLED}`)).toEqual([
      200, 405,
    ]);
    expect(await statuses(`${session}${post('Transfer-Encoding: chunked\r\n', 'x')}${SMUGGLED}`)).toEqual([
      200, 400,
    ]);
  });

  it('works off a pipeline one by one: what follows a logout finds it done', async () => {
    const { access_token: token } = await login(replica, await house.user());
    const authorized = `Authorization: Bearer ${token}\r\n`;
    const logout = `POST /logout HTTP/1.1\r\nHost: a\r\n${authorized}\r\n`;
    const after = get('/session', authorized).repeat(5);
    expect(await statuses(get('/session', authorized) + logout + after + get('/health', LAST))).toEqual([
      200, 204, 401, 401, 401, 401, 401, 200,
    ]);
  });

  it('takes a pipeline of 100', async () => {
    expect(await statuses(get('/health').repeat(99) + get('/health', LAST))).toEqual(Array(100).fill(200));
  });

  it.each(['/health', '/openapi.json', '/docs/static/swagger-ui-bundle.js', '/session'])(
    'of 1,000 requests for %s at once is closed, and no harm done',
    async (url) => {
      const answers = await statuses(get(url).repeat(1000));
      expect(answers.length).toBeLessThanOrEqual(100);
      expect(answers.filter((status) => status !== (url === '/session' ? 401 : 200))).toEqual([]);
      expect(await statuses(get('/health', LAST))).toEqual([200]);
    },
  );
});

function toBuffer(bytes: string | Buffer): Buffer {
  return typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
}
