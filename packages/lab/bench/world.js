// A database full of sessions and revocations, with live tokens for some of the sessions.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { readConfig } from '../../../dist/config/config.js';
import { enterEmbedded } from '../../../dist/database/embedded.js';
import { migrate } from '../../../dist/database/migrate.js';
import { openDatabase } from '../../../dist/database/prisma.js';
import { addClient } from '../../../dist/domain/clients.js';
import { createFirstKey } from '../../../dist/domain/keys/lifecycle.js';
import { loadKeys } from '../../../dist/domain/keys/keys.js';
import { loadRing } from '../../../dist/domain/keys/ring.js';
import { mintAccess, mintRefresh } from '../../../dist/domain/tokens/minting.js';
import { createTokenCodec } from '../../../dist/http/jwt.js';

export const SECRET = 'a-secret-of-more-than-32-bytes-for-a-measurement';

/** Rows that one statement inserts. */
const BATCH = 100_000;

/** A year lies between the first session and the last. */
const YEAR_MS = 365 * 86_400_000;

/** Long enough for all of them to live still. */
const LIFETIME_DAYS = 460;

/** A cluster at rest with the service's tables: to make one takes longer than many a measurement. */
let template;

async function makeTemplate() {
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-bench-'));
  const embedded = await enterEmbedded(directory, 'service');
  await migrate(embedded.url);
  await embedded.leave();
  return directory;
}

/** The embedded PostgreSQL, with the service's tables; its directory goes when it is left. */
async function enterCopy() {
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-bench-'));
  template ??= makeTemplate();
  // With its owner, who is another one where root starts PostgreSQL.
  await promisify(execFile)('cp', ['-a', `${await template}/.`, directory]);
  const { url, leave } = await enterEmbedded(directory, 'service');
  return {
    url,
    leave: async () => {
      await leave();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/**
 * @param cluster {url, leave} of a database with nothing in it; the embedded PostgreSQL unless it is given
 * @returns a world that is empty but for a client; `close` deletes it
 */
export async function openWorld(cluster = undefined) {
  const { url, leave } = cluster ?? (await enterCopy());
  if (cluster !== undefined) await migrate(url);
  const database = openDatabase(url, { connections: 2 });
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  pool.on('error', () => undefined);
  const config = readConfig({});
  await createFirstKey(database, config.jwtAlgorithm, SECRET);
  const ring = await loadRing(database, [SECRET], config, createTokenCodec);
  const [{ publicKey }] = (await loadKeys(database)).keys;
  const client = await addClient(database, { id: 'bench', permissions: ['introspect', 'revoke'] });
  return {
    url,
    database,
    pool,
    ring,
    rules: config,
    client,
    publicKey,
    close: async () => {
      await pool.end();
      await database.close();
      await leave();
    },
  };
}

/** Adds users, and as many living sessions as revocations, and lets PostgreSQL settle them. */
export async function fill(world, users, rows) {
  await addUsers(world, users);
  await addSessions(world, rows);
  await addRevocations(world, rows);
  await settle(world);
}

/** Adds users without a password: their sessions were opened long ago. */
export async function addUsers({ pool }, count) {
  await pool.query(
    `INSERT INTO users (id, username, password_hash, scope, created_at)
     SELECT gen_random_uuid(), 'user-' || n, 'none', 'orders:read orders:write', now()
     FROM generate_series((SELECT count(*) FROM users) + 1, (SELECT count(*) FROM users) + $1) AS n`,
    [count],
  );
}

/** An SQL expression for a UUIDv7 of the time `ms`, an expression too; as the service makes them. */
function uuidAt(ms) {
  return `overlay(overlay(gen_random_uuid()::text PLACING
            overlay(lpad(to_hex((${ms})::bigint), 12, '0') PLACING '-' FROM 9 FOR 0) FROM 1 FOR 13)
            PLACING '7' FROM 15 FOR 1)::uuid`;
}

/**
 * Adds living sessions of all users in turn, in the order of time as they would have come.
 *
 * @param options.from, options.to how much of the year they fill, from 0 to 1
 * @param options.lifetimeDays less than a year for sessions that have expired
 * @param options.into another table of the same shape
 */
export async function addSessions(
  { pool },
  count,
  { from = 0, to = 1, lifetimeDays = LIFETIME_DAYS, into = 'sessions' } = {},
) {
  const endsMs = Date.now();
  const begins = endsMs - YEAR_MS + from * YEAR_MS;
  const step = ((to - from) * YEAR_MS) / count;
  for (let done = 0; done < count; done += BATCH) {
    await pool.query(
      `WITH owners AS (SELECT array_agg(id) AS ids FROM (SELECT id FROM users ORDER BY id LIMIT 100000) AS found)
       INSERT INTO ${into} (id, user_id, epoch, opened_at, rotated_at, refresh_expires_at, expires_at, ip, user_agent)
       SELECT ${uuidAt('$1::float8 + n * $2::float8')}, ids[1 + n % cardinality(ids)], 0,
              opened, opened, date_trunc('second', now()) + interval '14 days',
              date_trunc('second', opened) + make_interval(days => $5::int), '203.0.113.7',
              'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'
       FROM owners, generate_series($3::int, $4::int) AS n,
            LATERAL (SELECT date_trunc('milliseconds', to_timestamp(($1::float8 + n * $2::float8) / 1000)) AS opened) AS at`,
      [begins, step, done, Math.min(done + BATCH, count) - 1, lifetimeDays],
    );
  }
}

/** Adds revocations, in the order of time; every second one of a lineage, the others of sessions that are gone. */
export async function addRevocations(
  { pool },
  count,
  { from = 0, to = 1, lifetimeDays = LIFETIME_DAYS, into = 'revocations' } = {},
) {
  const begins = Date.now() - YEAR_MS + from * YEAR_MS;
  const step = ((to - from) * YEAR_MS) / count;
  for (let done = 0; done < count; done += BATCH) {
    await pool.query(
      `WITH owners AS (SELECT array_agg(id) AS ids FROM (SELECT id FROM users ORDER BY id LIMIT 100000) AS found)
       INSERT INTO ${into} (id, kind, user_id, reason, actor, revoked_at, kept_until)
       SELECT ${uuidAt('$1::float8 + n * $2::float8')}, (ARRAY['token', 'session'])[1 + n % 2]::revocation_kind,
              ids[1 + n % cardinality(ids)], 'logout', 'user', revoked, revoked + make_interval(days => $5::int)
       FROM owners, generate_series($3::int, $4::int) AS n,
            LATERAL (SELECT date_trunc('milliseconds', to_timestamp(($1::float8 + n * $2::float8) / 1000)) AS revoked) AS at`,
      [begins, step, done, Math.min(done + BATCH, count) - 1, lifetimeDays],
    );
  }
}

/**
 * Adds events of logins, in the order of time, of all users in turn. The indexes by user and by actor are made anew afterwards: row by
 * row they would take an hour.
 *
 * @param spans {count, fromDaysAgo, toDaysAgo}[], the oldest first
 */
export async function addEvents({ pool }, spans) {
  const { rows: indexes } = await pool.query(
    `SELECT indexname AS name, indexdef AS definition FROM pg_indexes WHERE tablename = 'events' AND indexname <> 'events_pkey'`,
  );
  for (const { name } of indexes) await pool.query(`DROP INDEX ${name}`);
  for (const { count, fromDaysAgo, toDaysAgo } of spans) {
    const begins = Date.now() - fromDaysAgo * 86_400_000;
    const step = ((fromDaysAgo - toDaysAgo) * 86_400_000) / count;
    for (let done = 0; done < count; done += BATCH) {
      await pool.query(
        `WITH owners AS MATERIALIZED (SELECT array_agg(id) AS ids FROM (SELECT id FROM users ORDER BY id LIMIT 100000) AS found)
         INSERT INTO events (id, type, outcome, actor, user_id, session_id, ip, user_agent, request_id)
         SELECT ${uuidAt('$1::float8 + n * $2::float8')}, 'session.opened', 'ok', 'user:' || owner, owner, md5(n::text)::uuid, '203.0.113.7',
                'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0', md5(n::text)::uuid
         FROM owners, generate_series($3::int, $4::int) AS n, LATERAL (SELECT ids[1 + n % cardinality(ids)] AS owner) AS one`,
        [begins, step, done, Math.min(done + BATCH, count) - 1],
      );
    }
  }
  for (const { definition } of indexes) await pool.query(definition);
  await pool.query('VACUUM ANALYZE events');
}

/** Lets PostgreSQL settle what was inserted, as it would have over the year. */
export async function settle({ pool }) {
  await pool.query('VACUUM ANALYZE sessions');
  await pool.query('VACUUM ANALYZE revocations');
  await pool.query('VACUUM ANALYZE users');
  await pool.query('CHECKPOINT').catch(() => undefined); // A superuser's privilege: the next checkpoint comes by itself.
}

/** `count` living sessions from all over the table, as the domain sees a session. */
export async function pickSessions({ pool }, count) {
  const { rows } = await pool.query(
    `SELECT sessions.id, user_id AS "userId", username, scope, client_id AS "clientId", external_id AS "externalId",
            claims::text AS claims, (users.ver + sessions.ver)::float8 AS ver, generation,
            floor(extract(epoch FROM opened_at))::float8 AS "openedAt", extract(epoch FROM rotated_at)::float8 AS "rotatedAt",
            extract(epoch FROM refresh_expires_at)::float8 AS "refreshExpiresAt",
            floor(extract(epoch FROM expires_at))::float8 AS "expiresAt", extract(epoch FROM now())::float8 AS now
     FROM (SELECT *, row_number() OVER (ORDER BY id) AS place, count(*) OVER () AS total FROM sessions
           WHERE expires_at > now()) AS sessions JOIN users ON users.id = user_id
     WHERE place % greatest(1, sessions.total / $1) = 0
     LIMIT $1`,
    [count],
  );
  return rows;
}

/** `count` access tokens that nobody has seen yet, for these sessions in turn. */
export function mintTokens({ ring, rules }, sessions, count) {
  return Array.from({ length: count }, (_, n) =>
    ring.signAccess(mintAccess(sessions[n % sessions.length], rules)),
  );
}

export function mintRefreshTokens({ ring, rules }, sessions) {
  return sessions.map((session) => ring.signRefresh(mintRefresh(session, rules)));
}
