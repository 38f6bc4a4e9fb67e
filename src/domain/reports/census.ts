/** What a minute's look at the database tells operators: estimated rows, keys by state and age, and connections. */
import type { Database } from '../../database/prisma.js';
import { listKeys, type ListedKey } from '../keys/keys.js';
import { repeat } from '../scheduling/repeat.js';

const INTERVAL_MS = 60_000;

/** The tables that grow, or that somebody wants to count. */
export const COUNTED_TABLES = [
  'users',
  'sessions',
  'revocations',
  'login_attempts',
  'events',
  'clients',
  'signing_keys',
] as const;
export type CountedTable = (typeof COUNTED_TABLES)[number];

export const KEY_STATES = ['next', 'signing', 'verifying', 'retired'] as const satisfies ListedKey['state'][];

export interface Census {
  /** As PostgreSQL estimated them when it last analysed the table; no table is read for it. */
  rows: Record<CountedTable, number>;
  /** How many keys there are in each state, and how old the oldest of them is, in seconds; 0 where there is none. */
  keys: Record<ListedKey['state'], { count: number; oldestSeconds: number }>;
  /** Of the key that signs; null where none does. */
  signingKid: string | null;
  /** Sessions of the PostgreSQL server, and how many it may have: those that it keeps for superusers are not in `limit`. */
  connections: { open: number; limit: number };
}

export async function takeCensus(database: Database): Promise<Census> {
  const tables = await database.query({ name: 'text', rows: 'float8', now: 'float8' })`
    SELECT relname::text AS name, greatest(reltuples, 0)::float8 AS rows,
           extract(epoch FROM clock_timestamp())::float8 AS now
    FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname = ANY(${[...COUNTED_TABLES]}::text[])`;
  const now = tables[0]?.now ?? 0;
  const keys = await listKeys(database);
  // Every role may see that sessions of others are there. Processes of the server itself have no user.
  const [connections = { open: 0, limit: 0 }] = await database.query({ open: 'float8', limit: 'float8' })`
    SELECT (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL AND usesysid IS NOT NULL)::float8 AS open,
           (current_setting('max_connections')::int4 - current_setting('superuser_reserved_connections')::int4
             - coalesce(current_setting('reserved_connections', true)::int4, 0))::float8 AS "limit"`;
  return {
    rows: fromEntries(COUNTED_TABLES, (table) => tables.find(({ name }) => name === table)?.rows ?? 0),
    keys: fromEntries(KEY_STATES, (state) => {
      const ages = keys.filter((key) => key.state === state).map(({ createdAt }) => now - createdAt);
      return { count: ages.length, oldestSeconds: Math.max(0, ...ages) };
    }),
    signingKid: keys.find(({ state }) => state === 'signing')?.kid ?? null,
    connections,
  };
}

/**
 * Takes a census at once, and then each minute. One that fails is left out: what it would have told stays as it was.
 *
 * @returns stops it, once the census under way is done
 */
export function startCensus(database: Database, onTaken: (census: Census) => void): () => Promise<void> {
  let delayMs = 0;
  return repeat(
    async () => {
      delayMs = INTERVAL_MS;
      // Where the database is away, other metrics say so.
      await takeCensus(database).then(onTaken, () => undefined);
    },
    () => delayMs,
  );
}

function fromEntries<K extends string, V>(names: readonly K[], valueOf: (name: K) => V): Record<K, V> {
  return Object.fromEntries(names.map((name) => [name, valueOf(name)])) as Record<K, V>;
}
