// Where the user is signed in, as a page lists it, and how it ends one of the sessions.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import type { GatehouseOptions } from '@gatehouse/browser';
import { bearer, login, openHouse, type House, type Replica, type TestUser } from '../../support/house.js';
import {
  createJar,
  createLocks,
  createNetwork,
  createStorage,
  listen,
  offline,
  openTab,
  unavailable,
  until,
  type Tab,
} from '../../support/tabs.js';

let house: House;
let replica: Replica;
let url: string;
let user: TestUser;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  url = await listen(replica);
});
beforeEach(async () => {
  vi.stubGlobal('navigator', { locks: createLocks() });
  user = await house.user();
});
afterEach(() => vi.unstubAllGlobals());
afterAll(() => house.close());

describe.each(['bearer', 'cookie'] as const)('a page by %s', (transport) => {
  /** Opens tabs of one browser. */
  function openBrowser(): () => Tab {
    const { send } = createJar();
    const options: GatehouseOptions = { url, transport, storage: createStorage() };
    return () => openTab(options, createNetwork(transport === 'cookie' ? send : fetch));
  }

  function openTabs(): [Tab, Tab] {
    const open = openBrowser();
    return [open(), open()];
  }

  const statusOf = async (token: string) =>
    (await replica.app.inject({ url: '/session', headers: bearer(token) })).statusCode;

  it('lists the sessions of the user, latest opened first, and says which is its own', async () => {
    const [page] = openTabs();
    const other = await login(replica, user);
    const { sid } = await page.login(user);
    const sessions = await page.sessions();
    expect(sessions.map(({ id, current }) => [id, current])).toEqual([
      [sid, true],
      [other.session_id, false],
    ]);
    expect(Object.keys(sessions[0] ?? {}).sort()).toEqual(
      ['created_at', 'current', 'expires_at', 'id', 'ip', 'last_used_on', 'user_agent'].sort(),
    );
  });

  it('ends another one, once and again, and stays signed in', async () => {
    const [page] = openTabs();
    const other = await login(replica, user);
    await page.login(user);
    await page.endSession(other.session_id);
    await page.endSession(other.session_id);
    expect(await statusOf(other.access_token)).toBe(401);
    expect((await page.session())?.sub).toBe(user.id);
    expect(page.story()).not.toContain('signed-out/logout');
  });

  it('ends its own, and is signed out in every tab', async () => {
    const [page, beside] = openTabs();
    const { sid } = await page.login(user);
    await beside.session();
    await page.endSession(sid);
    expect(await page.session()).toBeNull();
    expect(page.story().at(-1)).toBe('signed-out/logout');
    await until(() => beside.story().at(-1) === 'signed-out/other-tab');
  });

  it('ends its own before it has asked who is signed in, and says so too', async () => {
    const open = openBrowser();
    const beside = open();
    const { sid } = await beside.login(user);
    const page = open();
    await page.endSession(sid);
    expect(page.story().at(-1)).toBe('signed-out/logout');
    expect(await page.session()).toBeNull();
    await until(() => beside.story().at(-1) === 'signed-out/other-tab');
  });

  it('is told that a session is not the user’s, in whatever letters its id is', async () => {
    const [page] = openTabs();
    const stranger = await login(replica, await house.user());
    await page.login(user);
    for (const id of [stranger.session_id, 'nobody', '../logout', 'a/b?c#d', ''])
      await expect(page.endSession(id)).rejects.toMatchObject({ code: 'not_found', status: 404 });
    expect(await statusOf(stranger.access_token)).toBe(200);
    expect((await page.session())?.sub).toBe(user.id);
  });

  it('rejects, and stays signed in, where it cannot be known', async () => {
    const [page] = openTabs();
    const { sid } = await page.login(user);
    page.network.next('/sessions', unavailable, offline);
    page.network.next(`/sessions/${sid}`, unavailable, offline);
    for (const work of [() => page.sessions(), () => page.endSession(sid)]) {
      await expect(work()).rejects.toMatchObject({ code: 'temporarily_unavailable', retryAfterSeconds: 7 });
      await expect(work()).rejects.toMatchObject({ code: 'unreachable' });
    }
    expect((await page.session())?.sid).toBe(sid);
  });

  it('rejects where nobody is signed in', async () => {
    const [page] = openTabs();
    await expect(page.sessions()).rejects.toMatchObject({ code: 'invalid_token', status: 401 });
    await expect(page.endSession(crypto.randomUUID())).rejects.toMatchObject({ code: 'invalid_token' });
  });
});
