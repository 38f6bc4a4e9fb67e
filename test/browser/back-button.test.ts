// After a logout the back button shows nothing, whether the browser kept the page as it was left or asks for it anew.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BrowserContext, Page } from 'playwright-core';

import { describeInBrowser, press } from '../support/chromium.js';
import type { TestUser } from '../support/house.js';
import { openServedShop, shows, TRANSPORTS, type PageGlobals, type Shop } from '../support/shop.js';

declare const gatehouse: PageGlobals['gatehouse'];

/** Playwright switches it off, since a page that was kept is no navigation; here it is the point. */
const KEEPS_PAGES = { ignoreDefaultArgs: ['--disable-back-forward-cache'] };

/** Notes what people see first when a page is there, or there again. */
const WITNESS = `globalThis.seen = [];
addEventListener('pageshow', ({ persisted }) => {
  requestAnimationFrame(() => seen.push({ persisted, text: document.querySelector('main')?.textContent }));
}, { capture: true })`;

const STORED = 'JSON.stringify(Object.entries(localStorage).sort())';

/** How often a page is left and gone back to, at the most. */
const TRIES = 3;

interface Seen {
  /** Kept as it was left. */
  persisted: boolean;
  text: string;
}

describe.each([
  { name: 'a browser that keeps pages', launch: KEEPS_PAGES, keeps: true },
  { name: 'a browser that keeps none', launch: {}, keeps: false },
])('in $name', ({ launch, keeps }) => {
  describeInBrowser('the back button', () => {
    let shop: Shop;
    let user: TestUser;
    let context: BrowserContext;

    beforeAll(async () => {
      shop = await openServedShop(launch);
    });
    afterAll(() => shop.close());

    /** Signed in, with orders on the page, and gone elsewhere from there. */
    async function leave(...[transport, channel]: [(typeof TRANSPORTS)[number], 'channel' | 'no channel']) {
      user = await shop.house.user();
      context = await shop.visitor('locks', channel);
      await context.addInitScript(WITNESS);
      const page = await shop.tab(context, transport);
      await shop.signIn(page, user);
      await goElsewhere(page);
      return page;
    }

    async function goElsewhere(page: Page): Promise<void> {
      await page.evaluate('seen.length = 0');
      await page.getByRole('link', { name: 'Elsewhere' }).click();
      await page.waitForURL('**/elsewhere');
    }

    /** A browser names no time in which what one tab stores is there for a page of another process. */
    async function hasHeard(page: Page, other: Page): Promise<void> {
      const stored = await other.evaluate<string>(STORED);
      await expect.poll(() => page.evaluate<string>(STORED)).toBe(stored);
    }

    /** What is seen first. */
    async function goBack(page: Page): Promise<Seen> {
      await press('back', page);
      await page.waitForFunction('globalThis.gatehouse && seen.length === 1');
      return page.evaluate<Seen>('seen.at(-1)');
    }

    describe.each(TRANSPORTS)('by %s', (transport) => {
      it('brings the page back while its user is signed in', async () => {
        const page = await leave(transport, 'channel');
        const orders = `orders of ${user.username}`;
        let { persisted } = await goBack(page);
        await shows(page, orders);
        // A browser that keeps pages may give one up when memory or time are short.
        for (let tried = 1; keeps && !persisted && tried < TRIES; tried += 1) {
          await goElsewhere(page);
          ({ persisted } = await goBack(page));
          await shows(page, orders);
        }
        expect(persisted).toBe(keeps);
        await context.close();
      });

      it.each(['channel', 'no channel'] as const)(
        'shows nothing after a logout in another tab, with %s',
        async (channel) => {
          const page = await leave(transport, channel);
          const other = await shop.tab(context, transport);
          await other.evaluate(() => gatehouse.logout());
          await hasHeard(page, other);
          const { text } = await goBack(page);
          expect(text).not.toContain(user.username);
          expect(await page.evaluate<string>('document.body.innerText')).not.toContain(user.username);
          await page.evaluate('show()');
          await shows(page, 'nobody');
          await context.close();
        },
      );

      it('shows nothing after a logout on a page that was gone to', async () => {
        const page = await leave(transport, 'no channel');
        await page.goto(`${new URL(page.url()).origin}/?later`);
        await page.waitForFunction('globalThis.gatehouse !== undefined');
        await page.evaluate(() => gatehouse.logout());
        await press('back', page);
        // A page that was kept is not loaded.
        await page.waitForURL('**/elsewhere', { waitUntil: 'commit' });
        const { text } = await goBack(page);
        expect(text).not.toContain(user.username);
        await shows(page, text === 'nobody' ? 'nobody' : 'not asked');
        await context.close();
      });
    });

    describe('on a page that says no-store and brings no script of ours', () => {
      it.each([
        ['while its user is signed in, its content', 'orders of', () => Promise.resolve()],
        [
          'after a logout by cookie, nothing',
          'not for you',
          (other: Page) => other.evaluate(() => gatehouse.logout()),
        ],
        [
          'after the end of all sessions, nothing',
          'not for you',
          (other: Page) => other.evaluate(() => gatehouse.logoutAll()),
        ],
      ])('shows %s', async (_what, expected, act) => {
        user = await shop.house.user();
        context = await shop.visitor();
        const other = await shop.tab(context, 'cookie');
        await shop.signIn(other, user);
        const page = await context.newPage();
        // The gateway of the shop serves it, behind the cookie and with `no-store`.
        await page.goto(`${shop.site.origin}/api/orders`);
        expect(await page.innerText('body')).toBe(`orders of ${user.username}`);
        await page.goto(`${shop.site.origin}/elsewhere`);
        await act(other);
        await press('back', page);
        await page.waitForURL('**/api/orders', { waitUntil: 'commit' });
        await page.waitForFunction("document.readyState === 'complete' && document.body.innerText !== ''");
        expect(await page.innerText('body')).toContain(expected);
        await context.close();
      });
    });
  });
});
