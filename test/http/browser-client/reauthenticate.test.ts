// A page is asked for a password that was given lately: it asks its user once, and the request goes out once more.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import type { GatehouseOptions } from '@gatehouse/browser';
import type { House, TestUser } from '../../support/house.js';
import {
  answer,
  beginAtNoon,
  createJar,
  createNetwork,
  createStorage,
  NOON,
  openHouseForPages,
  openTab,
  type Tab,
} from '../../support/tabs.js';

let house: House;
let url: string;
let user: TestUser;
let browser: ReturnType<typeof createJar>;
let storage: ReturnType<typeof createStorage>;

beforeAll(async () => {
  ({ house, url } = await openHouseForPages());
});
beforeEach(async () => {
  user = await beginAtNoon(house);
  browser = createJar();
  storage = createStorage();
});
afterEach(() => vi.unstubAllGlobals());
afterAll(() => house.close());

const open = {
  bearer: (more: GatehouseOptions = {}) => openTab({ url, storage, ...more }),
  cookie: (more: GatehouseOptions = {}) =>
    openTab({ url, transport: 'cookie', ...more }, createNetwork(browser.send)),
};

describe.each(['bearer', 'cookie'] as const)('with the transport %s', (transport) => {
  /** A page whose user logged in 1000 s ago, and whose token is fresh all the same. */
  async function openLate(more: GatehouseOptions = {}): Promise<Tab> {
    const page = open[transport](more);
    await page.login(user);
    await house.database.clock.advance(1000);
    await page.session();
    page.changes.length = 0;
    page.network.sent.length = 0;
    return page;
  }
  const pay = (page: Tab) => page.fetch(`${url}/session?max_age=900`, { method: 'POST', body: 'money' });

  it('the user is asked once, and the request is sent once more', async () => {
    const asked: number[] = [];
    const page: Tab = await openLate({
      onReauthenticate: async (maxAge) => {
        asked.push(maxAge);
        await page.reauthenticate(user.password);
        return true;
      },
    });
    const paid = await pay(page);
    expect([paid.status, asked]).toEqual([200, [900]]);
    expect(await paid.json()).toMatchObject({ auth_time: NOON + 1000 });
    expect(page.network.sent.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /session',
      'POST /reauthenticate',
      'POST /session',
    ]);
    expect(page.story()).toEqual([transport === 'bearer' ? 'renewed/reissue' : 'renewed/refresh']);
    expect((await pay(page)).status).toBe(200);
    expect(asked).toHaveLength(1);
    expect((await page.session())?.auth_time).toBe(NOON + 1000);
  });

  it('requests of the same moment share one question', async () => {
    let asked = 0;
    const page: Tab = await openLate({
      onReauthenticate: async () => {
        asked += 1;
        await page.reauthenticate(user.password);
        return true;
      },
    });
    const statuses = (await Promise.all([1, 2, 3, 4].map(() => pay(page)))).map(({ status }) => status);
    expect([statuses, asked]).toEqual([[200, 200, 200, 200], 1]);
  });

  it('a user who does not want to gets the 401, and is asked anew the next time', async () => {
    let asked = 0;
    const page = await openLate({
      onReauthenticate: () => {
        asked += 1;
        return Promise.resolve(false);
      },
    });
    for (let time = 1; time <= 2; time += 1) {
      const refused = await pay(page);
      expect([refused.status, asked]).toEqual([401, time]);
      expect(await refused.json()).toMatchObject({ error: 'insufficient_user_authentication' });
    }
    expect(page.network.count('/refresh')).toBe(0);
    expect((await page.session())?.username).toBe(user.username);
  });

  it('without the option a page gets the 401, and nothing is renewed for it', async () => {
    const page = await openLate();
    expect((await pay(page)).status).toBe(401);
    expect(page.network.sent).toHaveLength(1);
    await page.reauthenticate(user.password);
    expect((await pay(page)).status).toBe(200);
  });

  it('a wrong password is told to who asks, and can be given again', async () => {
    const codes: unknown[] = [];
    const page: Tab = await openLate({
      onReauthenticate: async () => {
        await page
          .reauthenticate('wrong')
          .catch((error: unknown) => codes.push((error as { code: unknown }).code));
        await page.reauthenticate(user.password);
        return true;
      },
    });
    expect((await pay(page)).status).toBe(200);
    expect(codes).toEqual(['invalid_credentials']);
  });

  it('an error of the page’s own is the page’s, and the next request asks again', async () => {
    let asked = 0;
    const page = await openLate({
      onReauthenticate: () => {
        asked += 1;
        return asked === 1 ? Promise.reject(new Error('no dialog')) : Promise.resolve(false);
      },
    });
    await expect(pay(page)).rejects.toThrow('no dialog');
    expect((await pay(page)).status).toBe(401);
  });

  it('what one user asked for is not sent in the name of another', async () => {
    const other = await house.user();
    const page: Tab = await openLate({
      onReauthenticate: async () => {
        await page.logout();
        await page.login(other);
        return true;
      },
    });
    expect((await pay(page)).status).toBe(401);
    expect(page.network.count('/session')).toBe(transport === 'bearer' ? 1 : 2);
    expect((await page.session())?.username).toBe(other.username);
  });

  it('an answer that was lost is an error, and the page stays signed in', async () => {
    const page = await openLate();
    page.network.next('/reauthenticate', () => Promise.reject(new TypeError('offline')));
    await expect(page.reauthenticate(user.password)).rejects.toMatchObject({ code: 'unreachable' });
    page.network.next(
      '/reauthenticate',
      answer(503, { error: 'temporarily_unavailable' }, { 'retry-after': '2' }),
    );
    await expect(page.reauthenticate(user.password)).rejects.toMatchObject({
      code: 'temporarily_unavailable',
      retryAfterSeconds: 2,
    });
    expect((await page.session())?.auth_time).toBe(NOON);
  });
});

it('a token of the very second of the login is taken as well', async () => {
  const page = open.bearer();
  await page.login(user);
  const [, first] = [...storage.items.values()];
  await house.database.clock.advance(0.5);
  await page.reauthenticate(user.password);
  expect([...storage.items.values()][1]).toBe(first);
  expect((await page.session())?.auth_time).toBe(NOON);
});

it('a challenge of another kind is no such question', async () => {
  let asked = 0;
  const page = open.bearer({
    onReauthenticate: () => {
      asked += 1;
      return Promise.resolve(true);
    },
  });
  await page.login(user);
  const challenges = [
    'Bearer error="insufficient_user_authentication"',
    'Bearer error="insufficient_user_authentication", max_age="soon"',
    'Bearer error="insufficient_user_authentication", acr_values="a"',
    'Bearer error="invalid_token", max_age="5"',
  ];
  for (const challenge of challenges) {
    page.network.next('/session', answer(401, {}, { 'www-authenticate': challenge }));
    await page.fetch(`${url}/session`);
  }
  page.network.next(
    '/session',
    answer(403, {}, { 'www-authenticate': 'Bearer error="insufficient_user_authentication", max_age="5"' }),
  );
  expect([(await page.fetch(`${url}/session`)).status, asked]).toEqual([403, 0]);
});
