// In cookie mode no script can read a token: not where pages keep things, not in an answer, not in what the browser tells about it.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { BrowserContext, Page } from 'playwright-core';

import { describeInBrowser } from '../support/chromium.js';
import type { TestUser } from '../support/house.js';
import {
  ACCESS,
  look,
  openServedShop,
  REFRESH,
  shows,
  storedIn,
  type PageGlobals,
  type Shop,
} from '../support/shop.js';

declare const gatehouse: PageGlobals['gatehouse'];

/** Everything that a script of the page can get at, as text; and what every endpoint answers it, headers and all. */
const READ_ALL = `(async () => {
  const found = { cookie: document.cookie, cookieStore: await cookieStore.getAll() };
  found.storage = [{ ...localStorage }, { ...sessionStorage }];
  found.databases = await indexedDB.databases();
  found.caches = await caches.keys();
  found.performance = performance.getEntries().map((entry) => entry.toJSON());
  found.globals = Object.getOwnPropertyNames(globalThis).map((name) => {
    const value = globalThis[name];
    try { return typeof value === 'string' ? value : JSON.stringify(value); } catch { return ''; }
  });
  found.page = document.documentElement.outerHTML;
  found.answers = [];
  const read = async (response) => found.answers.push([response.status, response.url, [...response.headers], await response.text()]);
  for (const path of ['/session', '/sessions', '/api/orders', '/.well-known/jwks.json', '/health', '/nothing'])
    await read(await fetch(path));
  for (const path of ['/refresh', '/login', '/password', '/password/reset', '/reauthenticate', '/logout-all', '/introspect', '/revoke', '/session/x'])
    await read(await fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(BODIES[path] ?? {}) }));
  await read(await fetch('/session', { method: 'TRACE' }).catch(() => new Response('forbidden')));
  await new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open('GET', '/session');
    request.onloadend = () => resolve(found.answers.push([request.getAllResponseHeaders(), request.responseText]));
    request.send();
  });
  return JSON.stringify(found);
})()`;

/** What every JWT begins with: \`{"\` in base64url. */
const TOKEN = /eyJ[\w-]{8,}/;

describeInBrowser('the tokens of a page', () => {
  let shop: Shop;
  let user: TestUser;
  let context: BrowserContext;
  let page: Page;

  beforeAll(async () => {
    shop = await openServedShop();
  });
  beforeEach(async () => {
    ({ user } = await shop.begin());
    context = await shop.visitor();
    return () => context.close();
  });
  afterAll(() => shop.close());

  function readAll(bodies: Record<string, object> = {}): Promise<string> {
    return page.evaluate<string>(`{ globalThis.BODIES = ${JSON.stringify(bodies)}; } ${READ_ALL}`);
  }

  describe('by cookie', () => {
    beforeEach(async () => {
      page = await shop.tab(context, 'cookie');
    });

    it('come by a form that a person fills in', async () => {
      await page.getByLabel('Name').fill(user.username);
      await page.getByLabel('Password').fill(user.password);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await shows(page, `orders of ${user.username}`);
      expect(await page.evaluate(() => gatehouse.session())).toMatchObject({ username: user.username });
    });

    it('lie in two cookies with every lock that there is, for as long as they are of use', async () => {
      await shop.signIn(page, user);
      const nowSeconds = Date.now() / 1_000;
      const cookies = await context.cookies();
      expect(cookies.map(({ name }) => name).sort()).toEqual([ACCESS, REFRESH]);
      for (const cookie of cookies) {
        // Without a dot in front: of this host, and no other.
        expect(cookie).toMatchObject({
          domain: 'localhost',
          path: '/',
          secure: true,
          httpOnly: true,
          sameSite: 'Lax',
        });
        const seconds = cookie.expires - nowSeconds;
        const most = cookie.name === ACCESS ? 600 + 60 : 14 * 86_400;
        expect(seconds).toBeLessThanOrEqual(most + 1);
        expect(seconds).toBeGreaterThan(most - 60);
      }
    });

    it('are kept from scripts by whatever happens to them', async () => {
      await shop.signIn(page, user);
      let read = '';
      // Fresh, succeeded near its end, in its grace, and refreshed.
      for (const seconds of [0, 500, 640, 700]) {
        await shop.house.database.clock.advance(seconds);
        read += await readAll({ '/logout-all': { except_current: true } });
        expect(await look(page)).toBe(`orders of ${user.username}`);
      }
      const { username, password } = user;
      read += await readAll({ '/login': { username, password, transport: 'cookie' } });
      const lines = shop.site.exchanges.flatMap(({ answered }) => answered['set-cookie'] ?? []);
      const tokens = lines.flatMap((line) => /^__Host-gatehouse-\w+=([^;]+)/.exec(line)?.[1] ?? []);
      expect(new Set(tokens).size).toBeGreaterThan(12);
      for (const token of tokens) expect(read).not.toContain(token);
      expect(read).not.toMatch(TOKEN);
      // As a header's name; that it would be exposed to other origins is said to everybody.
      expect(read).not.toMatch(/\b(?:set-cookie|refreshed-api-token)(?:"|: )/i);
      // It did read what there is.
      expect(read).toContain(user.username);
    });
  });

  describe('by bearer, from another origin', () => {
    beforeEach(async () => {
      page = await shop.tab(context, 'bearer');
      await page.getByLabel('Name').fill(user.username);
      await page.getByLabel('Password').fill(user.password);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await shows(page, `orders of ${user.username}`);
    });

    it('come without a cookie', async () => {
      expect(shop.branch.origin).not.toBe(shop.site.origin);
      expect(await page.evaluate(() => gatehouse.session())).toMatchObject({ username: user.username });
      expect(await context.cookies()).toEqual([]);
    });

    it('are where scripts read them: the same search finds them there', async () => {
      const read = await page.evaluate<string>('JSON.stringify({ ...localStorage })');
      expect(read).toMatch(TOKEN);
      expect(read).toContain(await storedIn(page, 'refresh'));
      expect(await readAll()).toContain(await storedIn(page, 'access'));
    });

    it('are refused to a page whose origin Gatehouse was not told of', async () => {
      await page.goto(`http://127.0.0.1:${shop.branch.port}/`);
      await page.evaluate(
        `gatehouse.login(${JSON.stringify({ username: user.username, password: user.password })}).catch(() => undefined)`,
      );
      expect(await page.evaluate('gatehouse.session()')).toBeNull();
      expect(await page.evaluate('localStorage.length')).toBe(0);
      expect(await shop.sessions(user)).toHaveLength(1);
    });
  });
});
