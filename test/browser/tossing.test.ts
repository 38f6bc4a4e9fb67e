// Cookies that somebody else had the browser keep: a neighbour under the same domain plants none of ours, and of two none is taken.
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { BrowserContext, Page } from 'playwright-core';

import { describeInBrowser } from '../support/chromium.js';
import { login, type Replica, type TestUser } from '../support/house.js';
import { ACCESS, openShop, REFRESH, type Shop } from '../support/shop.js';
import { openSite, type Site } from '../support/site.js';

const DOMAIN = 'tenant.localhost';

/** Names that some browser, or some server, once took for the one that they resemble. */
function disguises(name: string): string[] {
  return [
    name,
    name.toUpperCase(),
    name.toLowerCase(),
    ` ${name}`,
    `\t${name}`,
    `\u2000${name}`,
    `\u00a0${name}`,
    `\u0085${name}`,
    `"${name}"`,
    `%5F%5FHost-${name.slice('__Host-'.length)}`,
    `$Version=1,${name}`,
    // No name at all: the name is in the value.
    `=${name}`,
  ];
}

describeInBrowser('a cookie like ours', () => {
  let shop: Shop;
  let neighbour: Site;
  let replica: Replica;
  let user: TestUser;
  let mallory: TestUser;
  let context: BrowserContext;
  let page: Page;

  beforeAll(async () => {
    shop = await openShop({ host: `shop.${DOMAIN}` });
    replica = await shop.serve();
    neighbour = await openSite({ host: `mallory.${DOMAIN}` });
    neighbour.pages.set('/', '<!doctype html><title>Neighbour</title>');
  });
  beforeEach(async () => {
    [user, mallory] = await Promise.all([shop.house.user(), shop.house.user()]);
    context = await shop.visitor();
    page = await shop.tab(context, 'cookie');
    shop.site.exchanges.length = 0;
    return () => context.close();
  });
  afterAll(async () => {
    await Promise.all([shop.close(), neighbour.close()]);
  });

  /** From a page of the neighbour, for the domain that both are under, with tokens of another session. */
  async function plant(): Promise<void> {
    const pair = await login(replica, mallory);
    const lines = [
      ...disguises(ACCESS).map((name) => `${name}=${pair.access_token}`),
      ...disguises(REFRESH).map((name) => `${name}=${pair.refresh_token}`),
    ].flatMap((cookie) =>
      ['', '; Path=/session'].map((path) => `${cookie}; Domain=${DOMAIN}; Secure${path}`),
    );
    const there = await context.newPage();
    await there.goto(`${neighbour.origin}/`);
    // The browser writes them later, but before it reads them. Some of them were kept, or nothing was tried.
    const kept = await there.evaluate<string>(
      `{ for (const line of ${JSON.stringify(lines)}) document.cookie = line; document.cookie }`,
    );
    expect(kept).toContain(pair.access_token);
    expect((await context.cookies(shop.site.origin)).map(({ domain }) => domain)).toContain(`.${DOMAIN}`);
    await there.close();
  }

  it('from a neighbour signs nobody in', async () => {
    await plant();
    const statuses = await page.evaluate<number[]>(`(async () => [
      (await fetch('/session')).status,
      (await fetch('/api/orders')).status,
      (await fetch('/refresh', { method: 'POST' })).status,
    ])()`);
    expect(statuses).toEqual([401, 401, 401]);
    expect(await page.evaluate('gatehouse.session()')).toBeNull();
  });

  it('from a neighbour takes nobody’s place', async () => {
    await shop.signIn(page, user);
    await plant();
    await page.reload();
    await page.waitForFunction('globalThis.gatehouse !== undefined');
    expect(await page.evaluate('gatehouse.session()')).toMatchObject({ username: user.username });
    const sent = shop.site.exchanges.at(-1)?.headers.cookie ?? '';
    expect(sent.split(ACCESS).length, 'the browser sent more than ours').toBeGreaterThan(2);
    await page.evaluate('gatehouse.logout()');
    expect(await shop.sessions(user)).toEqual([expect.objectContaining({ isAlive: false })]);
    expect(await shop.sessions(mallory)).toEqual([expect.objectContaining({ isAlive: true, generation: 0 })]);
  });

  it('beside ours has both refused', async () => {
    await shop.signIn(page, user);
    const pair = await login(replica, mallory);
    // The way in which Chromium keeps two of one name, host and path: one of them in a partition (CHIPS).
    const twins = [`${ACCESS}=${pair.access_token}`, `${REFRESH}=${pair.refresh_token}`];
    for (const twin of twins) {
      const read = `{ document.cookie = '${twin}; Path=/; Secure; SameSite=Lax; Partitioned'; document.cookie }`;
      expect(await page.evaluate<string>(read)).toContain(twin);
    }
    const answers = await page.evaluate<{ status: number; body: string }[]>(`Promise.all(
      [['/session'], ['/sessions'], ['/refresh', 'POST'], ['/logout', 'POST'], ['/logout-all', 'POST']].map(async ([path, method]) => {
        const response = await fetch(path, { method });
        return { status: response.status, body: await response.text() };
      }))`);
    const sent = shop.site.exchanges.at(-1)?.headers.cookie ?? '';
    expect(sent.split(`${ACCESS}=`)).toHaveLength(3);
    for (const { status, body } of answers) {
      expect(status).toBe(400);
      expect(JSON.parse(body)).toMatchObject({
        error: 'invalid_request',
        detail: expect.stringContaining('more than once') as string,
      });
    }
    for (const each of [user, mallory])
      expect(await shop.sessions(each)).toEqual([expect.objectContaining({ isAlive: true, generation: 0 })]);
    expect(await page.evaluate('gatehouse.session().catch(({ code }) => code)')).toBe('invalid_request');
    expect(await page.evaluate('changes')).toEqual(['signed-in/login']);
  });

  it.each([ACCESS, REFRESH])('sent twice in one header is refused: %s', async (name) => {
    const path = name === ACCESS ? '/session' : '/refresh';
    const { access_token, refresh_token } = await login(replica, user);
    const token = name === ACCESS ? access_token : refresh_token;
    const response = await fetch(`http://127.0.0.1:${shop.site.port}${path}`, {
      method: name === ACCESS ? 'GET' : 'POST',
      headers: { cookie: `${name}=${token}; ${name}=${token}`, 'sec-fetch-site': 'same-origin' },
    });
    expect(response.status).toBe(400);
    expect(response.headers.getSetCookie()).toEqual([]);
    expect(await shop.sessions(user)).toEqual([expect.objectContaining({ isAlive: true, generation: 0 })]);
  });
});
