// What is asked about one user, and forgotten of many, in tables with many rows: read by indexes, and no more rows than it is about.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Database } from '../../src/database/prisma.js';
import { createFailedLogins } from '../../src/domain/events/failed-logins.js';
import { pruneAttempts } from '../../src/domain/guessing/attempts.js';
import { forgetAttempts } from '../../src/domain/guessing/forgetting.js';
import { rowsOf } from '../../src/domain/guessing/guesses.js';
import { findAttempts, findLocks } from '../../src/domain/guessing/locks.js';
import { createThrottle } from '../../src/domain/guessing/throttle.js';
import { AuthError } from '../../src/domain/errors.js';
import { deleteUser, pruneDeletedUsers } from '../../src/domain/operators/deletion.js';
import { exportUser } from '../../src/domain/operators/export.js';
import {
  findCode,
  findCodeExpiry,
  issueCode,
  pruneCodes,
  useCode,
} from '../../src/domain/passwords/codes.js';
import { openHouse, SECRET, type House, type TestUser } from '../support/house.js';
import { askNothing, explain, listen, type Asked } from '../support/plans.js';

/** Rows of each table: enough that PostgreSQL would read all of a table where no index helps. */
const MANY = 30_000;

/** What one user has, and the look-ups around it. */
const BOUND = 100;

/** Rows of a batch, each of which is looked for and then deleted. */
const BOUND_OF_BATCH = 3 * 1000 + BOUND;

const TABLES = ['users', 'sessions', 'revocations', 'events', 'login_attempts', 'password_codes'];

const ACTOR = 'client:console';

let house: House;
let database: Database;
let user: TestUser;
let code: string;

beforeAll(async () => {
  house = await openHouse();
  ({ database } = await house.replica());
  user = await house.user();
  const { admin } = house.database;
  await admin.query(
    `INSERT INTO users (id, username, password_hash, created_at)
     SELECT gen_random_uuid(), 'user' || n, '', now() FROM generate_series(1, $1::int) AS n`,
    [MANY],
  );
  const ofEach = [
    `INSERT INTO sessions (id, user_id, epoch, opened_at, rotated_at, refresh_expires_at, expires_at, ip)
     SELECT gen_random_uuid(), id, 0, now(), now(), now() + interval '14 days', now() + interval '90 days', '198.51.100.1' FROM users`,
    `INSERT INTO revocations (id, kind, user_id, reason, actor, revoked_at, kept_until)
     SELECT gen_random_uuid(), 'token', id, 'logout', 'user:' || id, now(), now() + interval '90 days' FROM users`,
    `INSERT INTO events (id, type, outcome, actor, user_id, ip)
     SELECT gen_random_uuid(), 'session.opened', 'ok', 'user:' || id, id, '198.51.100.1' FROM users`,
    `INSERT INTO password_codes (user_id, code_hash, epoch, expires_at)
     SELECT id, sha256(username::bytea), 0, now() + interval '1 hour' FROM users`,
    `INSERT INTO login_attempts (key, points, expire, account)
     SELECT prefix || ':' || md5(username), 1, (extract(epoch FROM now() + interval '1 hour') * 1000)::bigint,
            CASE WHEN prefix = 'pair' THEN md5(username) END
     FROM users, unnest(ARRAY['account', 'pair']) AS prefix`,
  ];
  for (const statement of ofEach) await admin.query(statement);
  ({ code } = await issueCode(database, user.id, undefined, ACTOR));
  await admin.query('ANALYZE');
}, 240_000);
afterAll(() => house.close());

const tellFailure = (nobody: Database) => createFailedLogins(nobody, SECRET);

const ABOUT_ONE: [string, (nobody: Database) => Promise<unknown>][] = [
  ['until when an account is locked', (nobody) => findLocks(nobody, [user.username])],
  ['what is counted of an account', (nobody) => findAttempts(nobody, user.username)],
  ['an attempt', (nobody) => createThrottle(nobody).takeAttempt(user.username, '203.0.113.9')],
  ['an unlocking', (nobody) => forgetAttempts(nobody, rowsOf(user.username), { userId: user.id, by: ACTOR })],
  ['whose a code is', (nobody) => findCode(nobody, code)],
  ['until when a code counts', (nobody) => findCodeExpiry(nobody, user.id)],
  ['a new code', (nobody) => issueCode(nobody, user.id, undefined, ACTOR)],
  ['the use of a code', (nobody) => useCode(nobody, code, { ...user, passwordHash: '' })],
  [
    'a login that failed',
    (nobody) => tellFailure(nobody)(new AuthError('invalid_credentials'), user.username, { user: user.id }),
  ],
];

async function expectFewRows(asked: Asked, most: number): Promise<void> {
  for (const table of TABLES) {
    const { kinds, rows } = await explain(house.database.admin, asked, table);
    expect(kinds, table).not.toContain('Seq Scan');
    expect(rows, table).toBeLessThanOrEqual(most);
  }
}

async function theOne(
  work: (nobody: Database) => Promise<unknown>,
  given?: Parameters<typeof askNothing>[1],
): Promise<Asked> {
  const [statement, ...more] = await askNothing(work, given);
  if (statement === undefined || more.length > 0) throw new Error('one statement was expected');
  return statement;
}

describe.each(ABOUT_ONE)('%s', (_name, ask) => {
  it('is found among many by indexes', async () => {
    await expectFewRows(await theOne(ask), BOUND);
  });
});

it('a deletion is found among many by indexes', async () => {
  const name = { database, statements: 2 };
  await expectFewRows(await theOne((nobody) => deleteUser(nobody, user.id, ACTOR), name), BOUND);
});

it('an export reads what there is of its user, by indexes', async () => {
  const listening = listen(database);
  const part = await exportUser(listening, user.id, null);
  expect(part?.sessions).toHaveLength(1);
  expect(part?.revocations).toHaveLength(1);
  // Of its own and of the code; and of its making.
  expect(part?.events).toHaveLength(3);
  expect(listening.asked.length).toBeGreaterThanOrEqual(6);
  for (const asked of listening.asked) await expectFewRows(asked, BOUND);
});

const BATCHES: [string, string, (nobody: Database) => Promise<unknown>][] = [
  ['codes that have expired', "UPDATE password_codes SET expires_at = now() - interval '1 hour'", pruneCodes],
  ['attempts whose window has ended', 'UPDATE login_attempts SET expire = 0', pruneAttempts],
  [
    'sessions, events and rows of users who were deleted',
    'UPDATE users SET username = id::text, password_hash = NULL, disabled_at = now(), deleted_at = now()',
    pruneDeletedUsers,
  ],
];

describe.each(BATCHES)('%s', (_name, spoil, prune) => {
  it('are looked for by indexes where there are none', async () => {
    await expectFewRows(await theOne(prune), BOUND);
  });

  it('go by indexes, a batch at a time, where some are over', async () => {
    const { admin } = house.database;
    await admin.query(
      `${spoil} WHERE ctid = ANY (ARRAY(SELECT ctid FROM ${/UPDATE (\w+)/.exec(spoil)?.[1] ?? ''} LIMIT 5000))`,
    );
    await admin.query('VACUUM ANALYZE');
    await expectFewRows(await theOne(prune), BOUND_OF_BATCH);
  });
});
