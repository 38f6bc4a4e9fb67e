// A new password from a page: the session is another one afterwards, in every tab, and nobody has to sign in again.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { ACCESS, REFRESH } from '../../support/browser.js';
import type { House, Replica, TestUser } from '../../support/house.js';
import {
  beginAtNoon,
  createJar,
  createNetwork,
  createStorage,
  hold,
  loseAnswer,
  offline,
  openHouseForPages,
  openTab,
  until,
  type Tab,
} from '../../support/tabs.js';

const NEW = 'correct horse battery staple';

let house: House;
let replica: Replica;
let url: string;
let user: TestUser;
let browser: ReturnType<typeof createJar>;
let storage: ReturnType<typeof createStorage>;

beforeAll(async () => {
  ({ house, replica, url } = await openHouseForPages());
});
beforeEach(async () => {
  user = await beginAtNoon(house);
  browser = createJar();
  storage = createStorage();
});
afterEach(() => vi.unstubAllGlobals());
afterAll(() => house.close());

const open = {
  bearer: () => openTab({ url, storage }),
  cookie: () => openTab({ url, transport: 'cookie' }, createNetwork(browser.send)),
};

/** Insists, since judging a password may take too long on a busy machine. Then nothing was changed. */
async function change(page: Tab, current: string, next: string): Promise<void> {
  for (;;) {
    try {
      await page.changePassword(current, next);
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== 'temporarily_unavailable') throw error;
    }
  }
}

function logIn(password: string): Promise<number> {
  const payload = { username: user.username, password };
  return replica.app.inject({ method: 'POST', url: '/login', payload }).then(({ statusCode }) => statusCode);
}

describe.each(['bearer', 'cookie'] as const)('changePassword by %s', (transport) => {
  it('gives the page another session, and says so', async () => {
    const page = open[transport]();
    const { sid } = await page.login(user);
    await change(page, user.password, NEW);
    const session = await page.session();
    expect(session).toMatchObject({ sub: user.id });
    expect(session?.sid).not.toBe(sid);
    expect(page.story()).toEqual(['signed-in/login', 'signed-in/password']);
    expect(page.changes.at(-1)?.sessionId).toBe(session?.sid);
    expect((await page.fetch(`${url}/sessions`)).status).toBe(200);
    expect([await logIn(user.password), await logIn(NEW)]).toEqual([401, 200]);
    await page.logout();
    expect(await page.session()).toBeNull();
  });

  it('leaves every other tab signed in, with the new session', async () => {
    const page = open[transport]();
    await page.login(user);
    const others = [open[transport](), open[transport]()];
    for (const other of others) await other.session();
    await change(page, user.password, NEW);
    const sid = (await page.session())?.sid;
    await until(() => others.every(({ changes }) => changes.at(-1)?.sessionId === sid));
    for (const other of others) {
      expect((await other.fetch(`${url}/sessions`)).status).toBe(200);
      expect(other.story().filter((told) => told.startsWith('signed-out'))).toEqual([]);
      expect(other.network.count('/refresh')).toBe(0);
    }
    await page.fetch(`${url}/sessions`);
    expect(await page.session()).toMatchObject({ sid });
  });

  it.each(['this', 'another'])('repeats what was under way in %s tab, of the same user', async (which) => {
    const page = open[transport]();
    const { sid } = await page.login(user);
    const asking = which === 'this' ? page : open[transport]();
    await asking.session();
    const late = hold();
    asking.network.next('/sessions', (go) => late.fate(() => go().then(() => refusal(401, 'invalid_token'))));
    const asked = asking.fetch(`${url}/sessions`);
    await late.arrived;
    await change(page, user.password, NEW);
    await until(() => asking.changes.some(({ sessionId }) => sessionId !== sid));
    late.letGo();
    expect((await asked).status).toBe(200);
    expect(asking.network.count('/sessions')).toBe(2);
  });

  it('repeats nothing of the user before, once somebody else has signed in', async () => {
    const page = open[transport]();
    await page.login(user);
    await change(page, user.password, NEW);
    const late = hold();
    page.network.next('/orders', (go) => late.fate(() => go().then(() => refusal(401, 'invalid_token'))));
    const asked = page.fetch(`${url}/orders`);
    await late.arrived;
    await page.login(await house.user());
    late.letGo();
    expect((await asked).status).toBe(401);
    expect(page.network.count('/orders')).toBe(1);
  });

  it('asks once more when the answer was lost, and gets it', async () => {
    const page = open[transport]();
    const { sid } = await page.login(user);
    const before = new Map(browser.jar);
    const lost = { isDone: false };
    page.network.next('/password', async (go) => {
      const response = await go();
      lost.isDone = response.ok;
      // The cookies are lost like the rest.
      for (const [name, value] of before) browser.jar.set(name, value);
      throw new TypeError('connection lost');
    });
    await change(page, user.password, NEW);
    // If that was refused since the machine is busy, the next one was the first.
    expect(page.network.count('/password')).toBeGreaterThanOrEqual(lost.isDone ? 2 : 1);
    expect(await page.session()).toMatchObject({ sub: user.id });
    expect((await page.session())?.sid).not.toBe(sid);
    expect([await logIn(user.password), await logIn(NEW)]).toEqual([401, 200]);
  });

  it('rejects when both answers were lost; called again with the same passwords, it succeeds', async () => {
    const page = open[transport]();
    const { sid } = await page.login(user);
    page.network.next('/password', offline, offline);
    await expect(page.changePassword(user.password, NEW)).rejects.toMatchObject({ code: 'unreachable' });
    expect(await page.session()).toMatchObject({ sid });
    await change(page, user.password, NEW);
    expect((await page.session())?.sid).not.toBe(sid);
  });

  it('rejects with what is wrong, changes nothing, and renews nothing', async () => {
    const page = open[transport]();
    const { sid } = await page.login(user);
    await expect(change(page, 'wrong', NEW)).rejects.toMatchObject({ code: 'invalid_credentials' });
    await expect(change(page, user.password, 'short')).rejects.toMatchObject({
      code: 'invalid_request',
      errors: [{ path: 'body/new_password' }],
    });
    expect(await page.session()).toMatchObject({ sid });
    expect(page.story()).toEqual(['signed-in/login']);
    expect(page.network.count('/refresh')).toBe(0);
  });

  it('renews first when that is due, while it has the turn', async () => {
    const page = open[transport]();
    const { sid } = await page.login(user);
    await house.database.clock.advance(700);
    await change(page, user.password, NEW);
    expect(page.network.count('/refresh')).toBe(1);
    expect((await page.session())?.sid).not.toBe(sid);
  });

  it('rejects when nobody is signed in any more, and the page is told', async () => {
    const page = open[transport]();
    await page.login(user);
    await house.database.admin.query('UPDATE users SET epoch = epoch + 1 WHERE id = $1', [user.id]);
    await expect(change(page, user.password, NEW)).rejects.toMatchObject({ code: 'invalid_token' });
    expect(page.story()).toEqual(['signed-in/login', 'signed-out/ended']);
  });
});

function refusal(status: number, error: string): Response {
  return Response.json({ error }, { status });
}

describe('by cookie, a lost answer', () => {
  it('whose cookies have arrived is a success', async () => {
    const page = open.cookie();
    const { sid } = await page.login(user);
    page.network.next('/password', loseAnswer);
    await change(page, user.password, NEW);
    expect((await page.session())?.sid).not.toBe(sid);
    expect([...browser.jar.keys()]).toEqual([ACCESS, REFRESH]);
    expect(page.story()).toEqual(['signed-in/login', 'signed-in/password']);
  });

  it('does not make a wrong password a right one', async () => {
    const page = open.cookie();
    const { sid } = await page.login(user);
    page.network.next('/password', offline);
    await expect(change(page, 'wrong', NEW)).rejects.toMatchObject({ code: 'invalid_credentials' });
    expect(await page.session()).toMatchObject({ sid });
  });
});

it('a tab that refreshes behind a change, without locks, takes the new pair', async () => {
  vi.stubGlobal('navigator', {});
  const [page, other] = [open.bearer(), open.bearer()];
  await page.login(user);
  const late = hold();
  other.network.next('/refresh', (go) => go().then((response) => late.fate(() => Promise.resolve(response))));
  page.network.next('/password', late.fate);
  const changing = change(page, user.password, NEW);
  await late.arrived;
  const asking = other.fetch(`${url}/sessions`);
  await until(() => other.network.count('/refresh') === 1);
  late.letGo();
  await changing;
  expect((await asking).status).toBe(200);
  expect(await other.session()).toMatchObject({ sid: (await page.session())?.sid });
});

it('an answer that comes after the logout, without locks, signs nobody in', async () => {
  vi.stubGlobal('navigator', {});
  const [page, other] = [open.bearer(), open.bearer()];
  await page.login(user);
  const late = hold();
  page.network.next('/password', late.fate);
  const changing = change(page, user.password, NEW);
  await late.arrived;
  await other.logout();
  late.letGo();
  await changing;
  expect([await page.session(), await other.session()]).toEqual([null, null]);
});
