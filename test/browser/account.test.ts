// The account page in a real browser: what people do there, and what it must never show, keep or let scripts read.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { ACCESS } from '../support/browser.js';
import { describeInBrowser, openBrowser, press } from '../support/chromium.js';
import {
  basic,
  openHouse,
  type House,
  type Replica,
  type TestClient,
  type TestUser,
  type TokenPair,
} from '../support/house.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** The shortest: every 15 seconds a renewal is due. */
const LIFE_SECONDS = 30;

const PHONE = { width: 360, height: 740 };

let house: House;
let replica: Replica;
let browser: Browser;
let url: string;

/** What a page says on its console, or throws: nothing but the refusals that a test provokes. */
const complaints: string[] = [];
const contexts: BrowserContext[] = [];

async function listen(config: Parameters<House['replica']>[0] = {}): Promise<string> {
  replica = await house.replica(config);
  await replica.app.listen({ host: '127.0.0.1', port: 0 });
  return `http://localhost:${(replica.app.server.address() as AddressInfo).port}`;
}

/** A browser of its own, with cookies of its own. The mark of the present would move all the time, which nobody sees, 60 times a second. */
async function openContext(options: Parameters<Browser['newContext']>[0] = {}): Promise<BrowserContext> {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
  contexts.push(context);
  context.setDefaultTimeout(45_000);
  context.on('weberror', (error) => complaints.push(String(error.error())));
  context.on('console', (message) => {
    const isRefusal = /status of (?:400|401|429|503)|ERR_INTERNET_DISCONNECTED/.test(message.text());
    if (message.type() === 'error' && !isRefusal) complaints.push(message.text());
  });
  return context;
}

async function openPage(options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
  const page = await (await openContext(options)).newPage();
  await page.goto(`${url}/account`);
  return page;
}

/** A page whose clock runs as ever until a test moves it on. */
async function openTimedPage(options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
  const context = await openContext(options);
  await context.clock.install();
  const page = await context.newPage();
  await page.goto(`${url}/account`);
  return page;
}

/** Lets so much time pass for the service and for such a page, in which all that is due by then happens. */
async function passTime(page: Page, seconds: number): Promise<void> {
  await house.database.clock.advance(seconds);
  await page.clock.fastForward(seconds * 1000);
}

async function signIn(page: Page, { username, password }: TestUser): Promise<void> {
  await page.getByLabel('User name').fill(username);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { level: 1, name: username }).waitFor();
  await page.locator('.session').first().waitFor();
}

async function signedInPage(user: TestUser, options = {}): Promise<Page> {
  const page = await openPage(options);
  await signIn(page, user);
  return page;
}

/** As a page does by itself in time: it asks who is signed in. */
const lookAgain = (page: Page) => page.evaluate(`dispatchEvent(new Event('online'))`);

const isSignedOut = (page: Page) => page.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor();

/** A login as another program makes it, with the name that it gives itself. */
async function logInElsewhere({ username, password }: TestUser, userAgent: string): Promise<string> {
  const response = await replica.app.inject({
    method: 'POST',
    url: '/login',
    headers: { 'user-agent': userAgent },
    payload: { username, password },
  });
  return response.json<{ access_token: string }>().access_token;
}

/** A session of a user that a backend brings along. */
async function openByBackend(backend: TestClient, payload: object): Promise<string> {
  const response = await replica.app.inject({
    method: 'POST',
    url: '/sessions',
    headers: basic(backend),
    payload,
  });
  expect(response.statusCode, response.body).toBe(201);
  return response.json<TokenPair>().access_token;
}

/** Gives a browser a token, as an application of the same origin may; browsers take localhost for secure, Playwright does not. */
async function takeToken(context: BrowserContext, token: string): Promise<void> {
  await context.addCookies([
    {
      name: ACCESS,
      value: token,
      url: url.replace('http:', 'https:'),
      secure: true,
      httpOnly: true,
      sameSite: 'Lax',
    },
  ]);
}

async function isAlive(token: string): Promise<boolean> {
  const headers = { authorization: `Bearer ${token}` };
  return (await replica.app.inject({ url: '/session', headers })).statusCode === 200;
}

describeInBrowser('the account page', () => {
  beforeAll(async () => {
    house = await openHouse();
    url = await listen({ config: { accessTtlSeconds: LIFE_SECONDS, trustProxy: ['127.0.0.1'] } });
    // Playwright switches the cache for "back" off, which this page must be safe in.
    browser = await openBrowser({ ignoreDefaultArgs: ['--disable-back-forward-cache'] });
  });
  afterEach(async () => {
    await Promise.all(contexts.splice(0).map((context) => context.close()));
    expect(complaints.splice(0)).toEqual([]);
  });
  afterAll(() => house.close());

  it('signs in by name and password, and shows who it is', async () => {
    const user = await house.user({ scope: 'orders:read orders:write' });
    const page = await signedInPage(user);
    expect(await page.locator('#scope').textContent()).toBe('orders:read orders:write');
    expect(await page.locator('#session-id').textContent()).toMatch(/^[0-9a-f-]{36}$/);
    expect(await page.locator('h1:visible').evaluate('document.activeElement.id')).toBe('name');
    await page.reload();
    await page.getByRole('heading', { level: 1, name: user.username }).waitFor();
  });

  it('sets a password, in a form of its own, and leads back to signing in', async () => {
    const user = await house.user();
    const { code } = await replica.gatehouse.operators.issueCode(user.id, undefined, 'cli:test');
    const password = 'nine tall herons nap at noon';
    const page = await openPage();
    await page.getByRole('button', { name: 'I have a code' }).click();
    expect(await findViolations(page)).toEqual([]);
    await page.getByLabel('Code', { exact: true }).fill('a'.repeat(26));
    await page.getByLabel('Chosen password').fill(password);
    await page.getByRole('button', { name: 'Set password' }).click();
    await page.getByText('The code is wrong, was used before, or counts no more.').waitFor();
    await page.getByLabel('Code', { exact: true }).fill(` ${code.toUpperCase()} `);
    await page.getByRole('button', { name: 'Set password' }).click();
    await page.getByText('The password is set. Sign in with it.').waitFor();
    expect(page.url()).toBe(`${url}/account`);
    expect(await page.getByLabel('Chosen password').inputValue()).toBe('');
    await signIn(page, { ...user, password });
    await page.getByRole('heading', { name: user.username }).waitFor();
  });

  it('says that a password is wrong, and goes back to it', async () => {
    const user = await house.user();
    const page = await openPage();
    await page.getByLabel('User name').fill(user.username);
    await page.getByLabel('Password', { exact: true }).fill('not this one');
    await page.getByRole('button', { name: 'Show password' }).click();
    expect(await page.locator('#password').getAttribute('type')).toBe('text');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').filter({ hasText: 'The user name or the password is wrong.' }).waitFor();
    expect(await page.evaluate('document.activeElement.id')).toBe('password');
    expect(await page.locator('#password').getAttribute('type')).toBe('password');
    await signIn(page, user);
  });

  it('counts down when there were too many attempts, and when nothing can be answered says so', async () => {
    const user = await house.user();
    const page = await openTimedPage();
    const refuse = (status: number, error: string) =>
      page.route('**/login', (route) =>
        route.fulfill({ status, headers: { 'retry-after': '60' }, json: { error, status, detail: error } }),
      );
    await refuse(429, 'too_many_requests');
    await page.getByLabel('User name').fill(user.username);
    await page.getByLabel('Password', { exact: true }).fill(user.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').filter({ hasText: 'Too many attempts. Wait 60 s' }).waitFor();
    await page.getByRole('button', { name: /Sign in \(\d+\)/ }).waitFor();
    await passTime(page, 60);
    await page.getByRole('alert').filter({ hasText: 'You can try again now.' }).waitFor();
    await page.unroute('**/login');
    await refuse(503, 'temporarily_unavailable');
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByRole('alert').filter({ hasText: 'Gatehouse cannot answer right now.' }).waitFor();
    await page.unroute('**/login');
    await page.context().setOffline(true);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByRole('alert').filter({ hasText: 'You are offline.' }).waitFor();
    await page.context().setOffline(false);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: user.username }).waitFor();
  });

  it('lists where the user is signed in, with device and place, and marks this session', async () => {
    const user = await house.user();
    await logInElsewhere(user, 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0');
    const page = await signedInPage(user);
    const sessions = page.locator('.session');
    await expect.poll(() => sessions.count()).toBe(2);
    const here = sessions.filter({ hasText: 'This one' });
    expect(await here.locator('.device-name').textContent()).toMatch(/^Chrome \d+ on Linux$/);
    await expect.poll(() => here.locator('button').count()).toBe(0);
    const there = sessions.filter({ hasText: 'Firefox 145 on Linux' });
    expect(await there.locator('.ip').textContent()).toBe('127.0.0.1');
    expect(await there.locator('.used').textContent()).toBe('in the last 24 hours');
    await there.getByText('Details').click();
    expect(await there.locator('.user-agent').textContent()).toContain('rv:145.0');
  });

  it('ends one session: whoever looks there is signed out, and told so', async () => {
    const user = await house.user();
    const other = await openTimedPage({ userAgent: 'Orders/1.2' });
    await signIn(other, user);
    const page = await signedInPage(user);
    await page.getByRole('button', { name: /^End Orders 1\.2/ }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
    await expect.poll(() => page.locator('.session').count()).toBe(2);
    await page.getByRole('button', { name: /^End Orders 1\.2/ }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'End session' }).click();
    await page.getByText('Orders 1.2 is signed out.').waitFor();
    await expect.poll(() => page.locator('.session').count()).toBe(1);
    await passTime(other, LIFE_SECONDS / 2);
    await isSignedOut(other);
    await other.getByText('You were signed out: this session was ended elsewhere').waitFor();
    expect(await other.content()).not.toContain(user.username);
  });

  it('ends all other sessions, and keeps this one', async () => {
    const user = await house.user();
    const tokens = [await logInElsewhere(user, 'one'), await logInElsewhere(user, 'two')];
    const page = await signedInPage(user);
    await page.getByRole('button', { name: 'End all others' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'End all others' }).click();
    await page.getByText('2 other sessions ended.').waitFor();
    expect(await Promise.all(tokens.map(isAlive))).toEqual([false, false]);
    await expect.poll(() => page.locator('.session').count()).toBe(1);
    expect(await page.getByRole('button', { name: 'End all others' }).isDisabled()).toBe(true);
  });

  it('changes the password, which ends the session of another browser, and keeps every tab of this one', async () => {
    const user = await house.user();
    const other = await signedInPage(user);
    const page = await signedInPage(user);
    const tab = await page.context().newPage();
    await tab.goto(page.url());
    await tab.getByRole('heading', { level: 1, name: user.username }).waitFor();
    const sessionId = () => page.locator('#session-id').textContent();
    const before = await sessionId();
    const alert = (hasText: string) => page.getByRole('alert').filter({ hasText });
    const outage = alert('Gatehouse cannot answer right now.');
    /** Again after a 503: nobody waits for the judgement on a password for longer than two seconds. */
    const change = async (current: string, next: string, outcome: Locator) => {
      do {
        await page.getByLabel('Current password', { exact: true }).fill(current);
        await page.getByLabel('New password', { exact: true }).fill(next);
        await page.getByRole('button', { name: 'Change password' }).click();
        await outcome.or(outage).waitFor();
      } while (await outage.isVisible());
    };
    await change('not this one', 'lantern orchard violet tram', alert('The current password is wrong.'));
    await change(user.password, 'short', alert('The new password is shorter than 15 characters.'));
    expect(await page.evaluate('document.activeElement.id')).toBe('new-password');
    await change(user.password, 'lantern orchard violet tram', page.getByText('The password is changed.'));
    expect(await page.getByLabel('New password', { exact: true }).inputValue()).toBe('');
    await expect.poll(sessionId).not.toBe(before);
    const after = await sessionId();
    await expect.poll(() => tab.locator('#session-id').textContent()).toBe(after);
    expect(await tab.getByRole('heading', { level: 1, name: user.username }).isVisible()).toBe(true);
    await lookAgain(other);
    await isSignedOut(other);
    await signIn(other, { ...user, password: 'lantern orchard violet tram' });
    await page.reload();
    await page.getByRole('heading', { level: 1, name: user.username }).waitFor();
  });

  it('shows the life of the token, and each renewal as it happens', async () => {
    const page = await openTimedPage();
    await signIn(page, await house.user());
    const before = await lifeShown(page);
    const { issued, generation } = before;
    await passTime(page, LIFE_SECONDS / 2);
    await page.locator('#renewals li').filter({ hasText: 'Renewed as token' }).first().waitFor();
    const after = await lifeShown(page);
    for (const { marks, state } of [before, after]) {
      expect(marks).toEqual({ window: LIFE_SECONDS / 2, expires: LIFE_SECONDS, grace: LIFE_SECONDS + 60 });
      expect(state).toMatch(/^Good for 0:\d\d$/);
    }
    expect(after.generation).toBeGreaterThan(generation);
    expect(after.issued - issued).toBe((LIFE_SECONDS / 2) * (after.generation - generation));
    expect(after.lastRenewal).toContain(`Renewed as token ${after.generation + 1}`);
    expect(after.placeOfNow).not.toBe(before.placeOfNow);
  });

  it('goes on with a refresh when the token is long over', async () => {
    const page = await signedInPage(await house.user());
    await house.database.clock.advance(3600);
    await lookAgain(page);
    await page.locator('#renewals li').filter({ hasText: 'Refreshed: a new token' }).waitFor();
    await page.locator('#plot').getByText('token 1, in use').waitFor();
  });

  it('signs out: other tabs show it, and "back" shows nothing', async () => {
    const user = await house.user();
    const page = await signedInPage(user);
    const tab = await page.context().newPage();
    await tab.goto(`${url}/account`);
    await tab.getByRole('heading', { level: 1, name: user.username }).waitFor();
    const left = await page.context().newPage();
    await left.goto(`${url}/account`);
    await left.getByRole('heading', { level: 1, name: user.username }).waitFor();
    await left.goto(`${url}/health`);

    await page.getByRole('button', { name: 'Sign out', exact: true }).first().click();
    await isSignedOut(page);
    await page.getByText('You are signed out.').waitFor();
    await isSignedOut(tab);
    await tab.getByText('You were signed out in another tab.').waitFor();

    await press('back', left);
    await isSignedOut(left);
    for (const each of [page, tab, left]) expect(await each.content()).not.toContain(user.username);
    await press('back', page);
    await press('forward', page);
    await isSignedOut(page);
    expect(await page.context().cookies()).toEqual([]);
  });

  it('shows a page that comes back from the cache for "back" to nobody but its user', async () => {
    const user = await house.user();
    const page = await signedInPage(user);
    const held = await page.evaluate(`
      dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }));
      document.body.textContent`);
    expect(held).not.toContain(user.username);
    await page.evaluate(`dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))`);
    await page.getByRole('heading', { level: 1, name: user.username }).waitFor();
  });

  it('signs out everywhere', async () => {
    const user = await house.user();
    const token = await logInElsewhere(user, 'elsewhere');
    const page = await signedInPage(user);
    await page.getByRole('button', { name: 'Sign out everywhere' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Sign out everywhere' }).click();
    await isSignedOut(page);
    expect(await isAlive(token)).toBe(false);
  });

  it('lets no script read a token: not in cookies, storage, headers or answers', async () => {
    const page = await openTimedPage();
    const answers: string[] = [];
    page.on('response', (response) => {
      void response.text().then(
        (body) => answers.push(JSON.stringify({ ...response.headers(), 'set-cookie': '' }), body),
        () => undefined,
      );
    });
    await signIn(page, await house.user());
    await passTime(page, LIFE_SECONDS / 2);
    await page.locator('#renewals li').first().waitFor();
    const cookies = (await page.context().cookies()).sort((a, b) => a.name.localeCompare(b.name));
    expect(cookies.map(({ name, httpOnly, secure, sameSite }) => [name, httpOnly, secure, sameSite])).toEqual(
      [
        ['__Host-gatehouse-access', true, true, 'Lax'],
        ['__Host-gatehouse-refresh', true, true, 'Lax'],
      ],
    );
    const seen = await page.evaluate(
      `JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }, document.documentElement.outerHTML])`,
    );
    await expect.poll(() => answers.length).toBeGreaterThan(10);
    for (const text of [String(seen), ...answers]) {
      expect(text).not.toMatch(/eyJ[\w-]+\.eyJ/);
      for (const { value } of cookies) expect(text).not.toContain(value);
    }
    expect(await page.evaluate('document.cookie')).toBe('');
  });

  it('says when it cannot look, keeps what it showed, and goes on', async () => {
    const user = await house.user();
    const page = await signedInPage(user);
    await page.route('**/session', (route) =>
      route.fulfill({ status: 503, json: { error: 'temporarily_unavailable' } }),
    );
    await lookAgain(page);
    await page.locator('#trouble').filter({ hasText: 'Gatehouse cannot answer right now' }).waitFor();
    await page.getByRole('heading', { level: 1, name: user.username }).waitFor();
    await page.unroute('**/session');
    await lookAgain(page);
    await expect.poll(() => page.locator('#trouble').textContent()).toBe('');
  });

  it('works with sixty sessions, a long name and one from right to left, on a phone', async () => {
    for (const username of [
      'donaudampfschifffahrtselektrizitaetenhauptbetriebswerkbauunterbeamtengesellschaft@example.com',
      'شهرزاد-القصيرة',
    ]) {
      const user = await house.user({ username });
      await house.database.admin.query(
        `INSERT INTO sessions (id, user_id, epoch, opened_at, rotated_at, refresh_expires_at, expires_at, ip, user_agent)
         SELECT gen_random_uuid(), $1, users.epoch + service.epoch, clock_timestamp(), clock_timestamp(),
                clock_timestamp() + interval '1 day', clock_timestamp() + interval '90 days',
                '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff', repeat('Unbreakable', 40)
         FROM users, service, generate_series(1, 59) WHERE users.id = $1`,
        [user.id],
      );
      const page = await signedInPage(user, { viewport: PHONE });
      await page.getByRole('button', { name: 'Show all 60' }).click();
      await expect.poll(() => page.locator('.session').count()).toBe(60);
      await page.locator('.session summary').nth(20).click();
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(PHONE.width);
      await findViolations(page).then((violations) => expect(violations).toEqual([]));
    }
  });

  it.each([
    ['in light', { colorScheme: 'light', reducedMotion: 'no-preference' }],
    ['in dark', { colorScheme: 'dark', reducedMotion: 'no-preference' }],
    ['on a phone', { viewport: PHONE, colorScheme: 'dark', reducedMotion: 'reduce' }],
  ] as const)('has no violations of accessibility %s', async (_where, options) => {
    const user = await house.user();
    await logInElsewhere(user, 'curl/8.5.0');
    const page = await openPage(options);
    await isSignedOut(page);
    expect(await findViolations(page)).toEqual([]);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').filter({ hasText: 'Enter your user name.' }).waitFor();
    expect(await findViolations(page)).toEqual([]);
    await signIn(page, user);
    expect(await findViolations(page)).toEqual([]);
    await page.getByRole('button', { name: 'End all others' }).click();
    await page.getByRole('dialog').waitFor();
    expect(await findViolations(page)).toEqual([]);
  });

  describe('before it ends other sessions', () => {
    /** The page must ask when the password was given longer ago. */
    const RECENT_SECONDS = 15 * 60;
    const short = { url: '', replica: undefined as Replica | undefined };

    beforeAll(async () => {
      Object.assign(short, { url, replica });
      // Tokens that are not renewed in the moment in which the password is given: a late answer would bring the old one back.
      url = await listen({ config: { accessTtlSeconds: 600, trustProxy: ['127.0.0.1'] } });
    });
    afterAll(() => {
      url = short.url;
      if (short.replica !== undefined) replica = short.replica;
    });

    const questionOf = (page: Page) => page.getByRole('dialog', { name: 'Enter your password again' });

    async function endOthers(page: Page): Promise<void> {
      await page.getByRole('button', { name: 'End all others' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'End all others' }).click();
    }

    /** A page of somebody who is about to end another session, so many seconds after the login. */
    async function pageAfter(seconds: number, options = {}) {
      const user = await house.user();
      const page = await signedInPage(user, options);
      await house.database.clock.advance(seconds);
      const elsewhere = await logInElsewhere(user, 'elsewhere');
      await lookAgain(page);
      await page.locator('.session').filter({ hasText: 'elsewhere' }).waitFor();
      return { user, page, elsewhere };
    }

    async function answer(page: Page, password: string): Promise<void> {
      await questionOf(page).getByLabel('Password again').fill(password);
      await questionOf(page).getByRole('button', { name: 'Continue' }).click();
    }

    it('asks for the password, once, when it was given more than 15 minutes ago', async () => {
      const { user, page, elsewhere } = await pageAfter(RECENT_SECONDS + 1, { colorScheme: 'dark' });
      const since = () => page.locator('#since').getAttribute('datetime');
      const before = await since();
      const sessionId = await page.locator('#session-id').textContent();
      await endOthers(page);
      await questionOf(page).getByText('You entered it more than 15 minutes ago.').waitFor();
      expect(await page.evaluate('document.activeElement.id')).toBe('password-again-field');
      expect(await questionOf(page).locator('[autocomplete="username"]').inputValue()).toBe(user.username);
      expect(await questionOf(page).locator('[autocomplete="current-password"]').count()).toBe(1);
      expect(await findViolations(page)).toEqual([]);
      await answer(page, 'not this one');
      await questionOf(page).getByRole('alert').filter({ hasText: 'The password is wrong.' }).waitFor();
      expect(await page.evaluate('document.activeElement.id')).toBe('password-again-field');
      expect(await isAlive(elsewhere)).toBe(true);
      await answer(page, user.password);
      await page.getByText('1 other session ended.').waitFor();
      expect(await isAlive(elsewhere)).toBe(false);
      expect(await page.locator('#password-again-field').inputValue()).toBe('');
      // The session is the one of before.
      expect(await page.locator('#session-id').textContent()).toBe(sessionId);
      await lookAgain(page);
      await page.locator('#renewals li').filter({ hasText: 'Refreshed: a new token' }).first().waitFor();
      expect(await since()).toBe(before);

      const another = await logInElsewhere(user, 'another');
      await lookAgain(page);
      await page.getByRole('button', { name: /^End another/ }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'End session' }).click();
      await page.getByText('another is signed out.').waitFor();
      expect(await isAlive(another)).toBe(false);
    });

    it('asks nobody who gave it within 15 minutes', async () => {
      // A minute for a slow machine.
      const { page, elsewhere } = await pageAfter(RECENT_SECONDS - 60);
      await endOthers(page);
      await page.getByText('1 other session ended.').waitFor();
      expect(await isAlive(elsewhere)).toBe(false);
    });

    it.each([
      ['Cancel', (page: Page) => questionOf(page).getByRole('button', { name: 'Cancel' }).click()],
      ['Escape', (page: Page) => page.keyboard.press('Escape')],
    ])('ends nothing after %s, and asks again', async (_how, giveUp) => {
      const { user, page, elsewhere } = await pageAfter(RECENT_SECONDS + 1);
      await page.getByRole('button', { name: /^End elsewhere/ }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'End session' }).click();
      await questionOf(page).getByLabel('Password again').fill(user.password);
      await giveUp(page);
      await page
        .getByRole('alert')
        .filter({ hasText: 'Nothing was ended: that needs your password.' })
        .waitFor();
      expect(await isAlive(elsewhere)).toBe(true);
      expect(await page.locator('#password-again-field').inputValue()).toBe('');

      await page.getByRole('button', { name: 'Sign out everywhere' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Sign out everywhere' }).click();
      await answer(page, user.password);
      await isSignedOut(page);
      await page.getByText('You are signed out.').waitFor();
      expect(await isAlive(elsewhere)).toBe(false);
    });

    it('counts down when there were too many attempts', async () => {
      const { user, page, elsewhere } = await pageAfter(RECENT_SECONDS + 1);
      await page.route('**/reauthenticate', (route) =>
        route.fulfill({
          status: 429,
          headers: { 'retry-after': '2' },
          json: { error: 'too_many_requests', status: 429, detail: '' },
        }),
      );
      await endOthers(page);
      await answer(page, user.password);
      const alert = questionOf(page).getByRole('alert');
      await alert.filter({ hasText: 'You can try again now.' }).waitFor();
      await page.unroute('**/reauthenticate');
      await answer(page, user.password);
      await page.getByText('1 other session ended.').waitFor();
      expect(await isAlive(elsewhere)).toBe(false);
    });

    it('takes the question back when the user signs out in another tab, and ends nothing', async () => {
      const { user, page, elsewhere } = await pageAfter(RECENT_SECONDS + 1);
      await endOthers(page);
      await questionOf(page).waitFor();
      const tab = await page.context().newPage();
      await tab.goto(`${url}/account`);
      await tab.getByRole('heading', { level: 1, name: user.username }).waitFor();
      // To leave this session alone nobody is asked, however old the login is.
      await tab.getByRole('button', { name: 'Sign out', exact: true }).first().click();
      await isSignedOut(tab);
      await isSignedOut(page);
      await questionOf(page).waitFor({ state: 'detached' });
      expect(await page.content()).not.toContain(user.username);
      expect(await isAlive(elsewhere)).toBe(true);
      await signIn(page, user);
      await house.database.clock.advance(RECENT_SECONDS + 1);
      await endOthers(page);
      await answer(page, user.password);
      await page.getByText('1 other session ended.').waitFor();
    });

    it('ends nothing of somebody who has signed in meanwhile', async () => {
      const { user, page } = await pageAfter(1);
      const other = await house.user();
      const elsewhere = await logInElsewhere(other, 'elsewhere');
      const paths: string[] = [];
      page.on('request', (request) => paths.push(new URL(request.url()).pathname));
      let release: () => void = () => undefined;
      const isReleased = new Promise<void>((resolve) => (release = resolve));
      await page.route('**/session?max_age=*', async (route) => {
        const response = await route.fetch();
        await isReleased;
        await route.fulfill({ response });
      });
      const asked = page.waitForRequest('**/session?max_age=*');
      await endOthers(page);
      await asked;
      const tab = await page.context().newPage();
      await tab.goto(`${url}/account`);
      await tab.getByRole('heading', { level: 1, name: user.username }).waitFor();
      await tab.getByRole('button', { name: 'Sign out', exact: true }).first().click();
      await isSignedOut(tab);
      await signIn(tab, other);
      await page.getByRole('heading', { level: 1, name: other.username }).waitFor();
      const answered = page.waitForResponse('**/session?max_age=*');
      release();
      expect((await answered).status()).toBe(200);
      const looked = page.waitForResponse('**/sessions');
      await lookAgain(page);
      await looked;
      expect(paths).not.toContain('/logout-all');
      expect(await isAlive(elsewhere)).toBe(true);
    });

    it('asks no user of a backend, who has no password here', async () => {
      const backend = await house.client(['sessions:open']);
      const long = { auth_time: Math.floor(Date.now() / 1000) - 86_400 };
      const elsewhere = await openByBackend(backend, {
        external_id: 'customer-1',
        user_agent: 'elsewhere',
        ...long,
      });
      const context = await openContext();
      await takeToken(context, await openByBackend(backend, { external_id: 'customer-1', ...long }));
      const page = await context.newPage();
      await page.goto(`${url}/account`);
      await page.locator('.session').filter({ hasText: 'elsewhere' }).waitFor();
      await endOthers(page);
      await page.getByText('1 other session ended.').waitFor();
      expect(await isAlive(elsewhere)).toBe(false);
    });
  });

  describe('for a user of a backend', () => {
    const headings = (page: Page) => page.locator('#signed-in h2:visible').allTextContents();

    it('has no form for a password, which the user does not have here', async () => {
      const backend = await house.client(['sessions:open']);
      const context = await openContext();
      await takeToken(
        context,
        await openByBackend(backend, { external_id: 'customer-2', username: 'Ann Miller' }),
      );
      const page = await context.newPage();
      await page.goto(`${url}/account`);
      await page.getByRole('heading', { level: 1, name: 'Ann Miller' }).waitFor();
      await page.locator('.session').waitFor();
      expect(await headings(page)).toEqual(['This session', 'Where you are signed in', 'Leave']);
      expect(await page.locator('#signed-in [autocomplete="new-password"]').count()).toBe(0);
      expect(await findViolations(page)).toEqual([]);
      await page.getByRole('button', { name: 'Sign out everywhere' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Sign out everywhere' }).click();
      await isSignedOut(page);
    });

    it('takes a user of a backend for another one than a user of Gatehouse with the same subject', async () => {
      const user = await house.user();
      const backend = await house.client(['sessions:open']);
      const page = await signedInPage(user);
      expect(await headings(page)).toEqual(['This session', 'Where you are signed in', 'Password', 'Leave']);
      await takeToken(
        page.context(),
        await openByBackend(backend, { external_id: user.id, username: 'Ann Miller' }),
      );
      await lookAgain(page);
      await page.getByRole('heading', { level: 1, name: 'Ann Miller' }).waitFor();
      expect(await headings(page)).toEqual(['This session', 'Where you are signed in', 'Leave']);
    });
  });

  it('says without scripts that it needs them', async () => {
    const page = await openPage({ javaScriptEnabled: false });
    await page.getByRole('heading', { name: 'This page needs JavaScript' }).waitFor();
    expect(await page.getByLabel('User name').isVisible()).toBe(false);
  });
});

/** What the page shows of the token at one moment: the next may bring its successor. */
interface LifeShown {
  generation: number;
  /** In seconds since 1970. */
  issued: number;
  /** In seconds after that. */
  marks: { window: number; expires: number; grace: number };
  state: string;
  lastRenewal: string;
  placeOfNow: string;
}

function lifeShown(page: Page): Promise<LifeShown> {
  return page.evaluate<LifeShown>(`(() => {
    const text = (selector) => document.querySelector(selector)?.textContent ?? '';
    const seconds = (mark) => Date.parse(document.querySelector('[data-mark="' + mark + '"] time').dateTime) / 1000;
    const issued = seconds('issued');
    return {
      generation: Number(/token (\\d+), in use/.exec(text('#plot'))?.[1]) - 1,
      issued,
      marks: {
        window: seconds('window') - issued,
        expires: seconds('expires') - issued,
        grace: seconds('grace') - issued,
      },
      state: text('#state'),
      lastRenewal: text('#renewals li'),
      placeOfNow: document.querySelector('#plot .now').style.transform,
    };
  })()`);
}

/** What axe finds, as lines; run past the page's policy, which keeps such scripts out. */
async function findViolations(page: Page): Promise<string[]> {
  const session = await page.context().newCDPSession(page);
  const evaluate = (expression: string) =>
    session.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
  // Once for each page: it is long to read.
  if ((await evaluate('typeof axe')).result.value === 'undefined') await evaluate(AXE);
  const { result, exceptionDetails } = await evaluate(
    `axe.run().then(({ violations, passes }) => ({
       passed: passes.length,
       lines: violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => [id, target, failureSummary].join(' '))),
     }))`,
  );
  expect(exceptionDetails).toBeUndefined();
  const { passed, lines } = result.value as { passed: number; lines: string[] };
  expect(passed).toBeGreaterThan(10);
  return lines;
}
