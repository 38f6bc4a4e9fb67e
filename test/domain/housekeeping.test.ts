// Housekeeping as a whole: when a round comes, what goes in it, and what becomes of one that fails or is under way at the end.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { openDatabase, type Database } from '../../src/database/prisma.js';
import { startHousekeeping } from '../../src/domain/housekeeping.js';
import { rotateKeys } from '../../src/domain/keys/lifecycle.js';
import { AMPLE_MS, login, openHouse, SECRET, type House } from '../support/house.js';
import { holdTables } from '../support/row-lock.js';

type Gone = Parameters<Parameters<typeof startHousekeeping>[1]>[0];

const NOTHING: Gone = { rows: 0, attempts: 0, events: 0, keys: 0 };

/** Longer than the tests move the clock. */
const RETENTION_SECONDS = 10 * 365 * 86_400;

/** A round is due at the earliest, on the average, and at the latest; milliseconds after the one before. */
const [EARLIEST_MS, MEAN_MS, LATEST_MS] = [45_000, 60_000, 75_000];

let house: House;
let database: Database;
let another: Database;
let running: Running[];

interface Running {
  rounds: Gone[];
  failures: unknown[];
  stop: () => Promise<void>;
}

beforeEach(async () => {
  house = await openHouse();
  database = openDatabase(house.database.url, { deadlineMs: AMPLE_MS });
  another = openDatabase(house.database.url, { deadlineMs: AMPLE_MS });
  running = [];
});
afterEach(async () => {
  await Promise.all(running.map(({ stop }) => stop()));
  vi.useRealTimers();
  vi.restoreAllMocks();
  await Promise.all([database.close(), another.close()]);
  await house.close();
});

/** From here on time passes only when the test says so; for PostgreSQL and its answers it goes on. */
function stopTime(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
}

function start(on: Database = database): Running {
  const rounds: Gone[] = [];
  const failures: unknown[] = [];
  const stop = startHousekeeping(
    on,
    (gone) => rounds.push(gone),
    (error) => failures.push(error),
    RETENTION_SECONDS,
  );
  const started = { rounds, failures, stop };
  running.push(started);
  return started;
}

/** Lets time pass, and waits for that many rounds, failed or not. */
async function pass(ms: number, { rounds, failures }: Running, count: number): Promise<void> {
  vi.advanceTimersByTime(ms);
  await until(() => rounds.length + failures.length === count);
}

/** Not by `expect.poll`, which lets a stopped time go on. */
async function until(isSo: () => boolean): Promise<void> {
  const endsAtMs = performance.now() + AMPLE_MS;
  while (!isSo()) {
    if (performance.now() > endsAtMs) throw new Error('the round that was waited for does not end');
    await sleep(5);
  }
}

/** Rows of each kind: `past` of them have had their time, one more has not. */
async function fill(past: number): Promise<void> {
  const { id } = await house.user();
  const { admin } = house.database;
  await admin.query(
    `INSERT INTO revocations (id, kind, reason, actor, revoked_at, kept_until)
     SELECT gen_random_uuid(), 'token', 'revoked', 'client:test', clock_timestamp(),
            clock_timestamp() + CASE WHEN n = 0 THEN interval '1 hour' ELSE interval '-1 second' END
     FROM generate_series(0, $1) AS n`,
    [past],
  );
  await admin.query(
    `INSERT INTO sessions (id, user_id, epoch, opened_at, rotated_at, refresh_expires_at, expires_at)
     SELECT gen_random_uuid(), $2, 0, at, at, at, at
     FROM generate_series(0, $1) AS n,
          LATERAL (SELECT clock_timestamp() - CASE WHEN n = 0 THEN interval '5 minutes' ELSE interval '7 minutes' END) AS t (at)`,
    [past, id],
  );
  await admin.query(
    `INSERT INTO login_attempts (key, points, expire)
     SELECT $2 || n, 1, $3::bigint + CASE WHEN n = 0 THEN 3600000 ELSE -1000 END FROM generate_series(0, $1) AS n`,
    [past, randomUUID(), Date.now()],
  );
}

/** Releases what is held also when the work fails, so that a failing test ends. */
async function holding<Held extends { release: () => Promise<void> }>(
  held: Held,
  work: (held: Held) => Promise<void>,
): Promise<void> {
  try {
    await work(held);
  } finally {
    await held.release();
  }
}

async function count(table: string): Promise<number> {
  const { rows } = await house.database.admin.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`);
  return rows[0]?.n ?? -1;
}

describe('a round', () => {
  it.each([
    [0, EARLIEST_MS],
    [0.5, MEAN_MS],
    [1, LATEST_MS],
  ])('comes again and again; where chance says %d, after %i ms', async (chance, ms) => {
    stopTime();
    vi.spyOn(Math, 'random').mockReturnValue(chance);
    const asked = vi.spyOn(database, 'query');
    const replica = start();
    for (const turn of [1, 2, 3]) {
      asked.mockClear();
      vi.advanceTimersByTime(ms - 1);
      expect(asked).not.toHaveBeenCalled();
      await pass(1, replica, turn);
    }
    expect(replica).toMatchObject({ rounds: [NOTHING, NOTHING, NOTHING], failures: [] });
  });

  it('takes what can no longer matter, of each kind, and leaves the rest', async () => {
    const replica = await house.replica();
    const user = await house.user();
    await login(replica, user);
    // A key whose last token is dead: the next one signs, and no session of before is left.
    await rotateKeys(database, 'EdDSA', SECRET);
    await house.database.admin.query('DELETE FROM sessions');
    await house.database.clock.set(600 + 361);
    await house.database.admin.query('DELETE FROM login_attempts');
    await fill(3);
    stopTime();
    const keeping = start();
    await pass(MEAN_MS, keeping, 1);
    await pass(MEAN_MS, keeping, 2);
    expect(keeping).toMatchObject({ rounds: [{ rows: 6, attempts: 3, keys: 1 }, NOTHING], failures: [] });
    for (const table of ['revocations', 'sessions', 'login_attempts', 'signing_keys'])
      expect([table, await count(table)]).toEqual([table, 1]);
  });

  it.each(['revocations', 'login_attempts', 'signing_keys'])(
    'that fails at the table %s says so, and the next comes all the same',
    async (table) => {
      await fill(2);
      const { admin } = house.database;
      await admin.query(`ALTER TABLE ${table} RENAME TO hidden`);
      stopTime();
      const keeping = start();
      await pass(MEAN_MS, keeping, 1);
      await pass(MEAN_MS, keeping, 2);
      expect(keeping.rounds).toEqual([]);
      expect(keeping.failures).toEqual([expect.any(Error), expect.any(Error)]);
      await admin.query(`ALTER TABLE hidden RENAME TO ${table}`);
      await pass(MEAN_MS, keeping, 3);
      expect(keeping.failures).toHaveLength(2);
      expect(keeping.rounds).toHaveLength(1);
      for (const left of ['revocations', 'sessions', 'login_attempts'])
        expect([left, await count(left)]).toEqual([left, 1]);
    },
  );
});

describe('the end', () => {
  it('before the first round is the end of all', async () => {
    stopTime();
    const asked = vi.spyOn(database, 'query');
    const { stop } = start();
    await stop();
    vi.advanceTimersByTime(10 * LATEST_MS);
    expect(asked).not.toHaveBeenCalled();
  });

  it('waits for the round under way, and none follows', async () => {
    const held = await holdTables(house.database, 'login_attempts');
    stopTime();
    const keeping = start();
    await holding(held, async ({ queue, release }) => {
      vi.advanceTimersByTime(MEAN_MS);
      await queue(1);
      let isOver = false;
      const ending = keeping.stop().then(() => (isOver = true));
      await database.query({})`SELECT FROM service`;
      expect([isOver, keeping.rounds]).toEqual([false, []]);
      await release();
      await ending;
    });
    expect(keeping).toMatchObject({ rounds: [NOTHING], failures: [] });
    const asked = vi.spyOn(database, 'query');
    vi.advanceTimersByTime(10 * LATEST_MS);
    expect(asked).not.toHaveBeenCalled();
  });

  it.each(['revocations', 'login_attempts'])(
    'cuts a long round short after the batch under way: of %s the rest stays for the next replica',
    async (table) => {
      await fill(1500);
      for (const other of ['revocations', 'sessions', 'login_attempts'])
        if (other !== table) await house.database.admin.query(`TRUNCATE ${other}`);
      const held = await holdTables(house.database, table);
      stopTime();
      const keeping = start();
      await holding(held, async ({ queue, release }) => {
        vi.advanceTimersByTime(MEAN_MS);
        await queue(1);
        const ending = keeping.stop();
        await release();
        await ending;
      });
      expect(keeping.failures).toEqual([]);
      expect(await count(table)).toBe(501);
    },
  );
});

describe('two replicas whose rounds come at once', () => {
  it('share the work without a failure, and each row goes once', async () => {
    await fill(1200);
    stopTime();
    const both = [start(), start(another)];
    vi.advanceTimersByTime(MEAN_MS);
    await until(() => both.every(({ rounds, failures }) => rounds.length + failures.length === 1));
    const sum = (of: keyof Gone) => both.reduce((all, { rounds }) => all + (rounds[0]?.[of] ?? 0), 0);
    expect(both.flatMap(({ failures }) => failures)).toEqual([]);
    expect([sum('rows'), sum('attempts')]).toEqual([2400, 1200]);
  });

  it('do not wait for each other: who comes second leaves the other its rows', async () => {
    await fill(3);
    const { admin } = house.database;
    await admin.query('TRUNCATE login_attempts');
    // Deleting waits for a lock that the test holds, so the first one stays in the middle of its work.
    await admin.query(
      `CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN OLD; END';
       CREATE TRIGGER wait_for_test BEFORE DELETE ON revocations FOR EACH ROW EXECUTE FUNCTION wait_for_test()`,
    );
    const holder = await admin.connect();
    await holder.query('SELECT pg_advisory_lock(42)');
    const release = async () => {
      await holder.query('SELECT pg_advisory_unlock(42)');
      holder.release();
    };
    stopTime();
    const [first, second] = [start(), start(another)];
    await holding({ release }, async () => {
      vi.advanceTimersByTime(MEAN_MS);
      await until(() => first.rounds.length + second.rounds.length === 1);
    });
    await until(() => first.rounds.length + second.rounds.length === 2);
    const [early, late] = first.rounds[0]?.rows === 0 ? [first, second] : [second, first];
    expect([early.rounds, late.rounds]).toEqual([[NOTHING], [{ ...NOTHING, rows: 6 }]]);
  });
});
