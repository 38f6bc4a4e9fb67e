// An outage does not use up the replay window: a retry that could not come in time still gets its successor, and a parent
// whose window had run out before is theft after it.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { openDatabase } from '../../src/database/prisma.js';
import { beat, startBeating } from '../../src/domain/liveness/beat.js';
import {
  AMPLE_MS,
  bearer,
  login,
  refresh,
  type Replica,
  type TestUser,
  type TokenPair,
} from '../support/house.js';
import { retryOn503 } from '../support/retry.js';
import { stallCommits } from '../support/stalled-commits.js';
import { openTwins, START, stateOf, type Twins } from '../support/twins.js';

const WINDOW_SECONDS = 30;

/** Times are seconds from the session's last rotation; the service beats from here on. */
const BEFORE = -20;

const SUCCESSOR = '200';
const SUPERSEDED = '401 refresh_superseded';
const UNDECIDED = '503 temporarily_unavailable';
const THEFT = '401 refresh_reused';
const DEAD = '401 invalid_token';

/** From the last beat to the next one. */
type Gap = [from: number, to: number];

let twins: Twins;
let strict: Replica;

beforeAll(async () => {
  twins = await openTwins();
  await twins.house.database.admin.query('DROP TRIGGER clock_is_moved ON beat');
  strict = await twins.house.replica({ config: { replayWindowSeconds: 0 } });
});
afterAll(() => twins.house.close());
beforeEach(async () => {
  await twins.house.database.admin.query(
    `INSERT INTO beat (beaten_at) VALUES ('infinity')
     ON CONFLICT (id) DO UPDATE SET beaten_at = 'infinity', answering_since = NULL, answered_until = NULL`,
  );
});

async function freezeAt(seconds: number): Promise<void> {
  await twins.house.database.clock.freeze(START + seconds);
}

async function beatAt(seconds: number, window = WINDOW_SECONDS): Promise<void> {
  await freezeAt(seconds);
  await beat(twins.two.database, window);
}

/** Beats with silences that are too short for a gap. */
async function beatFromTo(from: number, to: number, window?: number): Promise<void> {
  for (let at = from; at < to - 1; at += 4) await beatAt(at, window);
  await beatAt(to, window);
}

/** Beats until `end`, but for the gaps; in a gap that has no end until it begins. */
async function beatBut(gaps: readonly Gap[], end: number, window?: number): Promise<void> {
  let since = BEFORE;
  for (const [from, to] of gaps) {
    await beatFromTo(since, from, window);
    since = to;
  }
  if (since < Infinity) await beatFromTo(since, end, window);
}

/** The tokens of generation 0 and so on; the last rotation was at 0. */
async function openSession(rotations: number): Promise<TokenPair[]> {
  await freezeAt(-rotations);
  const pairs = [await login(twins.one, await twins.house.user())];
  for (let rotation = 1; rotation <= rotations; rotation += 1) {
    await freezeAt(rotation - rotations);
    pairs.push((await refresh(twins.one, pairs.at(-1)?.refresh_token ?? '')).json<TokenPair>());
  }
  return pairs;
}

async function answerAt(seconds: number, token: string | undefined, on = twins.one): Promise<string> {
  await freezeAt(seconds);
  const response = await refresh(on, token ?? '');
  return [response.statusCode, response.json<{ error?: string }>().error ?? ''].join(' ').trim();
}

/** Insists, since judging a password may take too long on a busy machine. Then nothing was changed. */
function setPassword({ app }: Replica, { password }: TestUser, { access_token: token }: TokenPair) {
  const payload = { current_password: password, new_password: 'correct horse battery staple' };
  return retryOn503(() => app.inject({ method: 'POST', url: '/password', headers: bearer(token), payload }));
}

async function rowsOf(sid: string | undefined): Promise<unknown> {
  const { admin } = twins.house.database;
  const session = await admin.query('SELECT * FROM sessions WHERE id = $1', [sid]);
  const revocations = await admin.query('SELECT * FROM revocations WHERE id = $1', [sid]);
  return [session.rows, revocations.rows];
}

interface Noted {
  beaten: number;
  since: number | null;
  until: number | null;
}

async function noted(): Promise<Noted[]> {
  const { rows } = await twins.house.database.admin.query<Noted>(
    `SELECT extract(epoch FROM beaten_at)::float8 - $1 AS beaten, extract(epoch FROM answering_since)::float8 - $1 AS since,
            extract(epoch FROM answered_until)::float8 - $1 AS until FROM beat`,
    [START],
  );
  return rows;
}

describe.each<{ when: string; gaps: Gap[]; answers: [at: number, answer: string][] }>([
  {
    when: 'without a gap',
    gaps: [],
    answers: [
      [30, SUCCESSOR],
      [30.001, THEFT],
    ],
  },
  {
    when: 'after a silence that is just no gap',
    gaps: [[10, 15]],
    answers: [
      [30, SUCCESSOR],
      [30.001, THEFT],
    ],
  },
  {
    when: 'after the shortest gap',
    gaps: [[10, 15.001]],
    answers: [
      [45.001, SUCCESSOR],
      [45.002, THEFT],
    ],
  },
  {
    when: 'after a gap before the rotation',
    gaps: [[-15, -5]],
    answers: [
      [30, SUCCESSOR],
      [30.001, THEFT],
    ],
  },
  {
    when: 'after a gap that ended as the session was rotated',
    gaps: [[-15, 0]],
    answers: [
      [30, SUCCESSOR],
      [30.001, THEFT],
    ],
  },
  {
    when: 'after a gap within the window',
    gaps: [[10, 20]],
    answers: [
      [20, SUCCESSOR],
      [50, SUCCESSOR],
      [50.001, THEFT],
    ],
  },
  {
    when: 'after a gap that is longer than the window',
    gaps: [[10, 1000]],
    answers: [
      [1000, SUCCESSOR],
      [1030, SUCCESSOR],
      [1030.001, THEFT],
    ],
  },
  {
    when: 'rotated by a commit that was done after the gap',
    gaps: [[-2, 100]],
    answers: [
      [100, SUCCESSOR],
      [130, SUCCESSOR],
      [130.001, THEFT],
    ],
  },
  {
    when: 'after a gap that began at the window’s last moment',
    gaps: [[29.999, 100]],
    answers: [
      [130, SUCCESSOR],
      [130.001, THEFT],
    ],
  },
  { when: 'after a gap that began as the window ran out', gaps: [[30, 100]], answers: [[100, THEFT]] },
  { when: 'after a gap that began after the window', gaps: [[60, 100]], answers: [[100, THEFT]] },
  {
    when: 'after two gaps, the second within the window that the first one gave',
    gaps: [
      [10, 100],
      [129.999, 300],
    ],
    answers: [
      [300, SUCCESSOR],
      [330, SUCCESSOR],
      [330.001, THEFT],
    ],
  },
  {
    when: 'after two gaps, the second as the window that the first one gave ran out',
    gaps: [
      [10, 100],
      [130, 300],
    ],
    answers: [[300, THEFT]],
  },
  {
    when: 'after two gaps, of which the first was before the rotation',
    gaps: [
      [-15, -8],
      [20, 300],
    ],
    answers: [
      [330, SUCCESSOR],
      [330.001, THEFT],
    ],
  },
  {
    when: 'after two gaps that both began after the window',
    gaps: [
      [60, 100],
      [110, 300],
    ],
    answers: [[300, THEFT]],
  },
  {
    when: 'after three gaps in a row',
    gaps: [
      [10, 100],
      [120, 200],
      [220, 300],
    ],
    answers: [
      [330, SUCCESSOR],
      [330.001, THEFT],
    ],
  },
  {
    when: 'within the window while the beat is stale',
    gaps: [[10, Infinity]],
    answers: [[30, SUCCESSOR]],
  },
  {
    when: 'later while the beat is stale',
    gaps: [[10, Infinity]],
    answers: [
      [30.001, UNDECIDED],
      [1000, UNDECIDED],
    ],
  },
  {
    when: 'late when the beat becomes stale',
    gaps: [[60, Infinity]],
    answers: [
      [65.001, UNDECIDED],
      [65, THEFT],
    ],
  },
])('the parent of the current token, $when', ({ gaps, answers }) => {
  it.each(answers)(`%s s after the rotation is answered %s`, async (at, answer) => {
    const [parent, current] = await openSession(1);
    await beatBut(gaps, at);
    const before = await rowsOf(current?.session_id);
    expect(await answerAt(at, parent?.refresh_token)).toBe(answer);
    if (answer === THEFT) {
      expect(await stateOf(twins, current?.access_token ?? '')).toBe('dead');
      return;
    }
    expect(await rowsOf(current?.session_id)).toEqual(before);
    if (answer === UNDECIDED) return;
    const again = (await refresh(twins.two, parent?.refresh_token ?? '')).json<TokenPair>();
    expect(again.refresh_token).toBe(current?.refresh_token);
  });
});

it.each<[string, Gap[], number, string]>([
  ['in the window that a gap gave', [[10, 100]], 130, SUPERSEDED],
  ['after it', [[10, 100]], 130.001, THEFT],
  ['after a gap that began after the window', [[40, 100]], 100, THEFT],
  ['while the beat is stale', [[10, Infinity]], 100, SUPERSEDED],
])('an older token %s is answered as the table says', async (_when, gaps, at, answer) => {
  const [oldest, , current] = await openSession(2);
  await beatBut(gaps, at);
  const before = await rowsOf(current?.session_id);
  expect(await answerAt(at, oldest?.refresh_token)).toBe(answer);
  if (answer === SUPERSEDED) expect(await rowsOf(current?.session_id)).toEqual(before);
});

it.each<[string, Gap[]]>([
  ['after a gap', [[10, 100]]],
  ['while the beat is stale', [[10, Infinity]]],
])('the current token is rotated %s', async (_when, gaps) => {
  const [, current] = await openSession(1);
  await beatBut(gaps, 200);
  expect(await answerAt(200, current?.refresh_token)).toBe(SUCCESSOR);
  expect(await answerAt(200, current?.refresh_token)).toBe(SUCCESSOR);
});

it.each<[string, Gap[]]>([
  ['within a gap’s window', [[10, 100]]],
  ['while the beat is stale', [[-5, Infinity]]],
  ['at once', []],
])('a window that is switched off stays so: a spent token is theft %s', async (_when, gaps) => {
  const [parent, current] = await openSession(1);
  await beatBut(gaps, 110, 0);
  expect(await answerAt(110, parent?.refresh_token, strict)).toBe(THEFT);
  expect(await stateOf(twins, current?.access_token ?? '')).toBe('dead');
});

it('a window that has become theft stays theft after an outage', async () => {
  const [parent] = await openSession(1);
  await beatBut([], 31);
  expect(await answerAt(31, parent?.refresh_token)).toBe(THEFT);
  await beatAt(100);
  expect(await answerAt(100, parent?.refresh_token)).toBe(DEAD);
});

it('what cannot be decided while the beat is stale gets its successor when the next beat says that there was a gap', async () => {
  const [parent, current] = await openSession(1);
  await beatBut([[10, Infinity]], 60);
  expect(await answerAt(60, parent?.refresh_token)).toBe(UNDECIDED);
  // The log says more.
  await expect(twins.one.gatehouse.refresh(parent?.refresh_token ?? '')).rejects.toMatchObject({
    cause: { message: 'an outage has just ended' },
  });
  await beatAt(61);
  const again = (await refresh(twins.one, parent?.refresh_token ?? '')).json<TokenPair>();
  expect(again.refresh_token).toBe(current?.refresh_token);
});

describe.each<{ when: string; gaps: Gap[]; answers: [at: number, isRepeated: boolean][] }>([
  {
    when: 'without a gap',
    gaps: [],
    answers: [
      [30, true],
      [30.001, false],
    ],
  },
  {
    when: 'after a gap within the window',
    gaps: [[10, 100]],
    answers: [
      [130, true],
      [130.001, false],
    ],
  },
  {
    when: 'made by a commit that was done after the gap',
    gaps: [[-2, 100]],
    answers: [
      [130, true],
      [130.001, false],
    ],
  },
  { when: 'after a gap that began as the window ran out', gaps: [[30, 100]], answers: [[100, false]] },
  { when: 'late while the beat is stale', gaps: [[10, Infinity]], answers: [[200, true]] },
  { when: 'late when the beat becomes stale', gaps: [[60, Infinity]], answers: [[65, false]] },
])('a change of password, $when', ({ gaps, answers }) => {
  it.each(answers)('that comes again %s s later is repeated: %s', async (at, isRepeated) => {
    const user = await twins.house.user();
    await freezeAt(-1);
    const pair = await login(twins.one, user);
    const change = () => setPassword(twins.two, user, pair);
    await freezeAt(0);
    const first = (await change()).json<TokenPair>();
    await beatBut(gaps, at);
    expect(await answerAt(at, pair.refresh_token)).toBe(isRepeated ? SUPERSEDED : DEAD);
    const again = await change();
    if (isRepeated) expect(again.json<TokenPair>().refresh_token).toBe(first.refresh_token);
    else expect(again.json()).toMatchObject({ status: 401, error: 'invalid_token' });
    expect(await stateOf(twins, first.access_token)).toBe('alive');
    expect(await stateOf(twins, pair.access_token)).toBe('dead');
  });
});

it('a change of password is not repeated after an outage where the window is switched off', async () => {
  const user = await twins.house.user();
  await freezeAt(0);
  const pair = await login(strict, user);
  const change = () => setPassword(strict, user, pair);
  expect((await change()).statusCode).toBe(200);
  await beatBut([[-5, Infinity]], 100, 0);
  await freezeAt(100);
  expect((await change()).json()).toMatchObject({ status: 401, error: 'invalid_token' });
  expect(await answerAt(100, pair.refresh_token, strict)).toBe(DEAD);
});

describe('the row', () => {
  it('is written by one of many that beat at once, and notes the gap once', async () => {
    await beatFromTo(0, 10);
    await freezeAt(100);
    await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        beat(index % 2 === 0 ? twins.one.database : twins.two.database, WINDOW_SECONDS),
      ),
    );
    expect(await noted()).toEqual([{ beaten: 100, since: 100, until: 10 }]);
  });

  it('is left as it is for three quarters of a second', async () => {
    await beatAt(0);
    const versionOf = async () =>
      (await twins.house.database.admin.query<{ xmin: string }>('SELECT xmin::text FROM beat')).rows[0]?.xmin;
    const version = await versionOf();
    await beatAt(0.75);
    expect(await versionOf()).toBe(version);
    await beatAt(1);
    expect(await noted()).toEqual([{ beaten: 1, since: null, until: null }]);
  });

  it('goes back with a clock that goes back, so that the next gap is found', async () => {
    await beatAt(3600);
    await beatAt(0);
    await beatAt(100);
    expect(await noted()).toEqual([{ beaten: 100, since: 100, until: 0 }]);
  });

  it('comes back when it is lost, and nothing is theft until then', async () => {
    const [parent, current] = await openSession(1);
    await twins.house.database.admin.query('DELETE FROM beat');
    expect(await answerAt(10, parent?.refresh_token)).toBe(SUCCESSOR);
    expect(await answerAt(31, parent?.refresh_token)).toBe(UNDECIDED);
    expect(await stateOf(twins, current?.access_token ?? '')).toBe('alive');
    await beatAt(32);
    expect(await answerAt(33, parent?.refresh_token)).toBe(THEFT);
  });
});

describe('commits that stall without a restart', () => {
  it('are a gap, though the beat was sent meanwhile', async () => {
    const [parent, current] = await openSession(1);
    await beatFromTo(BEFORE, 10);
    const impatient = openDatabase(twins.house.database.url, { connections: 1, deadlineMs: AMPLE_MS });
    const stalled = await stallCommits(twins.house.database, 'beat');
    let end: (() => Promise<void>) | undefined = stalled.end;
    try {
      await freezeAt(11);
      const sent = beat(impatient, WINDOW_SECONDS);
      await waitUntilStalled();
      expect(await answerAt(31, parent?.refresh_token)).toBe(UNDECIDED);
      await freezeAt(100);
      end = undefined;
      await stalled.end();
      await sent;
      // The row that the commit brings is of the time at which it was sent.
      expect(await noted()).toEqual([{ beaten: 11, since: null, until: null }]);
      expect(await answerAt(100, parent?.refresh_token)).toBe(UNDECIDED);
      await beatAt(100);
      expect(await noted()).toEqual([{ beaten: 100, since: 100, until: 11 }]);
      const again = (await refresh(twins.one, parent?.refresh_token ?? '')).json<TokenPair>();
      expect(again.refresh_token).toBe(current?.refresh_token);
      await beatFromTo(101, 130.001);
      expect(await answerAt(130.001, parent?.refresh_token)).toBe(THEFT);
    } finally {
      await end?.();
      await impatient.close();
    }
  });

  async function waitUntilStalled(): Promise<void> {
    for (;;) {
      const { rows } = await twins.house.database.admin.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'`,
      );
      if (rows.length > 0) return;
    }
  }
});

describe('a replica', () => {
  it('beats before it has started, again after each second, and no more when it is stopped', async () => {
    await twins.house.database.clock.release();
    await twins.house.database.admin.query(`UPDATE beat SET beaten_at = 'epoch'`);
    const versionOf = async () =>
      (await twins.house.database.admin.query<{ at: Date }>('SELECT beaten_at AS at FROM beat')).rows[0]?.at;
    const failures: unknown[] = [];
    const stop = await startBeating(twins.one.database, WINDOW_SECONDS, (error) => failures.push(error));
    const first = await versionOf();
    expect(first?.getTime()).toBeGreaterThan(0);
    while ((await versionOf())?.getTime() === first?.getTime()) continue;
    await stop();
    expect(failures).toEqual([]);
  });

  it('says once why beats fail, and begins again when they do not', async () => {
    const { admin } = twins.house.database;
    await admin.query('ALTER TABLE beat RENAME TO away');
    const failures: unknown[] = [];
    const stop = await startBeating(twins.one.database, WINDOW_SECONDS, (error) => failures.push(error));
    expect(failures).toHaveLength(1);
    await admin.query('ALTER TABLE away RENAME TO beat');
    await admin.query(`UPDATE beat SET beaten_at = 'epoch'`);
    for (;;) {
      const { rows } = await admin.query(`SELECT FROM beat WHERE beaten_at > 'epoch'`);
      if (rows.length > 0) break;
    }
    await stop();
    expect(failures).toHaveLength(1);
  });
});
