// Tokens are renewed while a page works, without its knowing: near their end, in the grace, after it, and after a long sleep.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { BrowserContext, Page } from 'playwright-core';

import { describeInBrowser } from '../support/chromium.js';
import { claimsOf, type TestUser } from '../support/house.js';
import {
  ACCESS,
  changesOf,
  cookieOf,
  look,
  openServedShop,
  REFRESH,
  refreshesOf,
  shows,
  storedIn,
  TRANSPORTS,
  type PageGlobals,
  type Shop,
} from '../support/shop.js';

declare const gatehouse: PageGlobals['gatehouse'];

/** Of the defaults: an access token lives for 600 s, is near its end for the last 120 s, and has 60 s of grace. */
const NEAR_END_SECONDS = 500;
const IN_GRACE_SECONDS = 620;
const GONE_SECONDS = 700;

describeInBrowser('a page that works on', () => {
  let shop: Shop;
  let user: TestUser;
  let context: BrowserContext;
  let page: Page;
  let orders: string;

  beforeAll(async () => {
    shop = await openServedShop();
  });
  beforeEach(async () => {
    ({ user, orders } = await shop.begin());
    context = await shop.visitor();
  });
  afterAll(() => shop.close());

  describe.each(TRANSPORTS)('by %s', (transport) => {
    beforeEach(async () => {
      page = await shop.tab(context, transport);
      await shop.signIn(page, user);
      shop.site.exchanges.length = 0;
      return () => context.close();
    });

    async function accessToken(): Promise<string> {
      const held = transport === 'cookie' ? await cookieOf(context, ACCESS) : await storedIn(page, 'access');
      if (held === null) throw new Error('there is no access token');
      return held;
    }

    async function generation(): Promise<number> {
      const sessions = await shop.sessions(user);
      expect(sessions).toEqual([expect.objectContaining({ isAlive: true })]);
      return sessions[0]?.generation ?? NaN;
    }

    it('takes up the successor of a token near its end, and refreshes nothing', async () => {
      const before = claimsOf(await accessToken());
      await shop.house.database.clock.advance(NEAR_END_SECONDS);
      expect(await look(page)).toBe(orders);
      const after = claimsOf(await accessToken());
      expect(after.exp).toBeGreaterThan(before.exp);
      expect(after.jti).toBe(before.jti.replace(/\.0$/, '.1'));
      expect(refreshesOf(shop.site)).toEqual([]);
      await shop.house.database.clock.advance(NEAR_END_SECONDS - 120);
      expect(await look(page)).toBe(orders);
      expect(refreshesOf(shop.site)).toEqual([]);
    });

    it('goes on in the grace of an expired token', async () => {
      await shop.house.database.clock.advance(IN_GRACE_SECONDS);
      expect(await look(page)).toBe(orders);
      expect(await generation()).toBe(transport === 'cookie' ? 1 : 0);
      expect(await changesOf(page)).not.toContain('signed-out/ended');
    });

    it('refreshes once after the grace, and repeats what was asked with its body', async () => {
      await shop.house.database.clock.advance(GONE_SECONDS);
      const answer = await page.evaluate(async () => {
        const response = await gatehouse.fetch('/api/orders', { method: 'POST', body: ': tea' });
        return `${response.status} ${await response.text()}`;
      });
      expect(answer).toBe(`200 ${orders}: tea`);
      expect(refreshesOf(shop.site)).toEqual([200]);
      expect(await generation()).toBe(1);
      expect(await changesOf(page)).toEqual(['signed-in/login', 'renewed/refresh']);
    });

    it('refreshes once for many requests at a time', async () => {
      await shop.house.database.clock.advance(GONE_SECONDS);
      const statuses = await page.evaluate(async () => {
        const requests = Array.from({ length: 20 }, () => gatehouse.fetch('/api/orders'));
        return (await Promise.all(requests)).map(({ status }) => status);
      });
      expect(statuses).toEqual(Array.from({ length: 20 }, () => 200));
      expect(refreshesOf(shop.site)).toEqual([200]);
      expect(await generation()).toBe(1);
    });

    it('works through a day', async () => {
      for (let hours = 0; hours < 24; hours += 3) {
        // A visit near the end of a token, one in its grace, and a long pause.
        for (const seconds of [480, 400, 3 * 3_600 - 880]) {
          await shop.house.database.clock.advance(seconds);
          expect(await look(page)).toBe(orders);
        }
      }
      expect(new Set(refreshesOf(shop.site))).toEqual(new Set([200]));
      expect(await generation()).toBe(refreshesOf(shop.site).length);
    });

    it('is signed out when the session ends for good, and forgets it', async () => {
      await shop.house.database.clock.advance(91 * 86_400);
      expect(await look(page)).toBe('nobody');
      expect(await changesOf(page)).toEqual(['signed-in/login', 'signed-out/ended']);
      expect(await page.evaluate('gatehouse.session()')).toBeNull();
      expect([await cookieOf(context, ACCESS), await cookieOf(context, REFRESH)]).toEqual([null, null]);
      // By cookie, the id of the session that ended is kept, for pages that wait for the back button.
      expect(await page.evaluate('Object.values(localStorage)')).toEqual(
        transport === 'cookie' ? [expect.stringMatching(/^[0-9a-f-]{36} $/)] : [],
      );
    });

    it('goes on when it is opened again', async () => {
      await page.close();
      await shop.house.database.clock.advance(GONE_SECONDS);
      page = await shop.tab(context, transport);
      expect(await page.evaluate('gatehouse.session()')).toMatchObject({ username: user.username });
      expect(await look(page)).toBe(orders);
    });
  });

  it('wakes up when its access cookie is long gone', async () => {
    await shop.serve({ accessTtlSeconds: 6, reissueGraceSeconds: 1 });
    page = await shop.tab(context, 'cookie');
    await shop.signIn(page, user);
    shop.site.exchanges.length = 0;
    await expect.poll(() => cookieOf(context, ACCESS), { timeout: 30_000 }).toBeNull();
    expect(await look(page)).toBe(orders);
    await shows(page, orders);
    expect(refreshesOf(shop.site)).toEqual([200]);
    await context.close();
  });
});
