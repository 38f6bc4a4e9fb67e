// How often a password may be guessed, on the real counters.
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';

import { openDatabase, type Database } from '../../src/database/prisma.js';
import { refundPoints, pruneAttempts } from '../../src/domain/guessing/attempts.js';
import { AuthError } from '../../src/domain/errors.js';
import { networkOf } from '../../src/domain/networks.js';
import { createThrottle, LOGIN_LIMITS, type Throttle } from '../../src/domain/guessing/throttle.js';
import { AMPLE_MS, openHouse, type House, type Replica, type TestUser } from '../support/house.js';
import { stopClock } from '../support/stopped-clock.js';

const { account, familiarAccount, network, pairHour, pairTenMinutes, pairMinute } = LOGIN_LIMITS;

let house: House;
let replicas: [Replica, Replica];
let database: Database;
let throttle: Throttle;

const config = { trustProxy: ['127.0.0.1'] };

beforeAll(async () => {
  house = await openHouse();
  replicas = [await house.replica({ config }), await house.replica({ config })];
  database = openDatabase(house.database.url, { deadlineMs: AMPLE_MS });
  throttle = createThrottle(database);
});
afterAll(async () => {
  await database.close();
  await house.close();
});

let nextNumber = 0;
/** An address that no other test has spent attempts of. */
function freshAddress(): string {
  nextNumber += 1;
  return `198.51.${Math.floor(nextNumber / 256)}.${nextNumber % 256}`;
}
function freshName(): string {
  nextNumber += 1;
  return `nobody-${nextNumber}`;
}

function attempt(replica: Replica, user: Pick<TestUser, 'username' | 'password'>, from: string) {
  const { username, password } = user;
  const headers = { 'x-forwarded-for': from };
  return replica.app.inject({ method: 'POST', url: '/login', headers, payload: { username, password } });
}

/** Guesses at once, on both replicas by turns; each from the address that `from` gives. */
async function guess(username: string, from: (turn: number) => string, count: number): Promise<number[]> {
  const wrong = { username, password: 'not the password at all' };
  const answers = await Promise.all(
    Array.from({ length: count }, (_, turn) =>
      attempt(turn % 2 === 0 ? replicas[0] : replicas[1], wrong, from(turn)),
    ),
  );
  return answers.map(({ statusCode }) => statusCode);
}

function failures(statuses: number[]): number {
  return statuses.filter((status) => status === 401).length;
}

/** Takes attempts one after the other, none of which is given back, until one is refused. */
async function spend(username: string, from: () => string): Promise<number> {
  for (let taken = 0; ; taken += 1) {
    const isTaken = await throttle.takeAttempt(username, from()).then(
      () => true,
      (error: unknown) => {
        if (error instanceof AuthError && error.code === 'too_many_requests') return false;
        throw error;
      },
    );
    if (!isTaken) return taken;
  }
}

/** Lets the windows of these budgets end, as if their time had passed. */
async function endWindows(...budgets: (keyof typeof LOGIN_LIMITS)[]): Promise<void> {
  await house.database.admin.query(
    `UPDATE login_attempts SET expire = 1 WHERE split_part(key, ':', 1) = ANY($1)`,
    [budgets],
  );
}

async function countRows(): Promise<number> {
  const { rows } = await house.database.admin.query<{ count: number }>(
    'SELECT count(*)::int AS count FROM login_attempts',
  );
  return rows[0]?.count ?? NaN;
}

/** A replica repeats a refusal for a second without asking: from here on another one is asked. */
function turnToAnotherReplica(): void {
  throttle = createThrottle(database);
}

describe('guesses', () => {
  it.each([
    ['a name that somebody bears', async () => (await house.user()).username],
    ['a name that nobody bears', () => Promise.resolve(freshName())],
  ])('at %s are hashed no more often than the limit, 100 at once on two replicas', async (_who, name) => {
    const username = await name();
    const verify = vi.spyOn(house.hasher, 'verify');
    const burn = vi.spyOn(house.hasher, 'burn');
    const from = freshAddress();
    const statuses = await guess(username, () => from, 100);
    const hashed = verify.mock.calls.length + burn.mock.calls.length;
    verify.mockRestore();
    burn.mockRestore();
    expect(hashed).toBe(pairMinute.points);
    expect(failures(statuses)).toBe(hashed);
    expect(statuses.filter((status) => status === 429)).toHaveLength(100 - hashed);
  });

  it('from a hundred networks at once are hashed no more often than the limit of the account', async () => {
    const verify = vi.spyOn(house.hasher, 'verify');
    const { username } = await house.user();
    const statuses = await guess(username, freshAddress, 100);
    const hashed = verify.mock.calls.length;
    verify.mockRestore();
    expect(hashed).toBeLessThanOrEqual(account.points);
    expect(failures(statuses)).toBe(hashed);
    expect(hashed).toBeGreaterThan(0);
  });

  it('are refused, with the right password too, until Retry-After has passed', async () => {
    const user = await house.user();
    const from = freshAddress();
    await guess(user.username, () => from, pairMinute.points);
    const refused = await attempt(replicas[1], user, from);
    expect(refused.statusCode).toBe(429);
    expect(refused.json()).toMatchObject({ error: 'too_many_requests', status: 429 });
    const retryAfter = Number(refused.headers['retry-after']);
    expect(retryAfter).toBeGreaterThan(pairMinute.duration - 20);
    expect(retryAfter).toBeLessThanOrEqual(pairMinute.duration);
    await endWindows('pairMinute');
    const other = await house.replica({ config });
    expect((await attempt(other, user, from)).statusCode).toBe(200);
  });

  it('are refused for longer and longer', async () => {
    const name = freshName();
    const from = freshAddress();
    expect(await spend(name, () => from)).toBe(pairMinute.points);
    await endWindows('pairMinute');
    turnToAnotherReplica();
    expect(await spend(name, () => from)).toBe(pairTenMinutes.points - pairMinute.points);
    await endWindows('pairMinute', 'pairTenMinutes');
    turnToAnotherReplica();
    expect(await spend(name, () => from)).toBe(pairHour.points - pairTenMinutes.points);
    await endWindows('pairMinute', 'pairTenMinutes');
    turnToAnotherReplica();
    expect(await spend(name, () => from)).toBe(0);
  });

  it('that were refused spend nothing', async () => {
    const name = freshName();
    const from = freshAddress();
    await guess(name, () => from, 60);
    await endWindows('pairMinute');
    expect(await spend(name, () => from)).toBe(pairTenMinutes.points - pairMinute.points);
  });

  it('are counted together for all spellings of a name', async () => {
    const user = await house.user({ username: 'spelled' });
    const from = freshAddress();
    await guess('SPELLED', () => from, pairMinute.points);
    expect((await attempt(replicas[0], user, from)).statusCode).toBe(429);
  });

  it('are counted together for all addresses of an IPv6 /64, and for mapped addresses', async () => {
    const name = freshName();
    expect(await spend(name, () => `2001:db8:1:1::${(nextNumber += 1).toString(16)}`)).toBe(
      pairMinute.points,
    );
    expect(await spend(name, () => '2001:db8:1:2::1')).toBe(pairMinute.points);
    const from = freshAddress();
    expect(await spend(name, () => from)).toBe(pairMinute.points);
    expect(await spend(name, () => `::ffff:${from}`)).toBe(0);
  });

  it('are still counted after a restart, on a replica that has just begun', async () => {
    const { username } = await house.user();
    const from = freshAddress();
    await guess(username, () => from, pairMinute.points);
    const late = await house.replica({ config });
    expect((await attempt(late, { username, password: 'any' }, from)).statusCode).toBe(429);
  });

  it('fail at most 100 times an hour at one account, over three windows, strangers and friends together', () => {
    expect(3 * (account.points + familiarAccount.points)).toBeLessThanOrEqual(100);
    expect(pairHour.points).toBeLessThan(Math.min(account.points, familiarAccount.points));
  });
});

describe('a network that the user logged in from', () => {
  it('has a budget that no number of strangers can spend', async () => {
    const user = await house.user();
    const home = freshAddress();
    expect((await attempt(replicas[0], user, home)).statusCode).toBe(200);
    expect(await spend(user.username, freshAddress)).toBe(account.points);
    expect(await spend(user.username, freshAddress)).toBe(0);
    expect((await attempt(replicas[1], user, home)).statusCode).toBe(200);
    expect((await attempt(replicas[1], user, freshAddress())).statusCode).toBe(429);
  });

  it('lets in who shares an address with somebody who tries many names', async () => {
    const user = await house.user();
    const office = freshAddress();
    expect((await attempt(replicas[0], user, office)).statusCode).toBe(200);
    for (let name = 0; name < network.points; name += 1) await throttle.takeAttempt(freshName(), office);
    await expect(throttle.takeAttempt(freshName(), office)).rejects.toMatchObject({
      code: 'too_many_requests',
    });
    expect((await attempt(replicas[1], user, office)).statusCode).toBe(200);
  });

  it('shares its budget with the others that the user logged in from', async () => {
    const user = await house.user();
    const places = [freshAddress(), freshAddress(), freshAddress(), freshAddress()];
    for (const place of places) expect((await attempt(replicas[0], user, place)).statusCode).toBe(200);
    let turn = 0;
    expect(await spend(user.username, () => places[turn++ % places.length] ?? '')).toBe(
      familiarAccount.points,
    );
    expect(await spend(user.username, freshAddress)).toBe(account.points);
  });

  it('is one of sixteen at most; the one not used for longest is forgotten', async () => {
    const user = await house.user();
    const places = Array.from({ length: 18 }, freshAddress);
    for (const place of places) await attempt(replicas[0], user, place);
    const { rows } = await house.database.admin.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM login_attempts WHERE key LIKE 'familiar:%'
       AND split_part(key, ':', 2) = (SELECT split_part(key, ':', 2) FROM login_attempts
         WHERE key LIKE 'familiar:%' GROUP BY 1 ORDER BY count(*) DESC LIMIT 1)`,
    );
    expect(rows).toEqual([{ count: 16 }]);
    await spend(user.username, freshAddress);
    const [first = '', , , fourth = ''] = places;
    expect((await attempt(replicas[0], user, first)).statusCode).toBe(429);
    expect((await attempt(replicas[0], user, fourth)).statusCode).toBe(200);
    expect((await attempt(replicas[0], user, places.at(-1) ?? '')).statusCode).toBe(200);
  });

  it('is remembered once, however often the user logs in from it: it takes no place of another', async () => {
    const [name, home, office] = [freshName(), freshAddress(), freshAddress()];
    await (await throttle.takeAttempt(name, home)).succeed();
    for (let time = 0; time < 17; time += 1) await (await throttle.takeAttempt(name, office)).succeed();
    expect(await spend(name, freshAddress)).toBe(account.points);
    await (await throttle.takeAttempt(name, home)).refund();
  });

  it('is not remembered for a wrong password', async () => {
    const { username } = await house.user();
    const from = freshAddress();
    await guess(username, () => from, 1);
    const before = await spend(username, freshAddress);
    expect(before).toBe(account.points - 1);
    expect(await spend(username, () => from)).toBe(0);
  });
});

describe('time', () => {
  /** Stands still at a moment far ahead of everything else here, and is set by so many milliseconds after it. */
  function stopTime(): (ms: number) => void {
    const startMs = Date.now() + 1e12;
    const clock = vi.spyOn(Date, 'now').mockReturnValue(startMs);
    onTestFinished(() => clock.mockRestore());
    return (ms) => {
      clock.mockReturnValue(startMs + ms);
      turnToAnotherReplica();
    };
  }

  it('ends a window when its first guess said, whatever guesses have come since', async () => {
    const [name, from] = [freshName(), freshAddress()];
    const at = stopTime();
    await throttle.takeAttempt(name, from);
    at(50_000);
    expect(await spend(name, () => from)).toBe(pairMinute.points - 1);
    at(59_999);
    expect(await spend(name, () => from)).toBe(0);
    at(60_000);
    expect(await spend(name, () => from)).toBe(pairTenMinutes.points - pairMinute.points);
  });

  it('makes a network a stranger 90 days after the last login from it', async () => {
    const [name, home] = [freshName(), freshAddress()];
    const at = stopTime();
    await (await throttle.takeAttempt(name, home)).succeed();
    at(90 * 86_400_000 - 1);
    expect(await spend(name, freshAddress)).toBe(account.points);
    await (await throttle.takeAttempt(name, home)).refund();
    at(90 * 86_400_000);
    await expect(throttle.takeAttempt(name, home)).rejects.toMatchObject({ code: 'too_many_requests' });
  });
});

describe('a refusal', () => {
  it('is repeated for a second without asking the database, and no longer', async () => {
    const name = freshName();
    const from = freshAddress();
    const advance = stopClock();
    await spend(name, () => from);
    await endWindows('pairMinute');
    await expect(throttle.takeAttempt(name, from)).rejects.toMatchObject({ code: 'too_many_requests' });
    await advance(1001);
    await throttle.takeAttempt(name, from);
  });
});

describe('an attempt', () => {
  it('is given back when the password was right', async () => {
    const user = await house.user();
    const from = freshAddress();
    for (let turn = 0; turn < pairHour.points + 3; turn += 1)
      expect((await attempt(replicas[0], user, from)).statusCode).toBe(200);
  });

  it('is given back when nothing could be said of the password, and leaves no row', async () => {
    const before = await countRows();
    const busy = vi
      .spyOn(house.hasher, 'burn')
      .mockRejectedValue(new AuthError('temporarily_unavailable', { retryAfterSeconds: 1 }));
    const from = freshAddress();
    const name = freshName();
    for (let turn = 0; turn < pairHour.points + 3; turn += 1) {
      const { statusCode } = await attempt(replicas[0], { username: name, password: 'any' }, from);
      expect(statusCode).toBe(503);
    }
    busy.mockRestore();
    expect(await countRows()).toBe(before);
    expect(await spend(name, () => from)).toBe(pairMinute.points);
  });

  it('that is given back after its window has ended leaves the next window alone', async () => {
    const name = freshName();
    const from = freshAddress();
    const late = await throttle.takeAttempt(name, from);
    await endWindows('pairMinute');
    expect(await spend(name, () => from)).toBe(pairMinute.points);
    await late.refund();
    turnToAnotherReplica();
    expect(await spend(name, () => from)).toBe(0);
  });

  it('can be given back by many at once', async () => {
    const taken = await Promise.all(
      Array.from({ length: 60 }, (_, turn) =>
        throttle.takeAttempt(`crowd-${turn % 20}`, `203.0.113.${turn % 7}`).catch(() => null),
      ),
    );
    await Promise.all(taken.map(async (each) => await each?.refund()));
    for (const each of [0, 1, 2]) {
      turnToAnotherReplica();
      expect(await spend(`crowd-${each}`, () => '203.0.113.1')).toBe(pairMinute.points);
    }
  });
});

describe('the table', () => {
  it('holds neither names nor addresses', async () => {
    await guess('secret-name', freshAddress, 1);
    const { rows } = await house.database.admin.query<{ key: string }>('SELECT key FROM login_attempts');
    expect(rows.length).toBeGreaterThan(0);
    for (const { key } of rows) expect(key).toMatch(/^[a-zA-Z]+:[\w-]{43}(?::\d\d?)?$/);
  });

  it('gets a bounded number of rows from one network, whatever names it tries', async () => {
    const before = await countRows();
    const from = freshAddress();
    const results = await Promise.allSettled(
      Array.from({ length: 2 * network.points }, () => throttle.takeAttempt(freshName(), from)),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(network.points);
    expect((await countRows()) - before).toBe(4 * network.points + 1);
    expect(await spend(freshName(), () => from)).toBe(0);
    expect((await countRows()) - before).toBe(4 * network.points + 1);
  });

  it('is rid of more rows than one batch holds, and of those alone whose window has ended', async () => {
    const name = freshName();
    const from = freshAddress();
    await spend(name, () => from);
    const { admin } = house.database;
    await admin.query(
      `INSERT INTO login_attempts SELECT 'gone:' || n, 1, 1 FROM generate_series(1, 2500) AS n`,
    );
    expect(await pruneAttempts(database)).toBeGreaterThanOrEqual(2500);
    expect((await admin.query(`SELECT FROM login_attempts WHERE key LIKE 'gone:%'`)).rowCount).toBe(0);
    turnToAnotherReplica();
    expect(await spend(name, () => from)).toBe(0);
  });

  it('gives back nothing for rows that are gone', async () => {
    await expect(
      refundPoints(database, [{ key: 'never there', untilMs: Date.now() }]),
    ).resolves.toBeUndefined();
  });
});

describe('networks', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2:ffff::1', '2001:db8:1:2::/64'],
  ])('takes %s for %s', (ip, expected) => {
    expect(networkOf(ip)).toBe(expected);
  });
});
