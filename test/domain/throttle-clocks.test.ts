// Guesses over many hours at replicas whose clocks are ten minutes fast and slow: how many pass in the worst hour?
import { randomInt } from 'node:crypto';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { createRandom } from '../../packages/lab/shared/random.js';
import { openDatabase, type Database } from '../../src/database/prisma.js';
import { pruneAttempts } from '../../src/domain/guessing/attempts.js';
import { AuthError } from '../../src/domain/errors.js';
import { createThrottle, LOGIN_LIMITS } from '../../src/domain/guessing/throttle.js';
import { runs } from '../support/hostile.js';
import { AMPLE_MS, openHouse, type House } from '../support/house.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const SKEW_MS = 10 * MINUTE_MS;

const { account, familiarAccount } = LOGIN_LIMITS;

let house: House;
let database: Database;

beforeEach(async () => {
  house = await openHouse();
  database = openDatabase(house.database.url, { deadlineMs: AMPLE_MS });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await database.close();
  await house.close();
});

/** Takes attempts from these addresses in turn until each was refused; returns how many passed. */
async function exhaust(addresses: () => string, rounds: number): Promise<number> {
  const throttle = createThrottle(database); // Remembers no refusal.
  let passed = 0;
  for (let refused = 0; refused < rounds;) {
    const attempt = await throttle.takeAttempt('victim', addresses()).catch((error: unknown) => {
      if (error instanceof AuthError && error.code === 'too_many_requests') return null;
      throw error;
    });
    if (attempt === null) refused += 1;
    else passed += 1;
  }
  return passed;
}

const FAMILIAR = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'];

/** Time as the test lets it pass, on a replica that is fast or slow. */
async function openScene() {
  const clock = { now: Date.now(), skew: 0 };
  vi.spyOn(Date, 'now').mockImplementation(() => clock.now + clock.skew);
  for (const place of FAMILIAR) await (await createThrottle(database).takeAttempt('victim', place)).succeed();
  let stranger = 0;
  let turn = 0;
  return {
    clock,
    beStrangers: () =>
      exhaust(() => `10.${(stranger >> 16) & 255}.${(stranger >> 8) & 255}.${stranger++ & 255}`, 1),
    beFriends: () => exhaust(() => FAMILIAR[turn++ % FAMILIAR.length] ?? '', FAMILIAR.length),
  };
}

it('at most 100 guesses pass within an hour that touches three windows', async () => {
  const { clock, beStrangers, beFriends } = await openScene();
  // The fast replica opens windows; the slow one takes them for open 20 minutes longer, and spends what is left.
  clock.skew = SKEW_MS;
  await createThrottle(database).takeAttempt('victim', '198.51.100.1');
  await createThrottle(database).takeAttempt('victim', '192.0.2.1');
  clock.now += HOUR_MS + 2 * SKEW_MS - 1;
  clock.skew = -SKEW_MS;
  let passed = (await beStrangers()) + (await beFriends());
  // Then it opens its own, which the fast one takes for closed 20 minutes too early.
  clock.now += 2;
  passed += (await beStrangers()) + (await beFriends());
  clock.now += HOUR_MS - 2 * SKEW_MS + 2;
  clock.skew = SKEW_MS;
  passed += (await beStrangers()) + (await beFriends());
  expect(passed).toBeLessThanOrEqual(100);
  expect(passed, 'no third window was touched').toBeGreaterThan(
    2 * (account.points + familiarAccount.points),
  );
});

it('at most 100 guesses pass in any hour, whenever strangers and friends try, at whichever replica', async () => {
  const seed = randomInt(2 ** 31);
  const random = createRandom(seed);
  const { clock, beStrangers, beFriends } = await openScene();
  const end = clock.now + runs(8, 40) * HOUR_MS;
  const passed: { at: number; count: number }[] = [];
  while (clock.now < end) {
    clock.now += Math.floor(random() * 8 * MINUTE_MS);
    clock.skew = random() < 0.5 ? SKEW_MS : -SKEW_MS;
    if (random() < 0.3) await pruneAttempts(database);
    clock.skew = random() < 0.5 ? SKEW_MS : -SKEW_MS;
    const strangers = random() < 0.7 ? await beStrangers() : 0;
    const friends = random() < 0.7 ? await beFriends() : 0;
    passed.push({ at: clock.now, count: strangers + friends });
  }
  const worst = Math.max(
    ...passed.map(({ at }) =>
      passed
        .filter((each) => each.at >= at && each.at < at + HOUR_MS)
        .reduce((sum, { count }) => sum + count, 0),
    ),
  );
  expect(worst, `seed ${seed}`).toBeLessThanOrEqual(100);
  expect(worst, `seed ${seed}: nothing was tried`).toBeGreaterThanOrEqual(33);
});
