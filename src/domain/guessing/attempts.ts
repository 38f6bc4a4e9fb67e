/** What `login_attempts` remembers: taking points, refunding them, and pruning; each decided in one SQL statement. */
import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import type { Guess } from './guesses.js';

/** Rows that one statement deletes at most. */
const BATCH = 1000;

/** How long a network is remembered after the last login from it: as long as a session lasts. */
const FAMILIAR_MS = 90 * 86_400_000;

/**
 * A part of a WITH. The commit of the statement that reads from it does not wait until it is on disk, or on a standby: a login
 * would wait three times, and only its session has to be durable before the answer. Every replica sees the points as
 * soon as ever. A primary that crashes forgets those of its last moment, and docs/scale.md says why that may be.
 */
const COMMIT_AT_ONCE = sql`at_once AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))`;

/** A row to take a point from. */
export interface Budget {
  key: string;
  /** Points that may be taken within one window. */
  points: number;
  /** How long a window lasts that begins now. */
  durationMs: number;
  /** Whether it is for networks that the account's user logged in from, for all others, or (null) for both. */
  isForFamiliar: boolean | null;
  /** By what `forgetting` finds the row, where its key alone does not tell. */
  account: string | null;
}

/** One point of one row, and when that row's window ends. */
export interface Taken {
  key: string;
  untilMs: number;
}

/** A row that has no points left, and who is locked out by it: null for a name that nobody bears. */
export interface Full extends Taken {
  userId: string | null;
}

/** The points that were taken, and of the full windows the one that ends last; null when none was full. */
export interface Taking {
  taken: Taken[];
  full: Full | null;
}

/**
 * Takes a point from each budget that is for this network; from none when one of them has none left.
 *
 * Others may take the last point between our look and our turn: then `taken` and `full` are both given, what was
 * taken is one too many, and the caller refunds it.
 *
 * @param username canonical; null for what can be no name
 */
export async function takePoints(
  database: Database,
  budgets: Budget[],
  { slots, fingerprint }: Pick<Guess, 'slots' | 'fingerprint'>,
  username: string | null,
): Promise<Taking> {
  const now = Date.now();
  // Settles guesses at once: each adds its point when its turn at the row has come, and is told the sum, so that no two
  // of them get the same last point. All lock in the order of keys, so none waits in a circle.
  // It settles as much when the commit is not durable yet: the next turn at the row comes after the commit either way.
  const rows = await database.prepared('take_points', {
    key: 'text',
    untilMs: 'float8',
    isTaken: 'bool',
    isFull: 'bool',
    userId: 'uuid?',
  })`
    WITH ${COMMIT_AT_ONCE}, budgets AS MATERIALIZED (
      SELECT key, most, ends, account FROM at_once, unnest(
        ${budgets.map(({ key }) => key)}::text[],
        ${budgets.map(({ points }) => points)}::int4[],
        ${budgets.map(({ durationMs }) => now + durationMs)}::float8[],
        ${budgets.map(({ isForFamiliar }) => isForFamiliar)}::boolean[],
        ${budgets.map(({ account }) => account)}::text[]
      ) AS budget (key, most, ends, is_for_familiar, account)
      WHERE is_for_familiar IS NULL OR is_for_familiar = EXISTS (
        SELECT FROM login_attempts
        WHERE key = ANY(${slots}::text[]) AND points = ${fingerprint}::int4 AND expire > ${now}::float8::bigint
      )
    ), full_ones AS MATERIALIZED (
      SELECT kept.key, kept.expire FROM budgets JOIN login_attempts AS kept USING (key)
      WHERE points >= most AND expire > ${now}::float8::bigint
    ), taken AS (
      INSERT INTO login_attempts AS kept (key, points, expire, account)
      SELECT key, 1, ends::bigint, account FROM budgets WHERE NOT EXISTS (SELECT FROM full_ones) ORDER BY key
      ON CONFLICT (key) DO UPDATE SET
        points = CASE WHEN kept.expire <= ${now}::float8::bigint THEN 1 ELSE kept.points + 1 END,
        expire = CASE WHEN kept.expire <= ${now}::float8::bigint THEN excluded.expire ELSE kept.expire END
      RETURNING key, points, expire
    ), locked_out AS (
      SELECT id FROM users WHERE username = ${username}::text
    )
    SELECT key::text, expire::float8 AS "untilMs", true AS "isTaken", points > most AS "isFull",
      CASE WHEN points > most THEN (SELECT id FROM locked_out) END AS "userId"
    FROM taken JOIN budgets USING (key)
    UNION ALL
    SELECT key::text, expire::float8, false, true, (SELECT id FROM locked_out) FROM full_ones`;
  const [full = null] = rows.filter(({ isFull }) => isFull).toSorted((a, b) => b.untilMs - a.untilMs);
  return {
    taken: rows.filter(({ isTaken }) => isTaken).map(({ key, untilMs }) => ({ key, untilMs })),
    full: full && { key: full.key, untilMs: full.untilMs, userId: full.userId },
  };
}

/**
 * Refunds points, unless their window has ended: the points of the next window are others'. Rows without points go, so names
 * that do not exist leave none behind.
 *
 * @param familiar the network of a login that succeeded, which is remembered; of more than there are slots the one not
 * used for longest goes
 */
export async function refundPoints(
  database: Database,
  taken: Taken[],
  familiar: Pick<Guess, 'slots' | 'fingerprint'> = { slots: [], fingerprint: 0 },
): Promise<void> {
  // Settles logins that refund to the same rows: all of them lock in the order of keys and take a slot last, so none
  // waits in a circle. Two at once may choose one slot: then one network is remembered, and the other at its next login.
  await database.prepared('refund_points', {})`
    WITH ${COMMIT_AT_ONCE}, held AS MATERIALIZED (
      SELECT key, points FROM at_once, login_attempts
      JOIN unnest(
        ${taken.map(({ key }) => key)}::text[], ${taken.map(({ untilMs }) => untilMs)}::float8[]
      ) AS taken (key, until) USING (key)
      WHERE points > 0 AND expire <= until
      ORDER BY key FOR UPDATE OF login_attempts
    ), lowered AS (
      UPDATE login_attempts SET points = held.points - 1 FROM held
      WHERE login_attempts.key = held.key AND held.points > 1
    ), gone AS (
      DELETE FROM login_attempts USING held WHERE login_attempts.key = held.key AND held.points = 1
    )
    INSERT INTO login_attempts (key, points, expire)
    SELECT slot.key, ${familiar.fingerprint}::int4, ${Date.now() + FAMILIAR_MS}::float8::bigint
    FROM (SELECT count(*) FROM held) AS first, unnest(${familiar.slots}::text[]) AS slot (key)
    LEFT JOIN login_attempts AS kept USING (key)
    ORDER BY kept.points IS NOT DISTINCT FROM ${familiar.fingerprint}::int4 DESC, kept.expire ASC NULLS FIRST
    LIMIT 1
    ON CONFLICT (key) DO UPDATE SET points = excluded.points, expire = excluded.expire`;
}

/** Deletes rows whose end has come, batch by batch, until none is left or `signal` says stop; returns how many went. */
export async function pruneAttempts(database: Database, signal?: AbortSignal): Promise<number> {
  for (let gone = 0; ;) {
    // Settles replicas that prune at once, and logins that count: rows that somebody holds are passed by. Rows are deleted by where they
    // lie, as in sessions/revocations.ts.
    const rows = await database.query({ key: 'text' })`
      DELETE FROM login_attempts WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM login_attempts WHERE expire <= ${Date.now()}::float8::bigint
        ORDER BY expire LIMIT ${BATCH}::int4 FOR UPDATE SKIP LOCKED
      )) RETURNING key::text`;
    gone += rows.length;
    if (rows.length < BATCH || signal?.aborted === true) return gone;
  }
}
