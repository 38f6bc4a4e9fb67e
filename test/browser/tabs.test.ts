// Ten tabs of one browser: they refresh at once and nobody is logged out; one logs out and all are.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { BrowserContext, Page } from 'playwright-core';

import { describeInBrowser } from '../support/chromium.js';
import { claimsOf, type TestUser } from '../support/house.js';
import {
  ACCESS,
  asked,
  changesOf,
  cookieOf,
  look,
  openServedShop,
  REFRESH,
  refreshesOf,
  shows,
  TRANSPORTS,
  type PageGlobals,
  type Shop,
} from '../support/shop.js';
import type { Exchange } from '../support/site.js';

declare const gatehouse: PageGlobals['gatehouse'];

const TABS = 10;
/** As many connections as Chromium opens to one host: more cannot be on their way at once. */
const AT_ONCE = 6;
/** How many times all refresh at once, and what may be tried for that. */
const ROUNDS = 2;
const TRIES = 5;
const isSuperseded = ({ body }: Exchange) => body.includes('refresh_superseded');
/** After the grace of an access token, and after the time in which a spent refresh token is answered again. */
const GONE_SECONDS = 700;

describeInBrowser('the tabs of a browser', () => {
  let shop: Shop;
  let user: TestUser;
  let orders: string;

  beforeAll(async () => {
    shop = await openServedShop();
  });
  beforeEach(async () => {
    ({ user, orders } = await shop.begin());
  });
  afterAll(() => shop.close());

  /** Signed in at the first, and shown in all. */
  async function openTabs(
    context: BrowserContext,
    transport: 'cookie' | 'bearer',
    count: number,
  ): Promise<Page[]> {
    const first = await shop.tab(context, transport);
    await shop.signIn(first, user);
    const others = await Promise.all(
      Array.from({ length: count - 1 }, async () => {
        const page = await shop.tab(context, transport);
        await shows(page, orders);
        return page;
      }),
    );
    return [first, ...others];
  }

  /** All ask at the same moment: none waits for the tool that drives them. */
  async function lookAtOnce(pages: Page[]): Promise<string[]> {
    await Promise.all(
      pages.map((page) =>
        page.evaluate(`(() => {
          const go = new BroadcastChannel('test');
          const released = new Promise((resolve) => go.addEventListener('message', resolve, { once: true }));
          globalThis.looking = released.then(show).finally(() => go.close());
        })()`),
      ),
    );
    const [first] = pages;
    // Its own channel does not hear it.
    await first?.evaluate("new BroadcastChannel('test').postMessage('go')");
    return Promise.all(
      pages.map((page) =>
        page.evaluate<string>("looking.then(() => document.querySelector('main').textContent)"),
      ),
    );
  }

  /**
   * Lets a time pass in which tabs hear what others have stored: Chromium tells it to its other processes a moment later, and on a
   * busy machine the clock of the test would have moved on before that.
   */
  async function passTime(pages: Page[]): Promise<void> {
    const read = 'JSON.stringify(Object.entries(localStorage).sort())';
    const stored = () => Promise.all(pages.map((page) => page.evaluate<string>(read)));
    await expect.poll(async () => new Set(await stored()).size).toBe(1);
    await shop.house.database.clock.advance(GONE_SECONDS);
  }

  async function expectOneSession(): Promise<number> {
    const sessions = await shop.sessions(user);
    expect(sessions).toEqual([expect.objectContaining({ isAlive: true })]);
    return sessions[0]?.generation ?? NaN;
  }

  /** No script orders cookies: without locks, an answer that comes late puts the token before the last one back, until it is sent. */
  async function bringNewest(context: BrowserContext, page: Page, generation: number): Promise<void> {
    const kept = async () => claimsOf((await cookieOf(context, REFRESH)) ?? '').jti.split('.')[1];
    if ((await kept()) === String(generation)) return;
    expect(await page.evaluate("fetch('/refresh', { method: 'POST' }).then(({ status }) => status)")).toBe(
      200,
    );
    expect(await kept()).toBe(String(generation));
  }

  describe.each(TRANSPORTS)('that work by %s', (transport) => {
    it.each(['locks', 'no locks'] as const)('all refresh at once, with %s', async (locks) => {
      const context = await shop.visitor(locks);
      const pages = await openTabs(context, transport, TABS);
      expect(await pages[1]?.evaluate('navigator.locks !== undefined')).toBe(locks === 'locks');
      const isCookieAlone = transport === 'cookie' && locks === 'no locks';
      let rounds = 0;
      for (let before = await expectOneSession(), tried = 0; rounds < ROUNDS && tried < TRIES; tried += 1) {
        await passTime(pages);
        shop.site.exchanges.length = 0;
        // Where nothing keeps them apart, they meet, unless the machine does.
        const gathering = locks === 'no locks' ? shop.site.gather('/refresh', AT_ONCE) : null;
        expect(await lookAtOnce(pages)).toEqual(pages.map(() => orders));
        const refreshes = refreshesOf(shop.site);
        const superseded = asked(shop.site, 'POST', '/refresh').filter(isSuperseded);
        expect(refreshes.filter((status) => status !== 200)).toEqual(superseded.map(() => 401));
        // Without locks, one that was slow may send what two others have renewed since: it asks again with the newer one.
        if (locks === 'locks') expect(superseded).toEqual([]);
        // One refreshes for all, or nearly: a tab may get its turn before it hears of the other.
        if (gathering === null) expect(refreshes.length).toBeLessThan(TABS);
        const rotations = (await expectOneSession()) - before;
        expect(rotations).toBeGreaterThanOrEqual(1);
        // Sent twice, a token has one successor.
        expect(rotations).toBeLessThanOrEqual(
          gathering === null ? refreshes.length : TABS - gathering.met + 1,
        );
        before += rotations;
        if (isCookieAlone) await bringNewest(context, pages[0] as Page, before);
        if (gathering === null || gathering.met === AT_ONCE) rounds += 1;
      }
      expect(rounds).toBeGreaterThan(0);
      // In any order of the answers the token that was kept is one that goes on.
      for (const page of pages) {
        await passTime(pages);
        expect(await look(page)).toBe(orders);
        expect((await changesOf(page)).filter((change) => change.startsWith('signed-out'))).toEqual([]);
      }
      await expectOneSession();
      await context.close();
    });

    it.each(['channel', 'no channel'] as const)('see a logout in one of them, with %s', async (channel) => {
      const context = await shop.visitor('locks', channel);
      const [first, ...others] = (await openTabs(context, transport, 3)) as [Page, ...Page[]];
      await first.getByRole('button', { name: 'Sign out' }).click();
      // The service has said so.
      await shows(first, 'nobody');
      // Cookies tell nothing to scripts: without a channel, a tab learns it by its next request.
      const areDeaf = transport === 'cookie' && channel === 'no channel';
      await Promise.all(
        others.map(async (page) => {
          if (areDeaf) expect(await look(page)).toBe('nobody');
          else await shows(page, 'nobody');
        }),
      );
      // Such a tab hears it from the storage of the browser or from the service, whichever is faster.
      const told = areDeaf ? ['signed-out/other-tab', 'signed-out/ended'] : ['signed-out/other-tab'];
      for (const page of others) expect(told).toContain((await changesOf(page)).at(-1));
      expect(await shop.sessions(user)).toEqual([expect.objectContaining({ isAlive: false })]);
      expect([await cookieOf(context, ACCESS), await cookieOf(context, REFRESH)]).toEqual([null, null]);
      await context.close();
    });

    it('go over to the user who signs in at one of them', async () => {
      const context = await shop.visitor();
      const [first, second] = await openTabs(context, transport, 2);
      const other = await shop.house.user();
      await first?.evaluate(() => gatehouse.logout());
      if (first === undefined || second === undefined) throw new Error('there are two');
      await shows(second, 'nobody');
      await shop.signIn(first, other);
      await shows(second, `orders of ${other.username}`);
      expect(await changesOf(second)).toEqual(['signed-out/other-tab', 'signed-in/other-tab']);
      await context.close();
    });

    it('learn by their next request that the session was ended elsewhere', async () => {
      const [here, there] = [await shop.visitor(), await shop.visitor()];
      const pages = await openTabs(here, transport, 2);
      const [elsewhere] = await openTabs(there, transport, 1);
      shop.site.exchanges.length = 0;
      expect(await elsewhere?.evaluate(() => gatehouse.logoutAll({ exceptCurrent: true }))).toBe(1);
      expect(await look(pages[0] as Page)).toBe('nobody');
      await shows(pages[1] as Page, 'nobody');
      expect(await look(elsewhere as Page)).toBe(orders);
      expect(asked(shop.site, 'POST', '/refresh').map(({ status }) => status)).toEqual([401]);
      await Promise.all([here.close(), there.close()]);
    });
  });
});
