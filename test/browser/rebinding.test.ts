// A page on the web whose own name leads to this machine, in a real browser: it gets nothing of a Gatehouse that runs here.
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Browser, Page } from 'playwright-core';

import { closeContexts, describeInBrowser, openBrowser } from '../support/chromium.js';
import { openHouse, type House, type Replica, type TestUser } from '../support/house.js';

const EVIL = 'rebound.example';

interface Got {
  status: number;
  body: { error?: string; access_token?: string };
}

describeInBrowser('a page whose name leads to this machine', () => {
  let house: House;
  let user: TestUser;
  let replica: Replica;
  let browser: Browser;
  let port: number;
  /** What the browser sent, as it arrived here. */
  const arrived: { host: string | undefined; origin: string | undefined }[] = [];

  beforeAll(async () => {
    house = await openHouse();
    user = await house.user();
    replica = await house.replica({ config: { host: '127.0.0.1', issuer: 'http://localhost:3000' } });
    replica.app.server.prependListener('request', ({ headers: { host, origin } }) => {
      arrived.push({ host, origin });
    });
    await replica.app.listen({ host: '127.0.0.1', port: 0 });
    ({ port } = replica.app.server.address() as AddressInfo);
    browser = await openBrowser({
      args: [
        `--host-resolver-rules=MAP ${EVIL} 127.0.0.1`,
        // Newer versions of this browser have a guard of their own; others do not.
        '--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests',
      ],
    });
  });
  afterAll(async () => {
    await closeContexts(browser);
    await house.close();
  });

  /** A page that came from its own server, before the name began to lead here. */
  async function openPage(origin: string): Promise<Page> {
    const page = await browser.newPage();
    await page.route(`${origin}/`, (route) =>
      route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>Win a prize</title>' }),
    );
    await page.goto(`${origin}/`);
    arrived.length = 0;
    return page;
  }

  /** Asks as a script of the page may: to the browser it is the page's own server. */
  function ask(page: Page, method: string, path: string, payload?: object): Promise<Got> {
    return page.evaluate(
      async ([asked, where, text]) => {
        const json = { headers: { 'content-type': 'application/json' }, body: text };
        const response = await fetch(where, { method: asked, ...(text !== '' && json) });
        return { status: response.status, body: JSON.parse(await response.text()) as object };
      },
      [method, path, payload === undefined ? '' : JSON.stringify(payload)] as const,
    );
  }

  it('cannot log in, not even with the right password', async () => {
    const page = await openPage(`http://${EVIL}:${port}`);
    const { username, password } = user;
    for (const transport of ['bearer', 'cookie']) {
      const got = await ask(page, 'POST', '/login', { username, password, transport });
      expect([got.status, got.body.error]).toEqual([421, 'misdirected_request']);
    }
    // It did arrive, each of them once more after the 421, and the browser took us for the server of the page.
    const sent = new Set(arrived.map(({ host, origin }) => `${host} ${origin}`));
    expect([...sent]).toEqual([`${EVIL}:${port} http://${EVIL}:${port}`]);
    expect(await page.context().cookies()).toEqual([]);
  });

  it('cannot show our pages as its own', async () => {
    const page = await openPage(`http://${EVIL}:${port}`);
    for (const path of ['/account', '/docs']) {
      const response = await page.goto(`http://${EVIL}:${port}${path}`);
      expect([path, response?.status()]).toEqual([path, 421]);
    }
  });

  it.each(['localhost', '127.0.0.1'])('is not what a page of %s is', async (name) => {
    const page = await openPage(`http://${name}:${port}`);
    const { username, password } = user;
    const got = await ask(page, 'POST', '/login', { username, password });
    expect([got.status, got.body.access_token]).toEqual([200, expect.stringMatching(/^ey/)]);
    expect(new Set(arrived.map(({ host }) => host))).toEqual(new Set([`${name}:${port}`]));
    expect((await page.goto(`http://${name}:${port}/account`))?.status()).toBe(200);
  });
});
