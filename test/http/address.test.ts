// Whose address a request comes from: every way in which proxies write it, and what callers write before it.
import { once } from 'node:events';
import { request as send, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import pino from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { LOGIN_LIMITS } from '../../src/domain/guessing/throttle.js';
import { HOPS } from '../../src/http/intake/address.js';
import { loggerOptions } from '../../src/http/log/log.js';
import { runs } from '../support/hostile.js';
import { bearer, openHouse, type House, type Replica, type TokenPair } from '../support/house.js';

const PROXY = '10.0.0.1';
const CALLER = '203.0.113.9';

interface Line {
  level: string;
  msg: string;
  ip?: string;
}

let house: House;
let lines: Line[] = [];
const replicas = new Map<string, Replica>();

beforeAll(async () => {
  house = await openHouse();
});
afterAll(() => house.close());
beforeEach(() => {
  lines = [];
});

function openReplica(trustProxy: string[]): Promise<Replica> {
  const write = (line: string) => lines.push(JSON.parse(line) as Line);
  return house.replica({ config: { trustProxy }, logger: pino(loggerOptions('trace'), { write }) });
}

async function replicaFor(trustProxy: string[]): Promise<Replica> {
  const name = trustProxy.join();
  const replica = replicas.get(name) ?? (await openReplica(trustProxy));
  replicas.set(name, replica);
  return replica;
}

/** The address that the line of a request has. */
async function addressOf(trustProxy: string[], remoteAddress: string, forwarded?: string): Promise<string> {
  const { app } = await replicaFor(trustProxy);
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
  await app.inject({ url: '/health', remoteAddress, headers });
  return lines.findLast(({ msg }) => msg === 'answered')?.ip ?? 'none';
}

const warnings = () => lines.filter(({ level }) => level === 'warn').map(({ msg }) => msg);

describe('a proxy that is believed tells the caller', () => {
  it.each([
    ['an address', CALLER, CALLER],
    ['a port, as Azure Application Gateway and IIS', `${CALLER}:47111`, CALLER],
    ['ports at each hop', `${CALLER}:47111, 10.0.0.7:33000`, CALLER],
    ['a port in quotes', `"${CALLER}:47111"`, CALLER],
    ['a port that is hidden', `${CALLER}:_gazonk`, CALLER],
    ['IPv6', '2001:db8::1', '2001:db8::1'],
    ['IPv6 in brackets', '[2001:db8::1]', '2001:db8::1'],
    ['IPv6 with a port', '[2001:db8::1]:443', '2001:db8::1'],
    ['IPv6 as RFC 7239 writes it', '"[2001:db8::1]:47011"', '2001:db8::1'],
    ['IPv6 in brackets and quotes', '"[2001:db8::1]"', '2001:db8::1'],
    ['IPv6 with a hidden port', '"[2001:db8::1]:_x.y-z"', '2001:db8::1'],
    ['IPv6 before a port that can be no group', '2001:db8::1:47111', '2001:db8::1'],
    ['IPv6 with all its groups before a port', '2001:db8:0:0:0:0:0:1:443', '2001:db8::1'],
    ['IPv6 in capitals', '2001:DB8::ABCD', '2001:db8::abcd'],
    ['IPv6 with zeros', '2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    ['a zone', 'fe80::1%eth0', 'fe80::1'],
    ['a zone of which Node knows nothing', 'fe80::1%wlan_0.1', 'fe80::1'],
    ['a zone in brackets, with a port', '[fe80::1%25eth0]:80', 'fe80::1'],
    ['a mapped address', `::ffff:${CALLER}`, CALLER],
    ['a mapped address in brackets, with a port', `[::ffff:${CALLER}]:1`, CALLER],
    ['a mapped address in hexadecimal', '::ffff:cb00:7109', CALLER],
    ['a mapped address in capitals, in full', '0:0:0:0:0:FFFF:CB00:7109', CALLER],
    ['blanks and tabs', ` \t ${CALLER}\t ,\t10.0.0.2 `, CALLER],
    ['no blank', `${CALLER},10.0.0.2`, CALLER],
    ['empty members', `,, ${CALLER},, 10.0.0.2, ,`, CALLER],
    ['a mapped proxy behind the first', `${CALLER}, ::ffff:10.0.0.2`, CALLER],
    ['a caller that is a proxy itself', '10.9.9.9', '10.9.9.9'],
    ['nothing', '', PROXY],
    ['nothing but commas', ', ,\t,', PROXY],
  ])('%s', async (_what, forwarded, expected) => {
    expect(await addressOf(['10.0.0.0/8'], PROXY, forwarded)).toBe(expected);
  });

  const NO_ADDRESSES = [
    ...[
      'unknown',
      '"unknown"',
      '_hidden',
      '_SEVKISEK',
      '"_hidden:_port"',
      'unix:',
      'client.example.com',
      '-',
      '""',
    ],
    ...[
      '010.0.0.1',
      '203.000.113.009',
      '203.0.113',
      '203.0.113.9.1',
      '203.0.113.256',
      '0x7f.1',
      '2130706433',
    ],
    ...['203.0.113.9/32', '203.0.113.9:', '203.0.113.9:123456', '203.0.113.9 :1', ':47111', `${CALLER};by=x`],
    ...[
      '[2001:db8::1',
      '2001:db8::1]',
      '[2001:db8::1]443',
      '[]',
      '[]:1',
      '[[2001:db8::1]]',
      '2001::db8::1',
      ':',
    ],
    ...[
      'for=203.0.113.9',
      "'203.0.113.9'",
      `"${CALLER}`,
      `${CALLER}"`,
      '%eth0',
      '\u00e4',
      `${CALLER}\u00a0x`,
    ],
    ...[`${CALLER}""`, `""${CALLER}`, `${CALLER}[]`, `[]${CALLER}`, '203.0.113:1.9'],
  ];

  it.each(NO_ADDRESSES)('but not by %s: then what is known of the proxies is all', async (text) => {
    expect(await addressOf(['10.0.0.0/8'], PROXY, text)).toBe(PROXY);
    // What stands before it may be the caller's words; what stands behind it a proxy has written.
    expect(await addressOf(['10.0.0.0/8'], PROXY, `198.51.100.1, ${text}`)).toBe(PROXY);
    expect(await addressOf(['10.0.0.0/8'], PROXY, `198.51.100.1, ${text}, 10.0.0.2:80`)).toBe('10.0.0.2');
    expect(await addressOf(['10.0.0.0/8'], PROXY, `${text}, ${CALLER}, 10.0.0.2`)).toBe(CALLER);
  });

  it(`and past ${HOPS} of them nobody reads on: the last one read is the caller`, async () => {
    const proxies = (count: number) =>
      Array.from({ length: count }, (_none, at) => `10.0.1.${at + 1}`).join(', ');
    expect(await addressOf(['10.0.0.0/8'], PROXY, `${CALLER}, ${proxies(HOPS - 1)}`)).toBe(CALLER);
    expect(await addressOf(['10.0.0.0/8'], PROXY, `${CALLER}, ${proxies(HOPS)}`)).toBe('10.0.1.1');
  });

  it('whatever the caller has written before it', async () => {
    const member = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.constantFrom(...NO_ADDRESSES, '', '10.0.0.3', '127.0.0.1', PROXY),
      fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) }),
    );
    const written = fc.array(member, { maxLength: 20 }).map((members) => members.join(', '));
    const proxies = fc.array(fc.constantFrom('10.0.0.2', '10.0.0.3:80', '"[::ffff:10.0.0.4]:1"'), {
      maxLength: HOPS - 1,
    });
    await fc.assert(
      fc.asyncProperty(written, proxies, async (before, after) => {
        const forwarded = [before, `${CALLER}:47111`, ...after].join(', ');
        expect(await addressOf(['10.0.0.0/8'], PROXY, forwarded)).toBe(CALLER);
      }),
      { numRuns: runs(200, 5000) },
    );
  });
});

describe('who is named in TRUST_PROXY', () => {
  const NAMED = ['10.0.0.1', '10.0.0.0/8', '::ffff:10.0.0.1', '::FFFF:a00:1', '::ffff:10.0.0.0/104'];
  it.each(NAMED)('is believed as IPv4 and as mapped address where %s is named', async (named) => {
    for (const peer of [PROXY, `::ffff:${PROXY}`, '::ffff:a00:1'])
      expect(await addressOf([named], peer, CALLER)).toBe(CALLER);
    for (const stranger of ['11.0.0.1', '::ffff:11.0.0.1', '::1', '2001:db8::1'])
      expect(await addressOf([named], stranger, CALLER)).toBe(stranger.replace('::ffff:', ''));
  });

  it.each([
    ['fe80::1', 'fe80::1%eth0', true],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['fe80::1%eth0', 'fe80::1%eth0', true],
    ['fe80::1%eth0', 'fe80::1%eth1', false],
    ['fe80::1%eth0', 'fe80::1', false],
    ['2001:DB8:0::/48', '2001:db8::1', true],
    ['2001:db8::/48', '2001:db8:1::1', false],
    ['::/1', PROXY, false],
  ])('%s: a connection from %s is believed: %s', async (named, peer, isBelieved) => {
    const own = peer.replace(/%.*/, '');
    expect(await addressOf([named], peer, CALLER)).toBe(isBelieved ? CALLER : own);
  });

  it('is nobody where nobody is named', async () => {
    expect(await addressOf([], PROXY, CALLER)).toBe(PROXY);
    expect(await addressOf([], `::ffff:${PROXY}`, CALLER)).toBe(PROXY);
    expect(await addressOf([], 'fe80::1%eth0')).toBe('fe80::1');
  });
});

describe('over a connection', () => {
  /** Headers as they are given, names and values in turn. */
  async function ask({ app }: Replica, host: string, headers: string[]): Promise<string | undefined> {
    const { port } = app.server.address() as AddressInfo;
    const asking = send({ host, port, path: '/health', headers: ['Host', 'any', ...headers], agent: false });
    asking.end();
    const [response] = (await once(asking, 'response')) as [IncomingMessage];
    await response.resume().toArray();
    await expect.poll(() => lines.some(({ msg }) => msg === 'answered')).toBe(true);
    return lines.findLast(({ msg }) => msg === 'answered')?.ip;
  }

  it('is several lines of the header one list', async () => {
    const replica = await openReplica(['127.0.0.1', '10.0.0.0/8']);
    await replica.app.listen({ host: '127.0.0.1', port: 0 });
    const headers = [
      'X-Forwarded-For',
      `198.51.100.1,\t${CALLER}:1`,
      'x-forwarded-for',
      '',
      'X-FORWARDED-FOR',
      '\t10.0.0.2',
    ];
    expect(await ask(replica, '127.0.0.1', headers)).toBe(CALLER);
  });

  it('is a socket for IPv6 and IPv4 both', async () => {
    const mapped = '::ffff:127.0.0.1';
    const believing = await openReplica(['127.0.0.1']);
    await believing.app.listen({ host: mapped, port: 0 });
    expect(await ask(believing, '127.0.0.1', ['X-Forwarded-For', CALLER])).toBe(CALLER);
    lines = [];
    const doubting = await openReplica(['10.0.0.0/8']);
    await doubting.app.listen({ host: mapped, port: 0 });
    expect(await ask(doubting, '127.0.0.1', ['X-Forwarded-For', CALLER])).toBe('127.0.0.1');
  });
});

describe('callers behind a proxy that tells ports', () => {
  it('are as many as there are addresses: guesses from one lock out nobody else', async () => {
    const { app } = await replicaFor(['10.0.0.0/8']);
    const { username, password } = await house.user();
    const logIn = (from: string, typed: string) =>
      app.inject({
        method: 'POST',
        url: '/login',
        remoteAddress: PROXY,
        headers: { 'x-forwarded-for': from },
        payload: { username, password: typed },
      });
    const statuses: number[] = [];
    for (let port = 40_000; port <= 40_000 + LOGIN_LIMITS.pairMinute.points; port += 1)
      statuses.push((await logIn(`${CALLER}:${port}`, 'wrong')).statusCode);
    expect(statuses).toEqual([...Array<number>(LOGIN_LIMITS.pairMinute.points).fill(401), 429]);
    for (const spelling of [CALLER, `::ffff:${CALLER}`, `"[::ffff:cb00:7109]:1"`, `garbage, ${CALLER}:2`])
      expect((await logIn(spelling, password)).statusCode).toBe(429);
    expect((await logIn('198.51.100.1:40000', password)).statusCode).toBe(200);
  });

  it('see their own address in the list of sessions, as IPv4 where it is one', async () => {
    const { app } = await replicaFor(['10.0.0.0/8']);
    const { username, password } = await house.user();
    for (const [remoteAddress, from] of [
      [PROXY, `${CALLER}:47111`],
      [PROXY, `[::ffff:${CALLER}]:47111`],
      [`::ffff:${CALLER}`, 'not believed'],
    ] as const) {
      const payload = { username, password };
      const headers = { 'x-forwarded-for': from };
      const login = await app.inject({ method: 'POST', url: '/login', remoteAddress, headers, payload });
      const { access_token: token, session_id: id } = login.json<TokenPair>();
      const list = await app.inject({ url: '/sessions', headers: bearer(token) });
      const { sessions } = list.json<{ sessions: { id: string; ip: string }[] }>();
      expect(sessions.find((session) => session.id === id)?.ip).toBe(CALLER);
    }
  });

  it('see IPv4 also where a version before kept a mapped address', async () => {
    const { app } = await replicaFor([]);
    const { username, password } = await house.user();
    const login = await app.inject({ method: 'POST', url: '/login', payload: { username, password } });
    const { access_token: token, session_id: id } = login.json<TokenPair>();
    await house.database.admin.query('UPDATE sessions SET ip = $1 WHERE id = $2', [`::ffff:${CALLER}`, id]);
    const list = await app.inject({ url: '/sessions', headers: bearer(token) });
    expect(list.json<{ sessions: { ip: string }[] }>().sessions.map(({ ip }) => ip)).toEqual([CALLER]);
  });
});

describe('the log', () => {
  const MARKER = 'mArKeR';

  it.each([
    ['nobody is named', []],
    ['somebody else is named', ['10.0.0.0/8']],
  ])('says once that a proxy is not believed where %s', async (_where, trustProxy: string[]) => {
    const { app } = await openReplica(trustProxy);
    const urls = ['/introspect', '/session', '/health', '/ready', '/login', '/nowhere'];
    for (const remoteAddress of ['::ffff:192.0.2.1', '192.0.2.2', 'fe80::1%eth0']) {
      for (const url of urls)
        await app.inject({ url, remoteAddress, headers: { 'x-forwarded-for': `${MARKER}, ${CALLER}` } });
    }
    expect(warnings()).toEqual([
      'X-Forwarded-For from 192.0.2.1 is not believed: if that is your proxy, name it in TRUST_PROXY',
    ]);
    expect(JSON.stringify(lines)).not.toMatch(new RegExp(`${MARKER}|${CALLER}`));
  });

  it('says nothing where no such header comes, or it comes from a proxy that is named', async () => {
    const { app } = await openReplica(['10.0.0.0/8']);
    await app.inject({ url: '/health', remoteAddress: '192.0.2.1', headers: { forwarded: `for=${CALLER}` } });
    for (const remoteAddress of [PROXY, `::ffff:${PROXY}`]) {
      for (const headers of [{ 'x-forwarded-for': CALLER }, {}])
        await app.inject({ url: '/health', remoteAddress, headers });
    }
    expect(warnings()).toEqual([]);
  });

  it('says once that a proxy which is believed tells no address', async () => {
    const { app } = await openReplica(['10.0.0.0/8']);
    for (const forwarded of [MARKER, 'unknown', `${CALLER}, ${MARKER}, 10.0.0.2`])
      await app.inject({ url: '/health', remoteAddress: PROXY, headers: { 'x-forwarded-for': forwarded } });
    expect(warnings()).toEqual([
      'X-Forwarded-For from 10.0.0.1 has no address for some callers, who share the limits of one: set that proxy to send addresses',
    ]);
    expect(JSON.stringify(lines)).not.toContain(MARKER);
  });
});
