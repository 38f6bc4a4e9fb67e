// In and out, as a page sees it: what is resolved, what is rejected, and what a page may believe.
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';

import { createGatehouse, GatehouseError, type GatehouseOptions } from '@gatehouse/browser';
import { bearer, type House, type Replica, type TestUser } from '../../support/house.js';
import {
  answer,
  createLocks,
  createStorage,
  loseAnswer,
  offline,
  openHouseForPages,
  openTab,
  unavailable,
  until,
} from '../../support/tabs.js';

/** Three of each in a row: wherever they stand, one becomes `-` and one `_` in base64url. */
const SCOPE = 'read>>> write???';

let house: House;
let replica: Replica;
let url: string;
let user: TestUser;

beforeAll(async () => {
  vi.stubGlobal('navigator', { locks: createLocks() });
  ({ house, replica, url } = await openHouseForPages());
});
beforeEach(async () => {
  user = await house.user({ username: `zoë-${crypto.randomUUID()}`, scope: SCOPE });
});
afterAll(() => house.close());

/** A tab of a browser that nobody else uses. */
function openPage() {
  const storage = createStorage();
  return { storage, ...openTab({ url, storage }) };
}

async function statusOf(token: string): Promise<number> {
  return (await replica.app.inject({ url: '/session', headers: bearer(token) })).statusCode;
}

function tokenOf({ storage }: ReturnType<typeof openPage>): string {
  return storage.getItem(`gatehouse:bearer:${url}:access`) ?? '';
}

describe('login', () => {
  it('says who is signed in, the same as /session says, and tells the page', async () => {
    const page = openPage();
    const session = await page.login(user);
    expect(session).toMatchObject({
      sub: user.id,
      username: user.username,
      scope: SCOPE,
    });
    expect(tokenOf(page).split('.')[1]).toMatch(/-.*_|_.*-/);
    expect(page.changes).toEqual([{ type: 'signed-in', why: 'login', sessionId: session.sid }]);
    expect(await page.session()).toEqual(session);
  });

  it('is refused with the code of the service', async () => {
    const page = openPage();
    const refusal = await page.login({ ...user, password: 'wrong' }).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(GatehouseError);
    expect(refusal).toMatchObject({ name: 'GatehouseError', code: 'invalid_credentials', status: 401 });
    expect(page.network.count('/login')).toBe(1);
    expect(page.changes).toEqual([]);
    expect(page.storage.items.size).toBe(0);
  });

  it('says which member is wrong, and when to try again', async () => {
    const page = openPage();
    await expect(page.login({ ...user, password: '\ud800' })).rejects.toMatchObject({
      code: 'invalid_request',
      status: 400,
      errors: [{ path: 'body/password', message: 'contains a lone surrogate' }],
    });
    const limit = { error: 'too_many_requests', title: 'Too many requests' };
    page.network.next('/login', answer(429, limit, { 'retry-after': '30' }));
    await expect(page.login(user)).rejects.toMatchObject({
      code: 'too_many_requests',
      status: 429,
      message: 'Too many requests',
      retryAfterSeconds: 30,
    });
    // A date would have to be held against the clock of this device.
    page.network.next('/login', answer(429, limit, { 'retry-after': 'Sun, 06 Nov 1994 08:49:37 GMT' }));
    await expect(page.login(user)).rejects.toMatchObject({ status: 429, retryAfterSeconds: undefined });
  });

  it.each([
    [
      'an answer that is not the service’s',
      answer(200, { hello: 'captive portal' }),
      'unexpected_answer',
      200,
    ],
    ['a proxy’s own refusal', answer(502, {}), 'unexpected_answer', 502],
    ['no network', offline, 'unreachable', 0],
    ['a lost answer', loseAnswer, 'unreachable', 0],
  ])('is not believed after %s', async (_name, fate, code, status) => {
    const page = openPage();
    page.network.next('/login', fate);
    const message =
      status === 0 ? 'Gatehouse does not answer.' : `The answer (${status}) is not one of Gatehouse.`;
    await expect(page.login(user)).rejects.toMatchObject({ code, status, message });
    expect(page.changes).toEqual([]);
    expect(await page.session()).toBeNull();
  });
});

describe('session', () => {
  it('is null for nobody, without asking', async () => {
    const page = openPage();
    expect(await page.session()).toBeNull();
    expect(page.network.sent).toEqual([]);
  });

  it('is null when the service ended it, and the page is told', async () => {
    const page = openPage();
    const { sid } = await page.login(user);
    await house.database.admin.query(`DELETE FROM sessions WHERE id = $1`, [sid]);
    expect(await page.session()).toBeNull();
    expect(page.story()).toEqual(['signed-in/login', 'signed-out/ended']);
    expect(page.storage.items.size).toBe(0);
  });

  it.each([
    ['503', unavailable, { code: 'temporarily_unavailable', status: 503, retryAfterSeconds: 7 }],
    ['429', answer(429, { error: 'too_many_requests' }), { code: 'too_many_requests', status: 429 }],
    ['no network', offline, { code: 'unreachable', status: 0 }],
    ['another’s page', answer(200, {}), { code: 'unexpected_answer', status: 200 }],
  ])('rejects with %s, and whoever was signed in still is', async (_name, fate, error) => {
    const page = openPage();
    const session = await page.login(user);
    page.network.next('/session', fate);
    await expect(page.session()).rejects.toMatchObject(error);
    expect(await page.session()).toEqual(session);
    expect(page.story()).toEqual(['signed-in/login']);
  });

  it('is null where the storage holds what is no token', async () => {
    const page = openPage();
    page.storage.setItem(`gatehouse:bearer:${url}:refresh`, 'of another application');
    expect(await page.session()).toBeNull();
    expect(page.network.sent).toEqual([]);
    await page.login(user);
    await page.logout();
    page.storage.setItem(`gatehouse:bearer:${url}:refresh`, 'of another application');
    expect(await page.session()).toBeNull();
    expect(page.network.count('/session')).toBe(0);
  });

  it('outlives a reload of the page', async () => {
    const page = openPage();
    const session = await page.login(user);
    const { storage } = page;
    expect(await openTab({ url, storage }).session()).toEqual(session);
  });

  it('does not outlive it when tokens are kept in memory', async () => {
    const page = openTab({ url, storage: null });
    expect(await page.session()).toBeNull();
    await page.login(user);
    expect(await page.session()).not.toBeNull();
    expect(await openTab({ url, storage: null }).session()).toBeNull();
  });
});

describe('logout', () => {
  it('ends the session everywhere and tells the page', async () => {
    const page = openPage();
    await page.login(user);
    const token = tokenOf(page);
    expect(await statusOf(token)).toBe(200);
    await page.logout();
    expect(await statusOf(token)).toBe(401);
    expect(page.story()).toEqual(['signed-in/login', 'signed-out/logout']);
    expect(page.storage.items.size).toBe(0);
    expect(await page.session()).toBeNull();
    await page.logout();
    expect(page.network.count('/logout')).toBe(1);
  });

  it.each([
    ['offline', offline, 'unreachable'],
    ['after a lost answer', loseAnswer, 'unreachable'],
    ['after 503', unavailable, 'temporarily_unavailable'],
    ['after a 401 of what stands in front', answer(401, {}), 'unexpected_answer'],
    ['after a page of what stands in front', answer(200, {}), 'unexpected_answer'],
    ['after our code under another status', answer(400, { error: 'invalid_token' }), 'invalid_token'],
  ])('promises nothing %s: it rejects, and can be called again', async (_name, fate, code) => {
    const page = openPage();
    await page.login(user);
    const token = tokenOf(page);
    page.network.next('/logout', fate);
    await expect(page.logout()).rejects.toMatchObject({ code });
    expect(page.story()).toEqual(['signed-in/login']);
    expect(tokenOf(page)).toBe(token);
    await page.logout();
    expect(page.story()).toEqual(['signed-in/login', 'signed-out/logout']);
    expect(await statusOf(token)).toBe(401);
  });
});

describe('a page that is left at once', () => {
  /** Requests as the platform gets them; without `keepalive` it drops those under way with their page. */
  function openLeavingPage(options: Pick<GatehouseOptions, 'transport'> = {}) {
    const kept: Record<string, boolean[]> = {};
    const send: typeof fetch = (input, init) => {
      const request = new Request(input, init);
      (kept[new URL(request.url).pathname] ??= []).push(request.keepalive);
      return options.transport === 'cookie'
        ? Promise.resolve(new Response(null, { status: 204 }))
        : fetch(request);
    };
    const page = createGatehouse({ url, storage: createStorage(), fetch: send, ...options });
    onTestFinished(() => page.close());
    return { ...page, kept };
  }

  it('has still logged in, renewed and logged out', async () => {
    const page = openLeavingPage();
    await page.login(user);
    await page.logout();
    await page.login(user);
    await page.logoutAll();
    expect(page.kept).toEqual({ '/login': [true, true], '/logout': [true], '/logout-all': [true] });
  });

  it('has still logged out everywhere when a renewal had to come first', async () => {
    const page = openLeavingPage();
    await page.login(user);
    await house.database.clock.set(700);
    onTestFinished(() => house.database.clock.set(0));
    await page.logoutAll();
    expect(page.kept).toEqual({ '/login': [true], '/logout-all': [true, true], '/refresh': [true] });
  });

  it('has still logged out where cookies carry the tokens', async () => {
    const page = openLeavingPage({ transport: 'cookie' });
    await page.logout();
    expect(page.kept).toEqual({ '/logout': [true] });
  });
});

describe('logoutAll', () => {
  it('ends all sessions and says how many', async () => {
    const [page, other] = [openPage(), openPage()];
    await page.login(user);
    await other.login(user);
    expect(await page.logoutAll()).toBe(2);
    expect(page.story()).toEqual(['signed-in/login', 'signed-out/logout']);
    expect(await other.session()).toBeNull();
    expect(other.story()).toEqual(['signed-in/login', 'signed-out/ended']);
  });

  it('spares the one that asks, if told so', async () => {
    const [page, other] = [openPage(), openPage()];
    const session = await page.login(user);
    await other.login(user);
    expect(await page.logoutAll({ exceptCurrent: true })).toBe(1);
    expect(await page.session()).toEqual(session);
    expect(await other.session()).toBeNull();
  });

  it('promises nothing after a page of what stands in front: it rejects, and can be called again', async () => {
    const page = openPage();
    await page.login(user);
    page.network.next('/logout-all', answer(200, {}));
    await expect(page.logoutAll()).rejects.toMatchObject({ code: 'unexpected_answer', status: 200 });
    expect(page.story()).toEqual(['signed-in/login']);
    expect(await page.logoutAll()).toBe(1);
  });

  it('rejects when nobody is signed in', async () => {
    await expect(openPage().logoutAll()).rejects.toMatchObject({ code: 'invalid_token', status: 401 });
  });
});

it('a listener that is taken off hears no more, and one that throws stops nothing', async () => {
  const page = openPage();
  const heard: string[] = [];
  const thrown: unknown[] = [];
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => thrown.push(error));
  page.onChange(() => {
    throw new Error('of the page');
  });
  const stop = page.onChange(({ type }) => heard.push(type));
  await page.login(user);
  await until(() => thrown.length === 1);
  stop();
  await page.logout();
  await until(() => thrown.length === 2);
  process.removeAllListeners('uncaughtException');
  for (const listener of listeners) process.on('uncaughtException', listener);
  expect(heard).toEqual(['signed-in']);
});
