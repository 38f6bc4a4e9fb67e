// TRUST_PROXY: whose address a session remembers, depending on who forwards it.
import { afterAll, beforeAll, expect, it } from 'vitest';

import { bearer, openHouse, type House, type TestUser, type TokenPair } from '../support/house.js';

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
  ['a trusted proxy forwards a port as well', ['10.0.0.0/8'], '10.0.0.1', '203.0.113.9:4711', '10.0.0.1'],
  ['a trusted proxy forwards a zone', ['10.0.0.0/8'], '10.0.0.1', 'fe80::1%eth0', 'fe80::1'],
])('when %s', async (_when, trustProxy, peer, forwarded, expected) => {
  expect(await addressOf(trustProxy, peer, forwarded)).toBe(expected);
});
