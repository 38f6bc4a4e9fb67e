// Renewal: a page that only ever calls `fetch` stays signed in for as long as its session lives, and not a request more is sent.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { claimsOf, login, refresh, type House, type Replica, type TestUser } from '../../support/house.js';
import {
  answer,
  createLocks,
  createStorage,
  hold,
  loseAnswer,
  NOON,
  offline,
  openHouseForPages,
  openTab,
  unavailable,
  until,
  type Fate,
} from '../../support/tabs.js';

const DAY_MS = 86_400_000;

/** Of a token of 600 s: near its end, in its grace, beyond it. */
const [WINDOW, GRACE, BEYOND] = [481, 601, 700];

/** The clock that the page measures by; it stands still but for {@link passHere}. */
let clockMs = 0;

const locks = createLocks();

let house: House;
let replica: Replica;
let url: string;
let user: TestUser;

beforeAll(async () => {
  vi.stubGlobal('navigator', { locks });
  ({ house, replica, url } = await openHouseForPages());
});
beforeEach(async () => {
  // Whole milliseconds: sums of them are exact.
  clockMs = Math.round(performance.now());
  vi.spyOn(performance, 'now').mockImplementation(() => clockMs);
  await at(0);
  user = await house.user();
});
afterEach(() => {
  vi.restoreAllMocks();
});
afterAll(() => house.close());

function at(seconds: number): Promise<void> {
  return house.database.clock.freeze(NOON + seconds);
}

async function openSignedIn() {
  const storage = createStorage();
  const tab = openTab({ url, storage });
  const { sid } = await tab.login(user);
  tab.network.sent.length = 0;
  tab.changes.length = 0;
  const item = (kind: 'access' | 'refresh') => storage.getItem(`gatehouse:bearer:${url}:${kind}`) ?? '';
  const paths = () => tab.network.sent.map(({ path }) => path);
  return { ...tab, sid, storage, item, paths, ask: () => tab.fetch(`${url}/sessions`) };
}

/** Has time pass for the page as well, whose own clock is monotonic. */
function passHere(seconds: number): void {
  clockMs += seconds * 1_000;
}

const refused: Fate = answer(401, { error: 'invalid_token' });

describe('a successor in Refreshed-API-Token', () => {
  it('is taken up from any answer and used from then on', async () => {
    const page = await openSignedIn();
    const first = page.item('access');
    await at(WINDOW);
    expect((await page.ask()).status).toBe(200);
    const second = page.item('access');
    expect(claimsOf(second).jti).toBe(claimsOf(first).jti.replace(/\.0$/, '.1'));
    expect((await page.ask()).status).toBe(200);
    expect(page.network.sent.map(({ token }) => token)).toEqual([first, second]);
    expect(page.story()).toEqual(['renewed/reissue']);
  });

  it('is taken up by a page that has just been loaded', async () => {
    const { storage, sid } = await openSignedIn();
    await at(WINDOW);
    const page = openTab({ url, storage });
    expect((await page.fetch(`${url}/sessions`)).status).toBe(200);
    expect(page.changes).toEqual([{ type: 'renewed', why: 'reissue', sessionId: sid }]);
  });

  it('is taken up from a 401 of the grace, and the request is repeated with it', async () => {
    const page = await openSignedIn();
    await at(GRACE);
    expect((await page.ask()).status).toBe(200);
    expect(page.paths()).toEqual(['/sessions', '/sessions']);
    expect(page.story()).toEqual(['renewed/reissue']);
  });

  it('of a late answer does not replace a newer token', async () => {
    const page = await openSignedIn();
    const late = hold();
    await at(WINDOW);
    page.network.next('/sessions', late.fate);
    const asking = page.ask();
    await late.arrived;
    await at(2_000);
    expect((await page.ask()).status).toBe(200);
    const newest = page.item('access');
    late.letGo();
    expect((await asking).headers.has('refreshed-api-token')).toBe(true);
    expect(page.item('access')).toBe(newest);
    expect(page.story()).toEqual(['renewed/refresh']);
  });

  it('of another session is not taken up, nor what is no token', async () => {
    const page = await openSignedIn();
    const mine = page.item('access');
    await at(300);
    const foreign = (await login(replica, await house.user())).access_token;
    for (const text of [foreign, 'x', 'a.b.c', `a.${btoa('null')}.c`, `a.${btoa('{"sid":null}')}.c`]) {
      page.network.next('/sessions', answer(200, {}, { 'refreshed-api-token': text }));
      await page.ask();
    }
    expect(page.item('access')).toBe(mine);
    expect(page.story()).toEqual([]);
  });

  it('that arrives after the logout brings nothing back', async () => {
    const page = await openSignedIn();
    const late = hold();
    await at(WINDOW);
    page.network.next('/sessions', late.fate);
    const asking = page.ask();
    await late.arrived;
    await page.logout();
    late.letGo();
    await asking;
    expect(page.storage.items.size).toBe(0);
    expect(page.story()).toEqual(['signed-out/logout']);
  });
});

describe('a 401', () => {
  it('is answered by one refresh and one repetition, body and all', async () => {
    const page = await openSignedIn();
    await login(replica, user);
    await at(BEYOND);
    const response = await page.fetch(`${url}/logout-all`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ except_current: true }),
    });
    expect(await response.json()).toEqual({ sessions_ended: 1 });
    expect(page.paths()).toEqual(['/logout-all', '/refresh', '/logout-all']);
    expect(page.story()).toEqual(['renewed/refresh']);
  });

  it('never makes a loop: two requests and one refresh are all that a stubborn server sees', async () => {
    const page = await openSignedIn();
    page.network.next('/sessions', refused, refused, refused);
    expect((await page.ask()).status).toBe(401);
    expect(page.paths()).toEqual(['/sessions', '/refresh', '/sessions']);
    expect(await page.session()).toMatchObject({ sid: page.sid });
  });

  it('about a token that is not the newest any more is answered by a repetition alone', async () => {
    const page = await openSignedIn();
    const late = hold();
    page.network.next('/sessions', (go) => late.fate(go).then(() => refused(go)));
    const asking = page.ask();
    await late.arrived;
    await at(WINDOW);
    await page.ask();
    late.letGo();
    expect((await asking).status).toBe(200);
    expect(page.paths()).toEqual(['/sessions', '/sessions', '/sessions']);
  });

  it('is not waited for where the access token is gone from the storage', async () => {
    const page = await openSignedIn();
    page.storage.removeItem(`gatehouse:bearer:${url}:access`);
    expect((await page.ask()).status).toBe(200);
    expect(page.paths()).toEqual(['/refresh', '/sessions']);
  });

  it('is not risked with the access token of another session', async () => {
    const page = await openSignedIn();
    const foreign = (await login(replica, await house.user())).access_token;
    // As another tab leaves it that is just writing both.
    page.storage.setItem(`gatehouse:bearer:${url}:access`, foreign);
    expect((await page.ask()).status).toBe(200);
    expect(page.paths()).toEqual(['/refresh', '/sessions']);
    expect(page.network.sent.map(({ token }) => token)).not.toContain(foreign);
  });

  it('about a password is the page’s own affair', async () => {
    const page = await openSignedIn();
    page.network.next('/password', answer(401, { error: 'invalid_credentials' }));
    const response = await page.fetch(`${url}/password`, { method: 'POST', body: 'guess' });
    expect(await response.json()).toEqual({ error: 'invalid_credentials' });
    expect(page.paths()).toEqual(['/password']);
  });

  it('is not repeated in the name of somebody else', async () => {
    const page = await openSignedIn();
    const late = hold();
    page.network.next('/orders', (go) => late.fate(go).then(() => refused(go)));
    const asking = page.fetch(`${url}/orders`, { method: 'POST', body: 'of the first user' });
    await late.arrived;
    await page.login(await house.user());
    late.letGo();
    expect((await asking).status).toBe(401);
    expect(page.paths()).toEqual(['/orders', '/login']);
  });

  it('of a request that was under way at the logout reaches the page', async () => {
    const page = await openSignedIn();
    const late = hold();
    page.network.next('/orders', (go) => late.fate(go).then(() => refused(go)));
    const asking = page.fetch(`${url}/orders`);
    await late.arrived;
    await page.logout();
    late.letGo();
    expect((await asking).status).toBe(401);
    expect(page.paths()).toEqual(['/orders', '/logout']);
  });

  it('that waits for its turn behind a logout renews nothing any more', async () => {
    const page = await openSignedIn();
    await at(BEYOND);
    const late = hold();
    page.network.next('/logout', late.fate);
    const turns = vi.spyOn(locks, 'request');
    const leaving = page.logout();
    await late.arrived;
    const asking = page.ask();
    await until(() => turns.mock.calls.length === 2);
    late.letGo();
    await leaving;
    expect((await asking).status).toBe(401);
    expect(page.paths()).toEqual(['/logout', '/sessions']);
  });

  it('of a request that was sent before the login is answered by a repetition after it', async () => {
    const page = openTab({ url, storage: createStorage() });
    const late = hold();
    page.network.next('/sessions', late.fate);
    const asking = page.fetch(`${url}/sessions`);
    await late.arrived;
    await page.login(user);
    late.letGo();
    expect((await asking).status).toBe(200);
    expect(page.network.sent.map(({ path }) => path)).toEqual(['/sessions', '/login', '/sessions']);
    expect(page.network.sent[0]?.token).toBeNull();
  });

  it('reaches the page when the session is over, which is then signed out', async () => {
    const page = await openSignedIn();
    await house.database.admin.query(`DELETE FROM sessions WHERE id = $1`, [page.sid]);
    expect((await page.ask()).status).toBe(401);
    expect(page.story()).toEqual(['signed-out/ended']);
    expect((await page.ask()).status).toBe(401);
    expect(page.paths()).toEqual(['/sessions', '/refresh', '/sessions']);
  });

  it('of many requests at once is answered by one refresh', async () => {
    const page = await openSignedIn();
    await at(BEYOND);
    const responses = await Promise.all(Array.from({ length: 10 }, page.ask));
    expect(responses.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(page.network.count('/refresh')).toBe(1);
  });
});

describe('a refresh that cannot be made', () => {
  it.each([
    ['503', unavailable, 503],
    ['429', answer(429, { error: 'too_many_requests' }, { 'retry-after': '7' }), 429],
  ])(
    'gives the page its %s, signs nobody out, and is not tried again too soon',
    async (_name, fate, status) => {
      const page = await openSignedIn();
      await at(BEYOND);
      page.network.next('/refresh', fate);
      const responses = await Promise.all([page.ask(), page.ask()]);
      for (const response of responses) {
        expect(response.status).toBe(status);
        expect(response.headers.get('retry-after')).toBe('7');
        expect(await response.json()).toHaveProperty('error');
      }
      passHere(6);
      expect((await page.ask()).status).toBe(status);
      expect(page.network.count('/refresh')).toBe(1);
      passHere(1);
      expect((await page.ask()).status).toBe(200);
      expect(page.network.count('/refresh')).toBe(2);
      expect(page.story()).toEqual(['renewed/refresh']);
    },
  );

  it.each([
    ['a proxy’s 401', answer(401, {})],
    ['a code that begins as ours', answer(401, { error: 'invalid_token_binding' })],
    ['a code that ends as ours', answer(401, { error: 'proxy_invalid_token' })],
    ['our code under another status', answer(400, { error: 'invalid_token' })],
  ])('as with %s signs nobody out', async (_name, fate) => {
    const page = await openSignedIn();
    await at(BEYOND);
    page.network.next('/refresh', fate);
    await page.ask();
    passHere(2);
    expect((await page.ask()).status).toBe(200);
    expect(page.story()).toEqual(['renewed/refresh']);
  });

  it.each([
    ['an object of its own', answer(200, { orders: [] })],
    ['no object', () => Promise.resolve(new Response('<html>Welcome</html>', { status: 200 }))],
  ])(
    'rejects where a captive portal answers it with %s, which is no answer to the page',
    async (_what, fate) => {
      const page = await openSignedIn();
      await at(BEYOND);
      page.network.next('/refresh', fate, fate);
      await expect(page.ask()).rejects.toMatchObject({ code: 'unexpected_answer', status: 200 });
      await expect(page.session()).rejects.toMatchObject({ code: 'unexpected_answer', status: 200 });
      expect((await page.ask()).status).toBe(200);
      expect(page.story()).toEqual(['renewed/refresh']);
    },
  );

  it('is tried again after a minute where its answer names an hour', async () => {
    const page = await openSignedIn();
    await at(BEYOND);
    page.network.next('/refresh', answer(503, {}, { 'retry-after': '3600' }));
    for (const seconds of [0, 59]) {
      passHere(seconds);
      expect((await page.ask()).status).toBe(503);
    }
    passHere(2);
    expect((await page.ask()).status).toBe(200);
    expect(page.network.count('/refresh')).toBe(2);
  });

  it('rejects as the platform does while there is no network', async () => {
    const page = await openSignedIn();
    await at(BEYOND);
    page.network.next('/refresh', offline, offline);
    // One try and one repetition for both.
    const refusedTwice = expect(page.ask()).rejects.toThrow(new TypeError('offline'));
    await expect(page.ask()).rejects.toThrow(new TypeError('offline'));
    await refusedTwice;
    expect(page.network.count('/refresh')).toBe(2);
    expect((await page.ask()).status).toBe(200);
    expect(page.story()).toEqual(['renewed/refresh']);
  });

  it('leaves a page that is offline as it was', async () => {
    const page = await openSignedIn();
    page.network.next('/sessions', offline);
    await expect(page.ask()).rejects.toThrow(new TypeError('offline'));
    expect((await page.ask()).status).toBe(200);
    expect(page.network.count('/refresh')).toBe(0);
  });
});

describe('a refresh', () => {
  it('whose answer is lost is sent again, and gets it again', async () => {
    const page = await openSignedIn();
    await at(BEYOND);
    page.network.next('/refresh', loseAnswer);
    expect((await page.ask()).status).toBe(200);
    expect(page.network.count('/refresh')).toBe(2);
    expect(claimsOf(page.item('refresh')).jti).toBe(`${page.sid}.1`);
    expect(page.story()).toEqual(['renewed/refresh']);
  });

  it('that was superseded takes what another tab has stored', async () => {
    const page = await openSignedIn();
    await at(BEYOND);
    const old = page.item('refresh');
    let newest = '';
    let access = '';
    for (let text = old, turn = 0; turn < 2; turn += 1) {
      ({ refresh_token: text, access_token: access } = (await refresh(replica, text)).json());
      newest = text;
    }
    page.network.next('/refresh', async (go) => {
      const response = await go();
      // Late, as another process’s storage may be.
      setTimeout(() => {
        page.storage.setItem(`gatehouse:bearer:${url}:refresh`, newest);
        page.storage.setItem(`gatehouse:bearer:${url}:access`, access);
      }, 100);
      return response;
    });
    expect((await page.ask()).status).toBe(200);
    expect(page.network.count('/refresh')).toBe(1);
    expect(page.network.sent.at(-1)?.token).toBe(access);
    await page.ask();
    expect(page.story()).toEqual(['renewed/other-tab']);
  });

  it('that was superseded while another tab has logged out is no matter any more', async () => {
    const page = await openSignedIn();
    await at(BEYOND);
    page.network.next('/refresh', () => {
      for (const kind of ['refresh', 'access']) page.storage.removeItem(`gatehouse:bearer:${url}:${kind}`);
      return Promise.resolve(Response.json({ error: 'refresh_superseded' }, { status: 401 }));
    });
    expect((await page.ask()).status).toBe(401);
    expect(page.paths()).toEqual(['/sessions', '/refresh']);
    expect(await page.session()).toBeNull();
  });

  it('that was superseded by somebody unseen is never sent again: it would end the session as stolen', async () => {
    const page = await openSignedIn();
    await at(BEYOND);
    let theirs = page.item('refresh');
    for (let turn = 0; turn < 2; turn += 1) {
      theirs = (await refresh(replica, theirs)).json<{ refresh_token: string }>().refresh_token;
    }
    await expect(page.session()).rejects.toMatchObject({ code: 'refresh_superseded', status: 401 });
    await at(BEYOND + 100);
    passHere(100);
    await expect(page.session()).rejects.toMatchObject({ code: 'refresh_superseded' });
    expect(page.network.count('/refresh')).toBe(1);
    expect(page.story()).toEqual([]);
    expect((await refresh(replica, theirs)).statusCode).toBe(200);
    await page.login(user);
    expect(await page.session()).not.toBeNull();
    // What was refused was the other session's token, and no word about this one.
    await at(2 * BEYOND + 100);
    expect((await page.ask()).status).toBe(200);
  });

  it('that comes back as stolen signs the page out', async () => {
    const page = await openSignedIn();
    await refresh(replica, page.item('refresh'));
    await at(BEYOND);
    expect((await page.ask()).status).toBe(401);
    expect(page.story()).toEqual(['signed-out/ended']);
    expect(page.storage.items.size).toBe(0);
  });
});

describe('time', () => {
  it('is counted from the answer: what must be too old by now is renewed before it is sent', async () => {
    const page = await openSignedIn();
    passHere(599);
    await page.ask();
    expect(page.paths()).toEqual(['/sessions']);
    passHere(1);
    await page.ask();
    expect(page.paths()).toEqual(['/sessions', '/refresh', '/sessions']);
  });

  it('ends a session that is over by then, and each caller is told so', async () => {
    const page = await openSignedIn();
    await house.database.admin.query(`DELETE FROM sessions WHERE id = $1`, [page.sid]);
    passHere(600);
    expect(await page.session()).toBeNull();
    expect(page.paths()).toEqual(['/refresh', '/session']);
  });

  it('goes on with a successor, as much later as its parent ends earlier', async () => {
    const page = await openSignedIn();
    await at(WINDOW);
    passHere(WINDOW);
    await page.ask();
    const longer = claimsOf(page.item('access')).exp - NOON;
    passHere(longer - WINDOW - 1);
    await page.ask();
    expect(page.network.count('/refresh')).toBe(0);
    passHere(2);
    await page.ask();
    expect(page.network.count('/refresh')).toBe(1);
  });

  it('of a token that another tab has renewed is not known here, and nothing is renewed too early', async () => {
    const page = await openSignedIn();
    const other = openTab({ url, storage: page.storage });
    await at(2_000);
    expect((await other.fetch(`${url}/sessions`)).status).toBe(200);
    await at(2_000 + WINDOW);
    expect((await page.ask()).status).toBe(200);
    expect(page.story()).toEqual(['renewed/other-tab', 'renewed/reissue']);
    // As much later than our own token as the successor is later than the other tab's.
    passHere(600 + WINDOW);
    expect((await page.ask()).status).toBe(200);
    expect(page.network.count('/refresh')).toBe(0);
  });

  it('need not be right on the device: years in either direction change nothing', async () => {
    for (const years of [-30, 30]) {
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + years * 365 * DAY_MS });
      await at(0);
      const page = await openSignedIn();
      await at(WINDOW);
      await page.ask();
      await at(2_000);
      expect((await page.ask()).status).toBe(200);
      expect(await page.session()).toMatchObject({ sid: page.sid });
      expect(page.paths()).toEqual(['/sessions', '/sessions', '/refresh', '/sessions', '/session']);
      vi.useRealTimers();
    }
  });

  it('that cannot be known, as after a reload, is found out by asking', async () => {
    const { storage } = await openSignedIn();
    await at(BEYOND);
    const page = openTab({ url, storage });
    expect(await page.session()).not.toBeNull();
    expect(page.network.sent.map(({ path }) => path)).toEqual(['/session', '/refresh', '/session']);
  });
});
