// What pages of other origins can have a browser send with the cookies of somebody who is signed in: none of it counts.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { BrowserContext, Page } from 'playwright-core';

import { describeInBrowser } from '../support/chromium.js';
import type { TestUser } from '../support/house.js';
import { openServedShop, type SessionRow, type Shop } from '../support/shop.js';
import { openSite, type Exchange, type Site } from '../support/site.js';

/** What a simple request may say that its body is: browsers ask before they send anything else. */
const FORM_TYPES = ['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data'];

describeInBrowser('a page of another origin', () => {
  let shop: Shop;
  let hostile: Site;
  let user: TestUser;
  let mallory: TestUser;
  let context: BrowserContext;
  let attacker: Page;
  let session: SessionRow;
  let cookies: Awaited<ReturnType<BrowserContext['cookies']>>;

  beforeAll(async () => {
    [shop, hostile] = await Promise.all([openServedShop(), openSite()]);
    hostile.pages.set('/elsewhere', '<!doctype html><title>Win a prize</title>');
    mallory = await shop.house.user();
  });
  beforeEach(async () => {
    user = await shop.house.user();
    context = await shop.visitor();
    const victim = await shop.tab(context, 'cookie');
    await shop.signIn(victim, user);
    [session] = (await shop.sessions(user)) as [SessionRow];
    cookies = await context.cookies();
    expect(cookies).toHaveLength(2);
    shop.site.exchanges.length = 0;
    attacker = await context.newPage();
    return async () => {
      // Whatever was tried: the same session, the same tokens, and the page of the user works.
      expect(await shop.sessions(user)).toEqual([session]);
      expect(await shop.sessions(mallory)).toEqual([]);
      expect(await context.cookies()).toEqual(cookies);
      expect(await victim.evaluate('gatehouse.session()')).toMatchObject({ username: user.username });
      await context.close();
    };
  });
  afterAll(async () => {
    await Promise.all([shop.close(), hostile.close()]);
  });

  function paths(): string[] {
    const ends = ['/logout', '/logout-all', '/refresh', `/sessions/${session.id}`];
    return [...ends, '/login', '/password', '/session', '/api/orders'];
  }

  /** What was asked for, and whether the browser sent our cookies along. */
  function arrived(): (Exchange & { hasCookies: boolean })[] {
    return shop.site.exchanges
      .filter(({ method, headers }) => headers['sec-fetch-site'] !== 'same-origin' && method !== 'OPTIONS')
      .map((exchange) => ({
        ...exchange,
        hasCookies: exchange.headers.cookie?.includes('gatehouse') ?? false,
      }));
  }

  function expectNothingGiven(): void {
    for (const { answered, status, method } of arrived()) {
      expect(answered).not.toHaveProperty('set-cookie');
      if (method !== 'GET') expect(status).toBeGreaterThanOrEqual(400);
    }
  }

  /** Refused for what the browser said about its page, and told which header that was. */
  function expectRejected({ status, body }: Exchange): void {
    expect(status).toBe(403);
    expect(JSON.parse(body)).toMatchObject({
      error: 'csrf_rejected',
      detail: expect.stringContaining('Sec-Fetch-Site') as string,
    });
  }

  /** Another port is another origin, but not another site: `SameSite` lets its requests carry the cookies. */
  const ORIGINS = [
    { name: 'of the same site', address: () => hostile.origin, carriesCookies: true },
    { name: 'that CORS lets in', address: () => shop.branch.origin, carriesCookies: true },
    { name: 'of another site', address: () => `http://127.0.0.1:${hostile.port}`, carriesCookies: false },
  ];

  describe.each(ORIGINS)('$name', ({ name, address, carriesCookies }) => {
    beforeEach(() => attacker.goto(start()));

    function start(): string {
      return `${address()}/elsewhere`;
    }

    it('changes nothing by fetch', async () => {
      const credentials = JSON.stringify({
        username: mallory.username,
        password: mallory.password,
        transport: 'cookie',
      });
      const outcomes = await attacker.evaluate<string[]>(`(async () => {
        const outcomes = [];
        const send = (path, init) => fetch(${JSON.stringify(shop.site.origin)} + path, { credentials: 'include', ...init })
          .then(async (response) => outcomes.push(response.type + await response.text()), () => undefined);
        for (const path of ${JSON.stringify(paths())}) {
          const json = { 'content-type': 'application/json' };
          const body = path === '/login' ? ${JSON.stringify(credentials)} : '{}';
          await Promise.all([
            send(path, { method: 'POST', mode: 'no-cors' }),
            send(path, { method: 'POST', mode: 'no-cors', keepalive: true, body: new Blob([body]) }),
            ...${JSON.stringify(FORM_TYPES)}.map((type) =>
              send(path, { method: 'POST', mode: 'no-cors', headers: { 'content-type': type }, body })),
            send(path, { method: 'POST' }),
            send(path, { method: 'POST', headers: json, body }),
            send(path, { method: 'POST', headers: json, body, credentials: 'omit' }),
            send(path, { method: 'DELETE' }),
            send(path, { method: 'PUT' }),
            send(path, { method: 'POST', headers: { 'x-forwarded-method': 'GET' } }),
          ]);
          navigator.sendBeacon(${JSON.stringify(shop.site.origin)} + path, body);
        }
        return outcomes;
      })()`);
      // Those are on their own way.
      const beacons = () =>
        arrived().filter(({ headers }) => headers['content-type'] === 'text/plain;charset=UTF-8');
      await expect.poll(() => beacons().length, { timeout: 60_000 }).toBe(paths().length);
      // What could be read at all came from requests that carried nothing.
      expect(outcomes.join()).not.toContain(user.username);
      expect(arrived().some(({ hasCookies }) => hasCookies)).toBe(carriesCookies);
      // Without a body there is nothing wrong with these but where they come from.
      for (const path of ['/logout', '/logout-all', '/refresh', '/session', '/api/orders']) {
        const sent = arrived().filter(
          ({ path: target, headers, hasCookies }) =>
            target === path && hasCookies && headers['content-length'] === '0',
        );
        expect(sent.length > 0, path).toBe(carriesCookies);
        for (const exchange of sent) expectRejected(exchange);
      }
      const [login] = arrived().filter(
        ({ path, headers }) => path === '/login' && headers['content-type'] === 'application/json',
      );
      expect(login !== undefined).toBe(address() === shop.branch.origin);
      if (login !== undefined) expectRejected(login);
      expectNothingGiven();
    });

    if (name === 'that CORS lets in') return;

    it('changes nothing by forms', async () => {
      const trick = `{"username":"${mallory.username}","password":"${mallory.password}","transport":"cookie","x":"`;
      await attacker.evaluate(`{
        for (const path of ${JSON.stringify(paths())}) {
          for (const [index, enctype] of ${JSON.stringify(FORM_TYPES)}.entries()) {
            const frame = Object.assign(document.createElement('iframe'), { name: path + index });
            const form = Object.assign(document.createElement('form'), {
              method: 'post', action: ${JSON.stringify(shop.site.origin)} + path, enctype, target: frame.name,
            });
            // As text it reads like JSON.
            form.append(Object.assign(document.createElement('input'), { name: ${JSON.stringify(trick)}, value: '"}' }));
            document.body.append(frame, form);
            form.submit();
          }
        }
      }`);
      const count = paths().length * FORM_TYPES.length;
      await expect.poll(() => arrived().length, { timeout: 60_000 }).toBe(count);
      for (const exchange of arrived()) {
        expect(exchange.hasCookies).toBe(carriesCookies);
        if (exchange.hasCookies && ['/session', '/api/orders'].includes(exchange.path))
          expectRejected(exchange);
      }
      expectNothingGiven();
    });

    it('changes nothing by embedding it', async () => {
      const targets = [...paths(), '/sessions', '/account'];
      await attacker.evaluate(`{
        for (const path of ${JSON.stringify(targets)}) {
          for (const tag of ['img', 'iframe', 'script']) {
            const element = document.createElement(tag);
            element.src = ${JSON.stringify(shop.site.origin)} + path;
            document.body.append(element);
          }
        }
      }`);
      const count = targets.length * 3;
      await expect.poll(() => arrived().length, { timeout: 60_000 }).toBeGreaterThanOrEqual(count);
      // A frame shows nothing of ours, which a picture could be laid over: neither who it is nor where to sign in.
      for (const frame of attacker.frames().filter((each) => each !== attacker.mainFrame())) {
        const text = await frame.evaluate<string>('document.body.innerText').catch(() => '');
        if (!frame.url().includes('/api/')) expect(text).not.toMatch(new RegExp(`${user.username}|Password`));
      }
      expectNothingGiven();
    });

    it.each(['GET', 'POST'])('changes nothing by going there with %s', async (method) => {
      const statuses: Record<string, number> = {};
      for (const path of ['/logout', '/refresh', '/api/orders']) {
        await attacker.goto(start());
        const target = `${shop.site.origin}${path}`;
        const [answer] = await Promise.all([
          attacker.waitForResponse((response) => response.url().startsWith(target)),
          attacker.waitForURL((url) => url.href.startsWith(target)),
          attacker.evaluate(`{
            const form = document.createElement('form');
            Object.assign(form, { method: '${method}', action: '${target}' });
            document.body.append(form);
            form.submit();
          }`),
        ]);
        statuses[path] = answer.status();
      }
      const refused = carriesCookies ? 403 : 401;
      expect(statuses).toEqual(
        method === 'GET'
          ? // Who follows a link is signed in where it leads.
            { '/logout': 405, '/refresh': 405, '/api/orders': 200 }
          : { '/logout': 415, '/refresh': 415, '/api/orders': refused },
      );
      expectNothingGiven();
    });
  });

  it('without an origin, in a sandbox, changes nothing either', async () => {
    await attacker.goto(`${hostile.origin}/elsewhere`);
    await attacker.evaluate(`{
      const frame = document.createElement('iframe');
      frame.sandbox = 'allow-scripts allow-forms';
      frame.srcdoc = \`<script>
        for (const path of ${JSON.stringify(paths())})
          fetch('${shop.site.origin}' + path, { method: 'POST', mode: 'no-cors', credentials: 'include' });
      </script>\`;
      document.body.append(frame);
    }`);
    await expect.poll(() => arrived().length, { timeout: 60_000 }).toBe(paths().length);
    for (const { headers } of arrived()) expect(headers.origin).toBe('null');
    expectNothingGiven();
  });
});
