// A shop on the web that people sign in to, in a real browser: its site, its page and a Gatehouse behind it.
import type { AddressInfo } from 'node:net';
import { expect } from 'vitest';
import type { Browser, BrowserContext, LaunchOptions, Page } from 'playwright-core';

import type { Change, Gatehouse } from '@gatehouse/browser';
import type { Config } from '../../src/config/config.js';
import { closeContexts, openBrowser } from './chromium.js';
import { openHouse, type House, type Replica, type TestUser } from './house.js';
import { pageOf } from './shop-page.js';
import { openSite, type Exchange, type Site } from './site.js';

export type Transport = 'cookie' | 'bearer';
export const TRANSPORTS: Transport[] = ['cookie', 'bearer'];

export const ACCESS = '__Host-gatehouse-access';
export const REFRESH = '__Host-gatehouse-refresh';

/** What the page of the shop offers to tests; only for functions that are evaluated there. */
export interface PageGlobals {
  gatehouse: Gatehouse;
  /** `type/why` of each change so far. */
  changes: `${Change['type']}/${Change['why']}`[];
  show: () => Promise<void>;
}

/** Room for the page of the shop: each frame of a window costs by its size. */
const SMALL = { width: 480, height: 360 };

export interface SessionRow {
  id: string;
  /** How often it was rotated. */
  generation: number;
  isAlive: boolean;
}

export interface Shop {
  house: House;
  /** Page, API and Gatehouse. */
  site: Site;
  /** The same page and API alone: here Gatehouse is at another origin, that of `site`. */
  branch: Site;
  browser: Browser;
  /** Serves the site from now on. */
  serve: (config?: Partial<Config>) => Promise<Replica>;
  /** Opens the page in a new tab; with `bearer` that of the branch. */
  tab: (context: BrowserContext, transport: Transport, query?: string) => Promise<Page>;
  /** A browser of its own, without memory; it fails what takes longer than a slow machine does. */
  visitor: (locks?: 'locks' | 'no locks', channel?: 'channel' | 'no channel') => Promise<BrowserContext>;
  /** Signs in with one session, and waits for the orders. */
  signIn: (page: Page, user: TestUser) => Promise<void>;
  sessions: (user: TestUser) => Promise<SessionRow[]>;
  /** For each test: the clock at the present, a user whom nobody has seen, what the page shows to the user, and no exchanges yet. */
  begin: () => Promise<{ user: TestUser; orders: string }>;
  close: () => Promise<void>;
}

export type ShopOptions = LaunchOptions & {
  /** Of the site; any that ends with `localhost` is this machine. */
  host?: string;
};

/** Opens it; close it in `afterAll`. */
export async function openShop({ host = 'localhost', ...launch }: ShopOptions = {}): Promise<Shop> {
  const house = await openHouse();
  const [site, branch] = await Promise.all([openSite({ host }), openSite()]);
  const browser = await openBrowser(launch);
  site.pages.set('/', pageOf({ transport: 'cookie' }));
  branch.pages.set('/', pageOf({ transport: 'bearer', url: site.origin }));
  for (const each of [site, branch]) each.pages.set('/elsewhere', '<!doctype html><title>Elsewhere</title>');

  async function sessionsOf({ id }: Pick<TestUser, 'id'>): Promise<SessionRow[]> {
    const { rows } = await house.database.admin.query<SessionRow>(
      `SELECT id, generation, ended_at IS NULL AS "isAlive" FROM sessions WHERE user_id = $1 ORDER BY id`,
      [id],
    );
    return rows;
  }

  /** Deletes what comes of a login that its page has given up, once nothing more can come of it. */
  async function forgetOthers(userId: string, known: SessionRow[]): Promise<void> {
    const isQuiet = async () => {
      const { rows } = await house.database.admin.query(
        `SELECT FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'`,
      );
      return site.unanswered() === 0 && rows.length === 0;
    };
    await expect.poll(isQuiet, { timeout: 60_000 }).toBe(true);
    await house.database.admin.query('DELETE FROM sessions WHERE user_id = $1 AND id <> ALL ($2::uuid[])', [
      userId,
      known.map(({ id }) => id),
    ]);
  }

  return {
    house,
    site,
    branch,
    browser,
    serve: async (config = {}) => {
      const rules = { issuer: site.origin, corsOrigins: [branch.origin], ...config };
      const replica = await house.replica({ config: rules });
      await replica.app.listen({ host: '127.0.0.1', port: 0 });
      const { port } = replica.app.server.address() as AddressInfo;
      for (const each of [site, branch]) each.upstream.port = port;
      return replica;
    },
    tab: async (context, transport, query = '') => {
      const page = await context.newPage();
      await page.goto(`${(transport === 'cookie' ? site : branch).origin}/${query}`);
      await page.waitForFunction('globalThis.gatehouse !== undefined');
      return page;
    },
    visitor: async (locks = 'locks', channel = 'channel') => {
      const context = await browser.newContext({ viewport: SMALL });
      context.setDefaultTimeout(60_000);
      if (locks === 'no locks') await context.addInitScript('delete Navigator.prototype.locks');
      if (channel === 'no channel') await context.addInitScript('delete globalThis.BroadcastChannel');
      return context;
    },
    signIn: async (page, { id, username, password }) => {
      const call = `gatehouse.login(${JSON.stringify({ username, password })})`;
      const attempt = async () => {
        const before = await sessionsOf({ id });
        const outcome = await page.evaluate<string>(`${call}.then(() => 'done', ({ code }) => code)`);
        // On a machine that is busy with other things, a login may be given up here that is served there.
        if (outcome !== 'done') await forgetOthers(id, before);
        return outcome;
      };
      await expect.poll(attempt, { timeout: 60_000 }).toBe('done');
      await shows(page, `orders of ${username}`);
    },
    sessions: sessionsOf,
    begin: async () => {
      await house.database.clock.set(0);
      const user = await house.user();
      site.exchanges.length = 0;
      return { user, orders: `orders of ${user.username}` };
    },
    close: async () => {
      await closeContexts(browser);
      await Promise.all([site.close(), branch.close()]);
      await house.close();
    },
  };
}

/** The same, and a Gatehouse behind it that serves. */
export async function openServedShop(options: ShopOptions = {}): Promise<Shop> {
  const shop = await openShop(options);
  await shop.serve();
  return shop;
}

/** Waits until the page says so. */
export async function shows(page: Page, text: string): Promise<void> {
  await page.waitForFunction(`document.querySelector('main').textContent === ${JSON.stringify(text)}`);
}

/** Asks for the orders, as a click does; what the page shows when it has the answer. */
export async function look(page: Page): Promise<string> {
  return page.evaluate<string>("show().then(() => document.querySelector('main').textContent)");
}

export async function changesOf(page: Page): Promise<PageGlobals['changes']> {
  return page.evaluate<PageGlobals['changes']>('changes');
}

/** Value of a cookie as the browser holds it; null where it holds none. */
export async function cookieOf(context: BrowserContext, name: string): Promise<string | null> {
  const cookies = await context.cookies();
  return cookies.find((cookie) => cookie.name === name)?.value ?? null;
}

/** What the branch's page keeps. */
export async function storedIn(page: Page, kind: 'access' | 'refresh'): Promise<string | null> {
  return page.evaluate<string | null>(
    `Object.entries(localStorage).find(([name]) => name.endsWith(':${kind}'))?.[1] ?? null`,
  );
}

export function asked({ exchanges }: Site, method: string, path: string): Exchange[] {
  return exchanges.filter((exchange) => exchange.method === method && exchange.path === path);
}

/** Statuses of all refreshes, and that none was taken for theft. */
export function refreshesOf(site: Site): number[] {
  const answers = asked(site, 'POST', '/refresh');
  for (const { body } of answers) expect(body).not.toContain('refresh_reused');
  return answers.map(({ status }) => status);
}
