// No network, no service, no database: a page says so, and its session goes on where it was when they are back.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { BrowserContext, Page } from 'playwright-core';

import { describeInBrowser } from '../support/chromium.js';
import type { TestUser } from '../support/house.js';
import { holdTables } from '../support/row-lock.js';
import { createWorkshop, environmentFor, type Service } from '../support/service.js';
import {
  changesOf,
  look,
  openShop,
  refreshesOf,
  TRANSPORTS,
  type PageGlobals,
  type Shop,
} from '../support/shop.js';

declare const gatehouse: PageGlobals['gatehouse'];

const GONE_SECONDS = 700;

describeInBrowser('an outage', () => {
  const workshop = createWorkshop();
  let shop: Shop;
  let service: Service;
  let user: TestUser;
  let context: BrowserContext;
  let page: Page;
  let orders: string;

  async function start(): Promise<void> {
    service = await workshop.start({
      ...environmentFor(shop.house.database.url),
      ISSUER: shop.site.origin,
      CORS_ORIGINS: shop.branch.origin,
    });
    for (const each of [shop.site, shop.branch]) each.upstream.port = service.port;
  }

  beforeAll(async () => {
    shop = await openShop();
    await start();
  });
  afterAll(async () => {
    await shop.close();
    await workshop.clear();
  });

  /** How a call fails; the page fails too when it does not. */
  function codeOf(call: 'session' | 'logout' | 'logoutAll'): Promise<string> {
    return page.evaluate<string>(`gatehouse.${call}().then(() => 'done', ({ code }) => code)`);
  }

  async function expectUnharmed(generation: number): Promise<void> {
    await expect.poll(() => look(page), { timeout: 30_000 }).toBe(orders);
    await expect
      .poll(() => page.evaluate(() => gatehouse.session()))
      .toMatchObject({ username: user.username });
    expect((await changesOf(page)).filter((change) => !change.startsWith('renewed'))).toEqual([
      'signed-in/login',
    ]);
    expect(await shop.sessions(user)).toEqual([expect.objectContaining({ isAlive: true, generation })]);
    expect(new Set(refreshesOf(shop.site).filter((status) => status < 500))).toEqual(
      new Set(generation === 0 ? [] : [200]),
    );
  }

  describe.each(TRANSPORTS)('while a page works by %s', (transport) => {
    beforeEach(async () => {
      ({ user, orders } = await shop.begin());
      context = await shop.visitor();
      page = await shop.tab(context, transport);
      await shop.signIn(page, user);
      shop.site.exchanges.length = 0;
      return () => context.close();
    });

    it('of the network logs nobody out', async () => {
      await context.setOffline(true);
      expect(await look(page)).toBe('offline');
      for (const call of ['session', 'logout', 'logoutAll'] as const)
        expect(await codeOf(call)).toBe('unreachable');
      await shop.house.database.clock.advance(GONE_SECONDS);
      expect(await look(page)).toBe('offline');
      await context.setOffline(false);
      await expectUnharmed(1);
    });

    it('of the service logs nobody out, and neither does its return', async () => {
      const { code } = await service.stop('SIGINT');
      expect(code).toBe(0);
      expect(await look(page)).toBe('try later');
      // What a proxy answers for itself, pages of other origins may not read.
      const code502 = transport === 'cookie' ? 'unexpected_answer' : 'unreachable';
      for (const call of ['session', 'logout', 'logoutAll'] as const)
        expect(await codeOf(call)).toBe(code502);
      await start();
      await expectUnharmed(0);
      await service.stop('SIGKILL');
      // The token ran out meanwhile: the first thing that the new service hears is a refresh.
      await shop.house.database.clock.advance(GONE_SECONDS);
      expect(await look(page)).toBe('try later');
      await start();
      await expectUnharmed(1);
    });

    it('of the database logs nobody out', async () => {
      const lock = await holdTables(shop.house.database, 'sessions');
      try {
        // Each takes as long as a statement has.
        expect(await Promise.all([look(page), codeOf('session')])).toEqual([
          'try later',
          'temporarily_unavailable',
        ]);
        expect(await codeOf('logout')).toBe('temporarily_unavailable');
        await lock.untilNobodyWaits();
      } finally {
        await lock.release();
      }
      await expectUnharmed(0);
    });
  });
});
