// Many tabs, one session: they take turns, tell each other, and lose nothing where the browser has neither locks nor channels.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { claimsOf, type House, type TestUser } from '../../support/house.js';
import {
  beginAtNoon,
  createStorage,
  hold,
  NOON,
  openHouseForPages,
  openTab,
  until,
  type Tab,
} from '../../support/tabs.js';

/** Of a token of 600 s: near its end, beyond its grace. */
const [WINDOW, BEYOND] = [481, 700];

let house: House;
let url: string;
let user: TestUser;
let storage: ReturnType<typeof createStorage>;

beforeAll(async () => {
  ({ house, url } = await openHouseForPages());
});
beforeEach(async () => {
  user = await beginAtNoon(house);
  storage = createStorage();
});
afterEach(() => vi.unstubAllGlobals());
afterAll(() => house.close());

function openTabs(count: number): Tab[] {
  return Array.from({ length: count }, () => openTab({ url, storage }));
}

function pair(): [Tab, Tab] {
  return [openTab({ url, storage }), openTab({ url, storage })];
}

function refreshesOf(tabs: Tab[]): number {
  return tabs.reduce((sum, { network }) => sum + network.count('/refresh'), 0);
}

async function statusesOf(tabs: Tab[]): Promise<number[]> {
  const responses = await Promise.all(tabs.map(({ fetch }) => fetch(`${url}/sessions`)));
  return responses.map(({ status }) => status);
}

/** Each piece of what browsers may lack. */
const BROWSERS: [string, () => void][] = [
  ['locks and channels', () => undefined],
  ['channels but no locks', () => vi.stubGlobal('navigator', undefined)],
  ['locks but no channels', () => vi.stubGlobal('BroadcastChannel', undefined)],
  [
    'locks that are forbidden',
    () => {
      const request = () => Promise.reject(new DOMException('sandboxed', 'SecurityError'));
      vi.stubGlobal('navigator', { locks: { request } });
    },
  ],
  [
    'neither',
    () => {
      vi.stubGlobal('navigator', undefined);
      vi.stubGlobal('BroadcastChannel', undefined);
    },
  ],
];

describe.each(BROWSERS)('ten tabs of a browser with %s', (_name, lack) => {
  it('that all refresh at once stay signed in', async () => {
    lack();
    const tabs = openTabs(10);
    const { sid } = (await tabs[0]?.login(user)) ?? {};
    for (const seconds of [BEYOND, 2 * BEYOND, 3 * BEYOND]) {
      await house.database.clock.freeze(NOON + seconds);
      expect(await statusesOf(tabs)).toEqual(Array(10).fill(200));
    }
    const sessions = await Promise.all(tabs.map((tab) => tab.session()));
    expect(new Set(sessions.map((session) => session?.sid))).toEqual(new Set([sid]));
    expect(tabs.flatMap(({ changes }) => changes).some(({ type }) => type === 'signed-out')).toBe(false);
  });
});

describe('where there are locks', () => {
  it('ten tabs need one refresh between them', async () => {
    const tabs = openTabs(10);
    await tabs[0]?.login(user);
    await house.database.clock.freeze(NOON + BEYOND);
    expect(await statusesOf(tabs)).toEqual(Array(10).fill(200));
    expect(refreshesOf(tabs)).toBe(1);
    await until(() => tabs.every(({ changes }) => changes.at(-1)?.type === 'renewed'));
    const whys = tabs.map(({ changes }) => changes.at(-1)?.why).sort();
    expect(whys).toEqual([...Array<string>(9).fill('other-tab'), 'refresh']);
  });

  it('a login waits for a refresh that is on its way, and is not undone by it', async () => {
    const [one, two] = pair();
    await one.login(user);
    await house.database.clock.freeze(NOON + BEYOND);
    const late = hold();
    one.network.next('/refresh', late.fate);
    const asking = one.fetch(`${url}/sessions`);
    await late.arrived;
    const other = await house.user();
    const entering = two.login(other);
    late.letGo();
    await asking;
    expect(await entering).toMatchObject({ sub: other.id });
    expect(await one.session()).toMatchObject({ sub: other.id });
  });
});

describe('without locks', () => {
  beforeEach(() => {
    vi.stubGlobal('navigator', undefined);
  });

  it('the late answer to a refresh does not undo another login', async () => {
    const [one, two] = pair();
    await one.login(user);
    await house.database.clock.freeze(NOON + BEYOND);
    const late = hold();
    one.network.next('/refresh', late.fate);
    const asking = one.fetch(`${url}/sessions/${crypto.randomUUID()}`, { method: 'DELETE' });
    await late.arrived;
    const other = await house.user();
    const { sid } = await two.login(other);
    const held = new Map(storage.items);
    late.letGo();
    // Nor is what the first user asked for done in the name of the second.
    expect((await asking).status).toBe(401);
    expect(storage.items).toEqual(held);
    expect(await one.session()).toMatchObject({ sid });
  });

  it('nor does it bring a session back that was logged out', async () => {
    const [one, two] = pair();
    await one.login(user);
    await house.database.clock.freeze(NOON + BEYOND);
    const late = hold();
    one.network.next('/refresh', late.fate);
    const asking = one.fetch(`${url}/sessions`);
    await late.arrived;
    await two.logout();
    late.letGo();
    await asking;
    expect(storage.items.size).toBe(0);
    expect(await one.session()).toBeNull();
  });

  it('the late answer to a logout leaves the login of another tab alone', async () => {
    const [one, two] = pair();
    await one.login(user);
    const late = hold();
    one.network.next('/logout', late.fate);
    const leaving = one.logout();
    await late.arrived;
    const { sid } = await two.login(await house.user());
    late.letGo();
    await leaving;
    expect(await one.session()).toMatchObject({ sid });
  });

  it('two tabs can log out at once', async () => {
    const [one, two] = pair();
    await one.login(user);
    const late = hold();
    one.network.next('/logout', late.fate);
    const leaving = one.logout();
    await late.arrived;
    await two.logout();
    late.letGo();
    await leaving;
    expect(storage.items.size).toBe(0);
  });

  it('it does not put back a refresh token that is spent', async () => {
    const [one, two] = pair();
    const { sid } = await one.login(user);
    await house.database.clock.freeze(NOON + BEYOND);
    const late = hold();
    one.network.next('/refresh', late.fate);
    const asking = one.fetch(`${url}/sessions`);
    await late.arrived;
    await two.fetch(`${url}/sessions`);
    await house.database.clock.freeze(NOON + 2 * BEYOND);
    await two.fetch(`${url}/sessions`);
    late.letGo();
    expect((await asking).status).toBe(200);
    const refreshToken = storage.getItem(`gatehouse:bearer:${url}:refresh`) ?? '';
    expect(claimsOf(refreshToken).jti).toBe(`${sid}.2`);
  });
});

describe('the other tabs', () => {
  it('hear of a login, a renewal and a logout', async () => {
    const [one, two] = pair();
    const { sid } = await one.login(user);
    await house.database.clock.freeze(NOON + BEYOND);
    await one.session();
    await one.logout();
    await until(() => two.changes.length === 3);
    expect(two.changes).toEqual([
      { type: 'signed-in', why: 'other-tab', sessionId: sid },
      { type: 'renewed', why: 'other-tab', sessionId: sid },
      { type: 'signed-out', why: 'other-tab', sessionId: sid },
    ]);
    expect(await two.session()).toBeNull();
    expect(one.story()).toEqual(['signed-in/login', 'renewed/refresh', 'signed-out/logout']);
  });

  it('hear of it from the storage where there is no channel', async () => {
    vi.stubGlobal('BroadcastChannel', undefined);
    const one = openTab({ url, storage });
    const events = new EventTarget();
    vi.stubGlobal('addEventListener', events.addEventListener.bind(events));
    const two = openTab({ url, storage });
    // After each write, as browsers do it.
    const { setItem, removeItem } = storage;
    storage.setItem = (...item) => {
      setItem(...item);
      events.dispatchEvent(new Event('storage'));
    };
    storage.removeItem = (name) => {
      removeItem(name);
      events.dispatchEvent(new Event('storage'));
    };
    await one.login(user);
    await house.database.clock.freeze(NOON + BEYOND);
    await one.session();
    await one.logout();
    await until(() => two.changes.length === 3);
    expect(two.story()).toEqual(['signed-in/other-tab', 'renewed/other-tab', 'signed-out/other-tab']);
  });

  it('are named as the cause of what a tab finds when it writes, where nobody has told it', async () => {
    vi.stubGlobal('BroadcastChannel', undefined);
    const [one, two] = pair();
    await one.login(user);
    await two.login(await house.user());
    expect(two.story()).toEqual(['signed-in/other-tab', 'signed-in/login']);
    await house.database.clock.freeze(NOON + WINDOW);
    const late = hold();
    two.network.next('/sessions', late.fate);
    const asking = two.fetch(`${url}/sessions`);
    await late.arrived;
    await house.database.clock.freeze(NOON + 2 * BEYOND);
    await one.fetch(`${url}/sessions`);
    late.letGo();
    await asking;
    expect(two.story().slice(2)).toEqual(['renewed/other-tab']);
    await house.database.clock.freeze(NOON + 4 * BEYOND);
    await one.fetch(`${url}/sessions`);
    await two.logout();
    expect(two.story().slice(3)).toEqual(['renewed/other-tab', 'signed-out/logout']);
  });

  it('look into the storage when something of ours was written there, and otherwise not', () => {
    const events = new EventTarget();
    vi.stubGlobal('addEventListener', events.addEventListener.bind(events));
    const tab = openTab({ url, storage });
    const getItem = vi.spyOn(storage, 'getItem');
    const write = (key: string | null) => {
      getItem.mockClear();
      events.dispatchEvent(Object.assign(new Event('storage'), { key }));
      return getItem.mock.calls.length > 0;
    };
    expect(['draft', 'gatehouse', ''].map(write)).toEqual([false, false, false]);
    const ours = [`gatehouse:bearer:${url}:refresh`, `app:gatehouse:bearer:${url}:access`, null];
    expect(ours.map(write)).toEqual([true, true, true]);
    tab.close();
  });

  it('ask nothing with cookies when the application writes to its storage', async () => {
    const events = new EventTarget();
    vi.stubGlobal('addEventListener', events.addEventListener.bind(events));
    const tab = openTab({ url, transport: 'cookie' });
    for (const key of ['draft', 'gatehouse', '', 'draft'])
      events.dispatchEvent(Object.assign(new Event('storage'), { key }));
    await new Promise((resolve) => setImmediate(resolve));
    expect(tab.network.sent).toEqual([]);
  });

  it('do not use what a late storage still shows of a session that was logged out', async () => {
    const items = new Map<string, string>();
    const late = { ...createStorage(), getItem: (name: string) => items.get(name) ?? storage.getItem(name) };
    const [one, two] = [openTab({ url, storage }), openTab({ url, storage: late })];
    await one.login(user);
    await until(() => two.changes.length === 1);
    for (const [name, value] of storage.items) items.set(name, value);
    await one.logout();
    await until(() => two.changes.length === 2);
    expect(two.story()).toEqual(['signed-in/other-tab', 'signed-out/other-tab']);
    expect(await two.session()).toBeNull();
    expect(two.network.count('/session')).toBe(0);
  });

  it('are let alone by a tab that was closed', async () => {
    const [one, two] = pair();
    two.close();
    await one.login(user);
    expect(await two.session()).not.toBeNull();
    await two.logout();
    expect(two.story()).toEqual(['signed-in/other-tab', 'signed-out/logout']);
  });
});

describe('a storage that is full', () => {
  const fill = (full: ReturnType<typeof createStorage>) => {
    full.setItem = () => {
      throw new DOMException('full', 'QuotaExceededError');
    };
  };

  it('lets a tab log in by itself', async () => {
    const full = createStorage();
    fill(full);
    const tab = openTab({ url, storage: full });
    const { sid } = await tab.login(user);
    expect(await tab.session()).toMatchObject({ sid });
    expect(tab.story()).toEqual(['signed-in/login']);
  });

  it('takes no refresh token from a tab that takes up a successor', async () => {
    const full = createStorage();
    const tab = openTab({ url, storage: full });
    await tab.login(user);
    fill(full);
    await house.database.clock.freeze(NOON + WINDOW);
    expect((await tab.fetch(`${url}/sessions`)).status).toBe(200);
    expect(full.items.size).toBe(0);
    expect(tab.story()).toEqual(['signed-in/login', 'renewed/reissue']);
    await house.database.clock.freeze(NOON + 2 * BEYOND);
    expect(await tab.session()).not.toBeNull();
    expect(tab.story()).toEqual(['signed-in/login', 'renewed/reissue', 'renewed/refresh']);
  });

  it('leaves the tab signed in by itself, and nothing behind', async () => {
    const full = createStorage();
    const tab = openTab({ url, storage: full });
    await tab.login(user);
    fill(full);
    await house.database.clock.freeze(NOON + BEYOND);
    expect((await tab.fetch(`${url}/sessions`)).status).toBe(200);
    expect(full.items.size).toBe(0);
    await house.database.clock.freeze(NOON + 2 * BEYOND);
    expect(await tab.session()).not.toBeNull();
  });
});
