// docs/server-login.md: a server that logs its users in, with the code that the page shows, and whose limits they spend.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { LOGIN_LIMITS } from '../../src/domain/guessing/throttle.js';
import {
  bearer,
  openHouse,
  type House,
  type Replica,
  type TestUser,
  type TokenPair,
} from '../support/house.js';
import { readPages } from '../support/manual.js';
import { stopMinute } from '../support/stopped-clock.js';

const PAGE = 'docs/server-login.md';
const ROUTE = 'app/login/route.js';

interface Visitor {
  /** What the proxy in front of the server has written into X-Forwarded-For. */
  from: string;
  device?: string;
}

let house: House;
let folder: string;
const saved: TokenPair[] = [];

beforeAll(async () => {
  house = await openHouse();
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-server-login-'));
  (globalThis as { savedTokens?: TokenPair[] }).savedTokens = saved;
  // Only when a minute begins anew would the limits of the one before be forgotten.
  return stopMinute();
});
afterAll(async () => {
  await house.close();
  await rm(folder, { recursive: true });
});

/** The route of the page, before a Gatehouse that believes these proxies. */
async function startServer(
  trustProxy: string[],
): Promise<{ replica: Replica; login: (user: TestUser, visitor: Visitor) => Promise<number> }> {
  const replica = await house.replica({ config: { trustProxy } });
  await replica.app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = replica.app.server.address() as AddressInfo;
  const route = readPages()
    .find(({ path }) => path === PAGE)
    ?.blocks.find((block) => block.is === 'file' && block.name === ROUTE);
  if (route?.is !== 'file') throw new Error(`${PAGE} has no ${ROUTE}`);
  const place = join(folder, String(port));
  await mkdir(place);
  await writeFile(join(place, 'package.json'), '{ "type": "module" }');
  await writeFile(
    join(place, 'tokens.js'),
    'export const saveTokens = (pair) => void globalThis.savedTokens.push(pair);',
  );
  await writeFile(
    join(place, 'route.js'),
    route.text.replace('http://localhost:3000', `http://127.0.0.1:${port}`),
  );
  const { POST } = (await import(pathToFileURL(join(place, 'route.js')).href)) as {
    POST: (request: Request) => Promise<Response>;
  };
  return {
    replica,
    login: async ({ username, password }, { from, device = 'a browser' }) => {
      const headers = { 'x-forwarded-for': from, 'user-agent': device, 'content-type': 'application/json' };
      const body = JSON.stringify({ username, password });
      return (await POST(new Request('https://shop.test/login', { method: 'POST', headers, body }))).status;
    },
  };
}

/** A stranger at this address tries as many wrong passwords as one network may. */
async function guess(
  login: (user: TestUser, visitor: Visitor) => Promise<number>,
  user: TestUser,
  from: string,
): Promise<void> {
  for (let turn = 0; turn < LOGIN_LIMITS.pairMinute.points; turn += 1)
    expect(await login({ ...user, password: `wrong wrong wrong ${turn}` }, { from })).toBe(401);
}

it('locks a user out for what a stranger tries, while nobody tells the two apart', async () => {
  const { login } = await startServer([]);
  const user = await house.user();
  await guess(login, user, '198.51.100.66');
  expect(await login(user, { from: '203.0.113.9' })).toBe(429);
});

describe('named in TRUST_PROXY', () => {
  it('lets each address spend its own attempts', async () => {
    const { login } = await startServer(['127.0.0.1']);
    const user = await house.user();
    await guess(login, user, '198.51.100.66');
    expect(await login(user, { from: '198.51.100.66' })).toBe(429);
    expect(await login(user, { from: '203.0.113.9' })).toBe(204);
  });

  it('believes its own proxy, and not what the visitor has written before', async () => {
    const { login } = await startServer(['127.0.0.1']);
    const user = await house.user();
    await guess(login, user, '198.51.100.66');
    expect(await login(user, { from: '203.0.113.9, 198.51.100.66' })).toBe(429);
  });

  it('shows where people are logged in', async () => {
    const { login, replica } = await startServer(['127.0.0.1']);
    expect(await login(await house.user(), { from: '2001:db8::51', device: 'a phone' })).toBe(204);
    const headers = bearer(saved.at(-1)?.access_token ?? '');
    expect((await replica.app.inject({ url: '/sessions', headers })).json()).toMatchObject({
      sessions: [{ ip: '2001:db8::51', user_agent: 'a phone' }],
    });
  });
});

it('says 503, and nothing about the password, where Gatehouse is gone', async () => {
  const { login, replica } = await startServer([]);
  await replica.app.close();
  expect(await login(await house.user(), { from: '203.0.113.9' })).toBe(503);
});
