// The same page with its tokens in cookies: it sees none of them, and behaves no differently.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { ACCESS, REFRESH } from '../../support/browser.js';
import { claimsOf, refresh, type House, type Replica, type TestUser } from '../../support/house.js';
import {
  answer,
  beginAtNoon,
  createJar,
  createNetwork,
  createStorage,
  hold,
  loseAnswer,
  NOON,
  openHouseForPages,
  openTab,
  unavailable,
  until,
  type Fate,
  type Tab,
} from '../../support/tabs.js';

/** Of a token of 600 s: near its end, beyond its grace. */
const [WINDOW, BEYOND] = [481, 700];

let house: House;
let replica: Replica;
let url: string;
let user: TestUser;
let browser: ReturnType<typeof createJar>;

beforeAll(async () => {
  ({ house, replica, url } = await openHouseForPages());
});
beforeEach(async () => {
  user = await beginAtNoon(house);
  // Where there is no page, its storage does not count either.
  vi.stubGlobal('location', new URL(url));
  browser = createJar();
});
afterEach(() => vi.unstubAllGlobals());
afterAll(() => house.close());

function at(seconds: number): Promise<void> {
  return house.database.clock.freeze(NOON + seconds);
}

function openPage(): Tab {
  return openTab({ url, transport: 'cookie' }, createNetwork(browser.send));
}

function pathsOf({ network }: Tab): string[] {
  return network.sent.map(({ path }) => path);
}

function cookie(name: string): string {
  return browser.jar.get(name) ?? '';
}

describe('a page with cookies', () => {
  it('says who signed in, holds no token and sends none', async () => {
    const storage = createStorage();
    vi.stubGlobal('localStorage', storage);
    const page = openPage();
    const session = await page.login(user);
    expect(session).toMatchObject({ sub: user.id, username: user.username });
    expect(page.changes).toEqual([{ type: 'signed-in', why: 'login', sessionId: session.sid }]);
    await at(BEYOND);
    expect(await page.session()).toMatchObject({ sid: session.sid });
    expect(storage.items.size).toBe(0);
    expect(page.network.sent.filter(({ token }) => token !== null)).toEqual([]);
    expect([...browser.jar.keys()]).toEqual([ACCESS, REFRESH]);
  });

  it('is renewed by one refresh on a 401, and told of a reissue when it asks who it is', async () => {
    const page = openPage();
    await page.login(user);
    await at(WINDOW);
    await page.session();
    await page.session();
    expect(page.story()).toEqual(['signed-in/login', 'renewed/reissue']);
    await at(2_000);
    expect((await page.fetch(`${url}/sessions`)).status).toBe(200);
    await page.session();
    expect(pathsOf(page).slice(-4)).toEqual(['/sessions', '/refresh', '/sessions', '/session']);
    expect(page.story()).toEqual(['signed-in/login', 'renewed/reissue', 'renewed/refresh']);
  });

  it('knows after a reload who is signed in, and that nobody is', async () => {
    const stranger = openPage();
    expect(await stranger.session()).toBeNull();
    expect(stranger.changes).toEqual([]);
    const { sid } = await stranger.login(user);
    expect(await openPage().session()).toMatchObject({ sid });
  });

  it('calls a refresh a renewal although it was loaded after the login', async () => {
    const { sid } = await openPage().login(user);
    await at(BEYOND);
    const page = openPage();
    expect(await page.session()).toMatchObject({ sid });
    expect(page.changes).toEqual([{ type: 'renewed', why: 'refresh', sessionId: sid }]);
  });

  it('asks for no refresh after its logout', async () => {
    const page = openPage();
    await page.login(user);
    await page.logout();
    expect((await page.fetch(`${url}/sessions`)).status).toBe(401);
    expect(page.network.count('/refresh')).toBe(0);
  });

  it('does not ask for a refresh again when it is signed out, but session() finds another’s login', async () => {
    const page = openPage();
    await page.session();
    for (let time = 0; time < 3; time += 1) await page.fetch(`${url}/sessions`);
    expect(page.network.count('/refresh')).toBe(1);
    page.close();
    const { sid } = await openPage().login(user);
    expect(await page.session()).toMatchObject({ sid });
  });

  it('logs out with its cookies gone, and ends all or all others', async () => {
    const page = openPage();
    const other = openTab({ url, transport: 'cookie' }, createNetwork(createJar().send));
    await page.login(user);
    await other.login(user);
    const spent = cookie(REFRESH);
    expect(await page.logoutAll({ exceptCurrent: true })).toBe(1);
    expect(await page.session()).not.toBeNull();
    await page.logout();
    expect(browser.jar.size).toBe(0);
    expect((await refresh(replica, spent)).statusCode).toBe(401);
    await page.login(user);
    await at(BEYOND);
    expect(await page.logoutAll()).toBe(1);
    expect(browser.jar.size).toBe(0);
    expect(page.story().slice(-3)).toEqual(['signed-in/login', 'renewed/refresh', 'signed-out/logout']);
  });

  it.each([
    ['503', unavailable],
    ['429', answer(429, { error: 'too_many_requests' }, { 'retry-after': '7' })],
  ])('is signed out neither by a %s', async (_name, fate) => {
    const page = openPage();
    await page.login(user);
    await at(BEYOND);
    page.network.next('/refresh', fate);
    await expect(page.session()).rejects.toMatchObject({ retryAfterSeconds: 7 });
    const later = performance.now() + 8_000;
    vi.spyOn(performance, 'now').mockImplementation(() => later);
    expect(await page.session()).not.toBeNull();
    vi.restoreAllMocks();
    expect(page.story()).toEqual(['signed-in/login', 'renewed/refresh']);
  });

  it('nor by a lost answer, whose cookies may have come or not', async () => {
    const page = openPage();
    const { sid } = await page.login(user);
    await at(BEYOND);
    const { jar } = browser;
    const before = new Map(jar);
    page.network.next('/refresh', async (go) => {
      await loseAnswer(go).catch(() => undefined);
      for (const [name, value] of before) jar.set(name, value);
      throw new TypeError('connection lost');
    });
    expect(await page.session()).toMatchObject({ sid });
    expect(page.network.count('/refresh')).toBe(2);
    expect(claimsOf(cookie(REFRESH)).jti).toBe(`${sid}.1`);
  });

  it('asks once more when its refresh was superseded: the browser has the newer cookie', async () => {
    const page = openPage();
    const { sid } = await page.login(user);
    await at(BEYOND);
    page.network.next('/refresh', answer(401, { error: 'refresh_superseded' }));
    expect(await page.session()).toMatchObject({ sid });
    expect(page.network.count('/refresh')).toBe(2);
  });

  it('asks again later when its refresh was superseded twice', async () => {
    const page = openPage();
    const { sid } = await page.login(user);
    await at(BEYOND);
    const superseded = answer(401, { error: 'refresh_superseded' });
    page.network.next('/refresh', superseded, superseded);
    await expect(page.session()).rejects.toMatchObject({ code: 'refresh_superseded' });
    const later = performance.now() + 2_000;
    vi.spyOn(performance, 'now').mockImplementation(() => later);
    expect(await page.session()).toMatchObject({ sid });
    vi.restoreAllMocks();
    expect(page.network.count('/refresh')).toBe(3);
  });

  it('says nothing of a logout where nobody was signed in', async () => {
    const page = openPage();
    await page.logout();
    expect(page.changes).toEqual([]);
    expect(pathsOf(page)).toEqual(['/logout']);
    expect(await page.session()).toBeNull();
  });

  it('says so when the browser keeps no cookies', async () => {
    const page = openTab({ url, transport: 'cookie' });
    await expect(page.login(user)).rejects.toMatchObject({
      code: 'cookies_refused',
      status: 0,
      message: 'The browser kept no cookie: it wants https, or localhost.',
    });
  });
});

describe('ten tabs with cookies', () => {
  it('that all refresh at once stay signed in', async () => {
    const tabs = Array.from({ length: 10 }, openPage);
    await tabs[0]?.login(user);
    await until(() => tabs.every(({ changes }) => changes.length === 1));
    await at(BEYOND);
    const sessions = await Promise.all(tabs.map((tab) => tab.session()));
    expect(new Set(sessions.map((session) => session?.sub))).toEqual(new Set([user.id]));
    expect(tabs.flatMap((tab) => tab.story()).filter((line) => line.startsWith('signed-out'))).toEqual([]);
  });

  it('hear of a logout in one', async () => {
    const [one, two] = [openPage(), openPage()];
    const { sid } = await one.login(user);
    await one.logout();
    await until(() => two.changes.length === 2);
    expect(two.changes).toEqual([
      { type: 'signed-in', why: 'other-tab', sessionId: sid },
      { type: 'signed-out', why: 'other-tab', sessionId: sid },
    ]);
    expect(await two.session()).toBeNull();
  });

  it('hear of a logout in one that had not asked who is signed in', async () => {
    const [one, two] = [openPage(), openPage()];
    const { sid } = await one.login(user);
    await until(() => two.changes.length === 1);
    const hasty = openPage();
    await hasty.logout();
    expect(hasty.changes).toEqual([{ type: 'signed-out', why: 'logout', sessionId: '' }]);
    await until(() => one.changes.length >= 2 && two.changes.length >= 2);
    await sleep(50);
    expect(one.changes.at(-1)).toMatchObject({ type: 'signed-out', sessionId: sid });
    expect([hasty, one, two].map(({ changes }) => changes.length)).toEqual([1, 2, 2]);
    expect(await two.session()).toBeNull();
  });

  it('stay signed in without locks and channels, too', async () => {
    vi.stubGlobal('navigator', undefined);
    vi.stubGlobal('BroadcastChannel', undefined);
    const tabs = Array.from({ length: 10 }, openPage);
    await tabs[0]?.login(user);
    for (const seconds of [BEYOND, 2 * BEYOND]) {
      await at(seconds);
      const sessions = await Promise.all(tabs.map((tab) => tab.session()));
      expect(new Set(sessions.map((session) => session?.sub))).toEqual(new Set([user.id]));
    }
  });

  it('let a login wait for a refresh that is on its way', async () => {
    const [one, two] = [openPage(), openPage()];
    await one.login(user);
    await at(BEYOND);
    const late = hold();
    one.network.next('/refresh', late.fate);
    const asking = one.session();
    await late.arrived;
    const other = await house.user();
    const entering = two.login(other);
    late.letGo();
    await asking;
    expect(await entering).toMatchObject({ sub: other.id });
    expect(await one.session()).toMatchObject({ sub: other.id });
  });

  it('find out what they missed while they waited for the back button', async () => {
    const events = new EventTarget();
    vi.stubGlobal('addEventListener', events.addEventListener.bind(events));
    const page = openPage();
    const { sid } = await page.login(user);
    await house.database.admin.query(`DELETE FROM sessions WHERE id = $1`, [sid]);
    events.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: false }));
    expect(page.network.count('/session')).toBe(1);
    events.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: true }));
    await until(() => page.changes.length === 2);
    expect(page.story()).toEqual(['signed-in/login', 'signed-out/ended']);
  });

  it('know before anybody is asked that their session ended while they waited for the back button', async () => {
    vi.stubGlobal('BroadcastChannel', undefined);
    vi.stubGlobal('localStorage', createStorage());
    const events = new EventTarget();
    vi.stubGlobal('addEventListener', events.addEventListener.bind(events));
    const [page, elsewhere] = [openPage(), openPage()];
    const { sid } = await page.login(user);
    await elsewhere.session();
    await elsewhere.logout();
    // Others have come and gone since.
    for (let turn = 1; turn <= 3; turn += 1) {
      await elsewhere.login(await house.user());
      await (turn === 2 ? elsewhere.logoutAll() : elsewhere.logout());
    }
    expect(page.story()).toEqual(['signed-in/login']);
    events.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: true }));
    await Promise.resolve();
    expect(page.changes.slice(1)).toEqual([{ type: 'signed-out', why: 'other-tab', sessionId: sid }]);
    expect(await page.session()).toBeNull();
    expect(page.story()).toEqual(['signed-in/login', 'signed-out/other-tab']);
  });

  it('ask nothing when another tab notes in the storage which session ended', async () => {
    const storage = createStorage();
    vi.stubGlobal('localStorage', storage);
    const events = new EventTarget();
    vi.stubGlobal('addEventListener', events.addEventListener.bind(events));
    const page = openPage();
    const { sid } = await page.login(user);
    await page.logout();
    expect([...storage.items]).toEqual([[`gatehouse:ended:${url}`, `${sid} `]]);
    const before = pathsOf(page);
    for (const key of storage.items.keys())
      events.dispatchEvent(Object.assign(new Event('storage'), { key }));
    await new Promise((resolve) => setImmediate(resolve));
    expect(pathsOf(page)).toEqual(before);
  });

  it('are not signed out by the end of another session', async () => {
    vi.stubGlobal('BroadcastChannel', undefined);
    const storage = createStorage();
    vi.stubGlobal('localStorage', storage);
    const events = new EventTarget();
    vi.stubGlobal('addEventListener', events.addEventListener.bind(events));
    const elsewhere = openPage();
    // More than are kept.
    for (let turn = 1; turn <= 12; turn += 1) {
      await elsewhere.login(user);
      await elsewhere.logout();
    }
    const page = openPage();
    const { sid } = await page.login(user);
    events.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: true }));
    expect(await page.session()).toMatchObject({ sid });
    expect(page.story()).toEqual(['signed-in/login']);
    const [kept = ''] = storage.items.values();
    expect(storage.items.size).toBe(1);
    expect(kept).toMatch(/^(?:[0-9a-f-]{36} ){10}$/);
  });

  it.each([
    [
      'full',
      () => {
        throw new Error('full');
      },
    ],
    ['gone', () => undefined],
  ])('log out where the storage is %s', async (_what, setItem) => {
    vi.stubGlobal('localStorage', { ...createStorage(), setItem });
    const page = openPage();
    await page.login(user);
    await page.logout();
    expect(page.story()).toEqual(['signed-in/login', 'signed-out/logout']);
    expect(await page.session()).toBeNull();
  });

  it('find out that somebody else has signed in meanwhile, after a logout or without', async () => {
    vi.stubGlobal('BroadcastChannel', undefined);
    const [page, elsewhere] = [openPage(), openPage()];
    await page.login(user);
    for (const turn of [1, 2]) {
      const { sid } = await elsewhere.login(await house.user());
      expect(await page.session()).toMatchObject({ sid });
      expect(page.changes.at(-1)).toEqual({ type: 'signed-in', why: 'other-tab', sessionId: sid });
      await page.session();
      expect(page.changes.length).toBe(2 * turn);
      await page.logout();
      expect(await page.session()).toBeNull();
    }
  });

  it('believe no late answer: neither after a logout nor after another login', async () => {
    const page = openPage();
    await page.login(user);
    for (const move of [() => page.logout(), async () => page.login(await house.user())]) {
      const late = hold();
      page.network.next('/session', late.fate);
      const asking = page.session();
      await late.arrived;
      await move();
      const story = page.story();
      late.letGo();
      expect((await asking)?.sid).toBe((await page.session())?.sid);
      expect(page.story()).toEqual(story);
    }
  });

  it('ask three times at most who is signed in, where somebody else logs in as often as they ask', async () => {
    const [page, elsewhere] = [openPage(), openPage()];
    await page.login(user);
    page.network.sent.length = 0;
    const overtake: Fate = async (go) => {
      const response = await go();
      const { sid } = await elsewhere.login(await house.user());
      await until(() => page.changes.at(-1)?.sessionId === sid);
      return response;
    };
    page.network.next('/session', overtake, overtake, overtake, overtake);
    expect(await page.session()).not.toBeNull();
    expect(pathsOf(page)).toEqual(['/session', '/session', '/session']);
  });

  it('log out although they are still asking who is signed in', async () => {
    const [page, other] = [openPage(), openPage()];
    const { sid } = await other.login(user);
    const hasty = openPage();
    const [question, end] = [hold(), hold()];
    hasty.network.next('/session', question.fate);
    hasty.network.next('/logout', end.fate);
    const asking = hasty.session();
    await question.arrived;
    const leaving = hasty.logout();
    await end.arrived;
    question.letGo();
    expect(await asking).toMatchObject({ sid });
    end.letGo();
    await leaving;
    expect(hasty.story().at(-1)).toMatch(/^signed-out/);
    await until(() => page.changes.length === 2);
    expect(page.changes.at(-1)).toMatchObject({ type: 'signed-out', sessionId: sid });
  });

  it('log out, without locks, although another tab has done so meanwhile', async () => {
    vi.stubGlobal('navigator', undefined);
    const other = openPage();
    await other.login(user);
    const hasty = openPage();
    const end = hold();
    hasty.network.next('/logout', end.fate);
    const leaving = hasty.logout();
    await end.arrived;
    await other.logout();
    await until(() => hasty.changes.length === 1);
    end.letGo();
    await expect(leaving).resolves.toBeUndefined();
    expect(await hasty.session()).toBeNull();
  });

  it('answer for who is signed in now, when the cookies are no longer those of before', async () => {
    vi.stubGlobal('BroadcastChannel', undefined);
    const [page, elsewhere] = [openPage(), openPage()];
    await page.login(user);
    const { sid } = await elsewhere.login(await house.user());
    browser.jar.delete(ACCESS);
    expect(await page.session()).toMatchObject({ sid });
    expect(page.story()).toEqual(['signed-in/login', 'signed-in/other-tab']);
  });

  it('wait no longer for an answer on who is signed in than for any other', async () => {
    const page = openTab({ url, transport: 'cookie' }, createNetwork());
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockImplementation(() => AbortSignal.abort());
    await expect(page.session()).rejects.toMatchObject({ code: 'unreachable' });
    expect(timeout.mock.calls).toEqual([[10_000]]);
    expect(pathsOf(page)).toEqual(['/session']);
    vi.restoreAllMocks();
  });
});
