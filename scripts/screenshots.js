// Takes the pictures of /account and /docs in docs/images: a real service, a real browser, a user with some history.
// Usage: npm run screenshots [-- DIRECTORY]. Needs Chromium (GATEHOUSE_CHROMIUM, or /usr/bin/chromium) and two minutes.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pino from 'pino';
import { chromium } from 'playwright-core';
import { buildApp } from '../dist/app.js';
import { readConfig } from '../dist/config/config.js';
import { enterEmbedded } from '../dist/database/embedded.js';
import { migrate } from '../dist/database/migrate.js';
import { openDatabase } from '../dist/database/prisma.js';
import { createGatehouse } from '../dist/domain/gatehouse.js';
import { createPasswordHasher } from '../dist/domain/passwords/hasher.js';
import { addUser } from '../dist/domain/users/users.js';
import { createTokenCodec } from '../dist/http/jwt.js';

const PORT = 3123;
const USERNAME = 'marie.kowalska';
const PASSWORD = 'lantern orchard violet tram';

/** Short enough to wait for a renewal, long enough to look like the real thing. */
const ACCESS_TTL = '2m';
const UNTIL_IN_THE_MIDDLE_MS = 128_000;

const WIDE = { width: 1200, height: 1000 };
const LOW = { width: 1200, height: 640 };
const NARROW = { width: 360, height: 1180 };

/** Where else the user is signed in: device, address, days since the login, hours since the last use. */
const ELSEWHERE = [
  [
    'Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1',
    '2001:db8:7a::51',
    12,
    0.3,
  ],
  [
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0',
    '203.0.113.24',
    33,
    20,
  ],
  ['curl/8.5.0', '198.51.100.7', 1, 26],
  [
    'Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Mobile Safari/537.36',
    '192.0.2.180',
    61,
    190,
  ],
];

const HERE =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15';

const target = process.argv[2] ?? fileURLToPath(new URL('../docs/images', import.meta.url));

await mkdir(target, { recursive: true });
await withService(async (url, addHistory) => {
  const browser = await chromium.launch({
    executablePath: process.env['GATEHOUSE_CHROMIUM'] ?? '/usr/bin/chromium',
  });
  try {
    await picture(await openPage(browser), url, addHistory);
  } finally {
    await browser.close();
  }
});

async function openPage(browser) {
  const context = await browser.newContext({ viewport: WIDE, userAgent: HERE, timezoneId: 'Europe/Warsaw' });
  return context.newPage();
}

async function picture(page, url, addHistory) {
  const shoot = (name) => page.screenshot({ path: join(target, `${name}.png`) });
  const look = async (colorScheme, viewport) => {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(viewport);
    // What moves has come to rest.
    await sleep(2500);
  };

  await look('light', LOW);
  await page.goto(`${url}/account`);
  await page.getByLabel('User name').fill(USERNAME);
  await shoot('account-signin');
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await addHistory();
  await look('light', WIDE);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: USERNAME }).waitFor();
  await sleep(UNTIL_IN_THE_MIDDLE_MS);
  await page.evaluate(() => document.activeElement?.blur());
  for (const [name, scheme, size] of [
    ['account-light', 'light', WIDE],
    ['account-dark', 'dark', WIDE],
    ['account-phone', 'light', NARROW],
  ]) {
    await look(scheme, size);
    await shoot(name);
  }

  await look('light', WIDE);
  await page.goto(`${url}/docs`);
  await page.getByText('/login').first().waitFor();
  for (const [name, scheme, size] of [
    ['docs-light', 'light', WIDE],
    ['docs-dark', 'dark', WIDE],
    ['docs-phone', 'light', NARROW],
  ]) {
    await look(scheme, size);
    await shoot(name);
  }
}

/** A service of its own, with its own database, for as long as `work` takes. */
async function withService(work) {
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-screenshots-'));
  const embedded = await enterEmbedded(directory, 'visitor');
  const stops = [() => rm(directory, { recursive: true, force: true }), () => embedded.leave()];
  try {
    await migrate(embedded.url);
    const database = openDatabase(embedded.url);
    stops.push(() => database.close());
    const hasher = createPasswordHasher();
    stops.push(() => hasher.close());
    const config = readConfig({ PORT: String(PORT), ACCESS_TOKEN_TTL: ACCESS_TTL, REISSUE_GRACE: '20s' });
    const gatehouse = await createGatehouse({
      database,
      hasher,
      createCodec: createTokenCodec,
      rules: config,
      jwtAlgorithm: config.jwtAlgorithm,
      secrets: ['a secret of the pictures, which nothing real is sealed with'],
    });
    const app = await buildApp({ gatehouse, config, logger: pino({ level: 'silent' }) });
    stops.push(() => app.close());
    await app.listen({ host: config.host, port: PORT });
    const passwordHash = await hasher.hash(PASSWORD);
    const user = await addUser(database, {
      username: USERNAME,
      passwordHash,
      scope: 'orders:read orders:write',
    });
    await work(`http://localhost:${PORT}`, () => addSessions(database, user.id));
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

/** Logins of days ago, as if they had been made then. */
async function addSessions(database, userId) {
  for (const [userAgent, ip, days, hours] of ELSEWHERE) {
    await database.query({})`
      INSERT INTO sessions (id, user_id, epoch, generation, opened_at, rotated_at, refresh_expires_at, expires_at, ip, user_agent)
      SELECT gen_random_uuid(), users.id, users.epoch + service.epoch, 1,
             now() - make_interval(days => ${days}::int), now() - make_interval(secs => ${hours * 3600}::float8),
             now() + interval '5 days', now() + make_interval(days => ${90 - days}::int),
             ${ip}::inet, ${userAgent}
      FROM users, service WHERE users.id = ${userId}::uuid`;
  }
}
