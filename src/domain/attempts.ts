/** What `login_attempts` remembers, beside what rate-limiter-flexible writes there: looking, giving back, forgetting. */
import type { Database } from '../database/prisma.js';
import type { Guess } from './guesses.js';

/** Rows that one statement deletes at most. */
const BATCH = 1000;

/** How long a network is remembered after the last login from it: as long as a session lasts. */
const FAMILIAR_MS = 90 * 86_400_000;

/** A row whose end has not come. */
export interface Count {
  key: string;
  points: number;
  msLeft: number;
}

/** One point of one row, and when that row's window ends. */
export interface Taken {
  key: string;
  untilMs: number;
}

export async function findCounts(database: Database, keys: string[]): Promise<Map<string, Count>> {
  const counts = await database.query<Count>`
    SELECT key, points, (expire - ${Date.now()}::float8)::float8 AS "msLeft" FROM login_attempts
    WHERE key = ANY(${keys}::text[]) AND expire > ${Date.now()}::float8`;
  return new Map(counts.map((count) => [count.key, count]));
}

/** Gives points back, unless their window has ended: those of the next one are others'. Rows without points go. */
export async function giveBack(database: Database, taken: Taken[]): Promise<void> {
  const keys = taken.map(({ key }) => key);
  // Settles logins that give back to the same rows: all of them lock in the order of keys, so none waits in a circle.
  await database.query`
    UPDATE login_attempts SET points = points - 1 WHERE key IN (
      SELECT key FROM login_attempts
      JOIN unnest(${keys}::text[], ${taken.map(({ untilMs }) => untilMs)}::float8[]) AS taken (key, until) USING (key)
      WHERE points > 0 AND expire <= until
      ORDER BY key FOR UPDATE OF login_attempts
    )`;
  // Names that need not exist leave no rows behind when nothing was hashed. A row that is taken from again is passed by.
  await database.query`
    DELETE FROM login_attempts WHERE points <= 0 AND key IN (
      SELECT key FROM login_attempts WHERE key = ANY(${keys}::text[]) AND points <= 0 FOR UPDATE SKIP LOCKED
    )`;
}

/** Remembers the network of a login that succeeded; of more than there are slots the one not used for longest goes. */
export async function rememberNetwork(
  database: Database,
  { slots, fingerprint }: Pick<Guess, 'slots' | 'fingerprint'>,
): Promise<void> {
  const now = Date.now();
  // Two logins at once may choose one slot: then one network is remembered, and the other at its next login.
  await database.query`
    INSERT INTO login_attempts (key, points, expire)
    SELECT slot.key, ${fingerprint}::int4, ${now + FAMILIAR_MS}::float8::bigint
    FROM unnest(${slots}::text[]) AS slot (key) LEFT JOIN login_attempts AS kept USING (key)
    ORDER BY kept.points IS NOT DISTINCT FROM ${fingerprint}::int4 DESC, kept.expire ASC NULLS FIRST
    LIMIT 1
    ON CONFLICT (key) DO UPDATE SET points = excluded.points, expire = excluded.expire`;
}

/** Deletes rows whose end has come, batch by batch, until none is left or `signal` says stop; returns how many went. */
export async function pruneAttempts(database: Database, signal?: AbortSignal): Promise<number> {
  for (let gone = 0; ;) {
    // Settles replicas that prune at once, and logins that count: rows that somebody holds are passed by.
    const rows = await database.query`
      DELETE FROM login_attempts WHERE key IN (
        SELECT key FROM login_attempts WHERE expire <= ${Date.now()}::float8::bigint
        ORDER BY expire LIMIT ${BATCH}::int4 FOR UPDATE SKIP LOCKED
      ) RETURNING key`;
    gone += rows.length;
    if (rows.length < BATCH || signal?.aborted === true) return gone;
  }
}
