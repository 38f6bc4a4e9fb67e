// The example page in a real browser, with the example of a resource server and a Gatehouse at origins of their own.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';

import { describeInBrowser, openBrowser } from '../support/chromium.js';
import { startExample, type Example } from '../support/example.js';
import { openHouse, type House, type TestUser } from '../support/house.js';
import { findFreePort } from '../../packages/lab/shared/ports.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

describeInBrowser('the page of examples/web', () => {
  let house: House;
  let orders: Example;
  let web: Example;
  let browser: Browser;
  let ada: TestUser;
  let context: BrowserContext;
  let page: Page;

  beforeAll(async () => {
    house = await openHouse();
    const [webPort, ordersPort] = [await findFreePort(), await findFreePort()];
    const WEB_ORIGIN = `http://localhost:${webPort}`;
    const config = { corsOrigins: [WEB_ORIGIN] };
    const { app } = await house.replica({ config });
    await app.listen({ host: '127.0.0.1', port: 0 });
    const GATEHOUSE_URL = `http://localhost:${(app.server.address() as AddressInfo).port}`;
    const { id: CLIENT_ID, secret: CLIENT_SECRET } = await house.client();
    const ORDERS_URL = `http://localhost:${ordersPort}`;
    orders = await startExample('orders', ordersPort, {
      GATEHOUSE_URL,
      CLIENT_ID,
      CLIENT_SECRET,
      WEB_ORIGIN,
    });
    web = await startExample('web', webPort, { GATEHOUSE_URL, ORDERS_URL });
    browser = await openBrowser();
  });
  beforeEach(async () => {
    await house.database.clock.set(0);
    ada = await house.user({ scope: 'orders:read orders:write' });
    context = await browser.newContext({ bypassCSP: true });
    context.setDefaultTimeout(60_000);
    page = await open();
    return () => context.close();
  });
  afterAll(async () => {
    await Promise.all([orders.stop(), web.stop()]);
    await house.close();
  });

  async function open(): Promise<Page> {
    const tab = await context.newPage();
    await tab.goto(web.url);
    return tab;
  }

  async function logIn(): Promise<void> {
    await page.getByLabel('User name').fill(ada.username);
    await page.getByLabel('Password').fill(ada.password);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('heading', { name: `Hello ${ada.username}` }).waitFor();
  }

  async function violations(): Promise<string[]> {
    await page.evaluate(AXE);
    const found = await page.evaluate<{ violations: { id: string; help: string }[]; passes: unknown[] }>(
      'axe.run()',
    );
    // It did look.
    expect(found.passes.length).toBeGreaterThan(5);
    return found.violations.map(({ id, help }) => `${id}: ${help}`);
  }

  it('logs in, orders, goes on when the token has run out, and logs out in all tabs', async () => {
    await logIn();
    for (const [item, seconds] of [
      ['a book', 0],
      ['a lamp', 500],
      ['a chair', 700],
    ] as const) {
      await house.database.clock.advance(seconds);
      await page.getByLabel('Order').fill(item);
      await page.getByRole('button', { name: 'Add' }).click();
      await page.getByRole('listitem').getByText(item).waitFor();
    }
    const other = await open();
    await other.getByRole('heading', { name: `Hello ${ada.username}` }).waitFor();
    await other.getByRole('listitem').getByText('a chair').waitFor();
    await other.getByRole('button', { name: 'Log out', exact: true }).click();
    for (const tab of [page, other]) {
      await tab.getByRole('button', { name: 'Log in' }).waitFor();
      await expect.poll(() => tab.getByRole('listitem').count()).toBe(0);
    }
  });

  it('says what is wrong with a password', async () => {
    await page.getByLabel('User name').fill(ada.username);
    await page.getByLabel('Password').fill('another one');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('status').getByText('the password is wrong').waitFor();
  });

  it('has nothing that axe objects to, before the login and after', async () => {
    expect(await violations()).toEqual([]);
    await logIn();
    expect(await violations()).toEqual([]);
  });
});
