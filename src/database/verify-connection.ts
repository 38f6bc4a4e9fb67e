/** What every new connection proves, and what it is told, before it may answer. */
import type pg from 'pg';

/**
 * PostgreSQL gives up on a statement so much earlier than we do, so that it seldom commits what nobody awaits. A commit
 * that has begun is beyond this: one that waits for a synchronous standby may still come after our 503.
 */
const SERVER_AHEAD_MS = 100;

/** Why a connection is not used, in words that hold no value. */
export const STANDBY = 'connected to a standby, which may not know the latest revocations';

/** What each connection is told: to acknowledge only what is durable, and to give up in time. */
const SETTINGS = {
  synchronous_commit: 'on',
  default_transaction_isolation: 'read committed',
  idle_in_transaction_session_timeout: '10000',
};

/**
 * Where a few rows are looked up by their keys, again and again: one plan for all times, by index. What PostgreSQL would
 * choose by the sizes that it last counted reads whole tables once these were small, or costs more than the look-up.
 */
const LOOK_UPS_ONLY = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_bitmapscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  jit: 'off',
};

/**
 * Every new connection proves that it reaches a primary before it may answer, since a standby lags behind the
 * revocations, and takes up our settings.
 */
export function verifyConnection(deadlineMs: number, { readsOnly }: { readsOnly: boolean }) {
  const serverDeadlineMs = String(deadlineMs - SERVER_AHEAD_MS);
  const timeouts = { statement_timeout: serverDeadlineMs, lock_timeout: serverDeadlineMs };
  const settings = Object.entries({ ...SETTINGS, ...timeouts, ...(readsOnly ? LOOK_UPS_ONLY : {}) });
  const text = `SELECT pg_is_in_recovery() AS standby, ${settings
    .map(([name, value]) => `set_config('${name}', '${value}', false)`)
    .join(', ')}`;
  return (client: pg.PoolClient, done: (error?: Error) => void): void => {
    // The pool listens before and after this, not meanwhile: without a listener a connection that breaks now ends us.
    client.on('error', () => undefined);
    client.query<{ standby: boolean }>(text).then(({ rows }) => {
      if (rows[0]?.standby === false) done();
      else done(new Error(STANDBY));
    }, done);
  };
}
