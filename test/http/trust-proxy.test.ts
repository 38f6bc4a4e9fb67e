// TRUST_PROXY: whose address is remembered, limited and logged, depending on who forwards it.
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { LOGIN_LIMITS } from '../../src/domain/guessing/throttle.js';
import { loggerOptions } from '../../src/http/log/log.js';
import { RATES } from '../../src/http/doors/rates.js';
import {
  bearer,
  claimsOf,
  openHouse,
  type House,
  type Replica,
  type TestUser,
  type TokenPair,
} from '../support/house.js';
import { stopMinute } from '../support/stopped-clock.js';

let house: House;
let user: TestUser;

beforeAll(async () => {
  house = await openHouse();
  user = await house.user();
});
afterAll(() => house.close());

/** Logs in through a proxy and returns the address that the session's row holds. */
async function addressOf(trustProxy: string[], peer: string, forwarded: string): Promise<string | null> {
  const { app } = await house.replica({ config: { trustProxy } });
  const response = await app.inject({
    method: 'POST',
    url: '/login',
    remoteAddress: peer,
    headers: { 'x-forwarded-for': forwarded },
    payload: { username: user.username, password: user.password },
  });
  expect(response.statusCode).toBe(200);
  const { access_token: token, session_id: id } = response.json<TokenPair>();
  const list = await app.inject({ url: '/sessions', headers: bearer(token) });
  const { sessions } = list.json<{ sessions: { id: string; ip: string | null }[] }>();
  return sessions.find((session) => session.id === id)?.ip ?? null;
}

it.each([
  ['nobody is trusted', [], '192.0.2.1', '203.0.113.9', '192.0.2.1'],
  ['somebody else is trusted', ['10.0.0.0/8'], '192.0.2.1', '203.0.113.9', '192.0.2.1'],
  ['the peer is trusted', ['192.0.2.1'], '192.0.2.1', '203.0.113.9', '203.0.113.9'],
  ['its network is trusted', ['192.0.2.0/24'], '192.0.2.200', '203.0.113.9', '203.0.113.9'],
  [
    'its IPv6 network is trusted',
    ['2001:db8::/32'],
    '2001:db8::1',
    '2001:db8:ffff::9, 203.0.113.9',
    '203.0.113.9',
  ],
  [
    'a client writes an address before its own',
    ['10.0.0.0/8'],
    '10.0.0.1',
    '198.51.100.7, 203.0.113.9',
    '203.0.113.9',
  ],
  ['two proxies are trusted', ['10.0.0.0/8'], '10.0.0.1', '203.0.113.9, 10.0.0.2', '203.0.113.9'],
  ['a trusted proxy forwards no address', ['10.0.0.0/8'], '10.0.0.1', 'unknown', '10.0.0.1'],
  ['a trusted proxy forwards a port as well', ['10.0.0.0/8'], '10.0.0.1', '203.0.113.9:4711', '203.0.113.9'],
  ['a trusted proxy forwards a zone', ['10.0.0.0/8'], '10.0.0.1', 'fe80::1%eth0', 'fe80::1'],
])('when %s', async (_when, trustProxy, peer, forwarded, expected) => {
  expect(await addressOf(trustProxy, peer, forwarded)).toBe(expected);
});

/** Everything that could make a careless service believe that a request came from elsewhere, to elsewhere. */
function lies(turn: number): Record<string, string> {
  const address = `203.0.${turn >> 8}.${turn & 255}`;
  return {
    'x-forwarded-for': address,
    'x-real-ip': address,
    'x-client-ip': address,
    'cf-connecting-ip': address,
    'true-client-ip': address,
    forwarded: `for=${address};host=evil.test;proto=https`,
    'x-forwarded-host': 'evil.test',
    'x-forwarded-proto': 'https',
    'x-forwarded-port': '444',
    'x-forwarded-prefix': '/evil',
  };
}

describe('an untrusted peer that forwards', () => {
  const peer = '192.0.2.77';
  const lines: string[] = [];
  let replica: Replica;

  beforeAll(async () => {
    const goOn = stopMinute();
    const logger = pino(loggerOptions('trace'), { write: (line) => lines.push(line) });
    replica = await house.replica({ config: { trustProxy: ['10.0.0.0/8'] }, logger });
    return goOn;
  });

  it('spends its own attempts, whatever addresses it names', async () => {
    const payload = { username: 'nobody-forwarded', password: 'any' };
    const statuses: number[] = [];
    for (let turn = 0; turn < LOGIN_LIMITS.pairMinute.points + 3; turn += 1) {
      const request = {
        method: 'POST',
        url: '/login',
        remoteAddress: peer,
        headers: lies(turn),
        payload,
      } as const;
      statuses.push((await replica.app.inject(request)).statusCode);
    }
    const refused = statuses.filter((status) => status === 429);
    expect(refused).toHaveLength(3);
  });

  it('spends its own requests, whatever addresses it names', async () => {
    const url = '/.well-known/oauth-authorization-server';
    const statuses = new Map<number, number>();
    for (let turn = 0; turn < RATES.network.max; turn += 1) {
      const { statusCode } = await replica.app.inject({ url, remoteAddress: peer, headers: lies(turn) });
      statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1);
    }
    // The logins above were requests too.
    expect(statuses.get(429)).toBe(LOGIN_LIMITS.pairMinute.points + 3);
  });

  it('changes neither the issuer nor an address that we give', async () => {
    const headers = lies(1);
    const { body } = await replica.app.inject({ url: '/.well-known/oauth-authorization-server', headers });
    const plain = await replica.app.inject({ url: '/.well-known/oauth-authorization-server' });
    expect(body).toBe(plain.body);
    const { username, password } = user;
    const response = await replica.app.inject({
      method: 'POST',
      url: '/login',
      headers,
      payload: { username, password },
    });
    expect(claimsOf(response.json<TokenPair>().access_token).iss).toBe('http://gatehouse.test');
    expect(JSON.stringify(response.headers)).not.toContain('evil');
    expect(response.headers).not.toHaveProperty('strict-transport-security');
  });

  it('leaves no trace of what it forwards in the log', () => {
    const answered = lines.map((line) => JSON.parse(line) as { msg: string; ip?: string });
    const addresses = answered.filter(({ msg }) => msg === 'answered').map(({ ip }) => ip);
    expect(addresses.length).toBeGreaterThan(RATES.network.max);
    expect([...new Set(addresses)].sort()).toEqual(['127.0.0.1', peer]);
    expect(lines.join('')).not.toMatch(/203\.0\.|evil/);
  });
});
