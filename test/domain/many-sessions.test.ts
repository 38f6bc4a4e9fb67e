// A user with hundreds of thousands of sessions: they are listed, ended and counted without all of them being read.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Database } from '../../src/database/prisma.js';
import { endAllSessions } from '../../src/domain/sessions/endings.js';
import { askedOf } from '../../src/domain/tokens/asked.js';
import { listSessions } from '../../src/domain/sessions/listed.js';
import { openSession } from '../../src/domain/sessions/sessions.js';
import { changePassword, disableUser } from '../../src/domain/users/users.js';
import {
  bearer,
  claimsOf,
  DEFAULTS,
  login,
  openHouse,
  type House,
  type Replica,
  type TestUser,
  type TokenPair,
} from '../support/house.js';
import { askNothing, explain, listen, type Asked } from '../support/plans.js';

const MANY = 300_000;
const SOME = 20_000;

/** What may be read to find a thousand: those, the one that asks, and the look-ups around them. */
const BOUND = 1100;

let house: House;
let replica: Replica;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  // Enough that a plan which reads them all is worse.
  await house.database.admin.query(
    `INSERT INTO revocations (id, kind, user_id, reason, actor, revoked_at, kept_until)
     SELECT gen_random_uuid(), 'token', gen_random_uuid(), 'revoked', 'client:orders', now(), now() + interval '90 days'
     FROM generate_series(1, $1::int)`,
    [SOME],
  );
});
afterAll(() => house.close());

/**
 * Adds sessions that were opened after all others of the user, a millisecond after each other. The time is read once: for each
 * row, the clock of the tests took longer than the row.
 */
async function addSessions(
  user: TestUser,
  count: number,
  { epoch = 0, ended = false }: { epoch?: number; ended?: boolean } = {},
): Promise<void> {
  const connection = await house.database.admin.connect();
  try {
    // Without looking up for each row whether its user is there.
    await connection.query('SET session_replication_role = replica');
    await connection.query(
      `INSERT INTO sessions (id, user_id, epoch, opened_at, rotated_at, refresh_expires_at, expires_at, ended_at)
       SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' ||
               substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid,
              $1, $2, at, at, at + interval '14 days', at + interval '90 days', CASE WHEN $3 THEN at END
       FROM generate_series(1, $4::int) AS number,
            LATERAL (SELECT (SELECT clock_timestamp()) + number * interval '1 millisecond' AS at) AS opening`,
      [user.id, epoch, ended, count],
    );
  } finally {
    connection.release(true);
  }
}

async function list(user: TestUser, current: string | null): Promise<{ ids: string[]; asked: Asked[] }> {
  const database = listen(replica.database);
  const sessions = await listSessions(database, user.id, current);
  return { ids: sessions.map(({ id }) => id), asked: database.asked };
}

/** One statement, which reads by indexes and no more than it needs. It is run once more, and taken back. */
async function expectBounded(asked: Asked[]): Promise<void> {
  const [statement, ...more] = asked;
  if (statement === undefined) throw new Error('nothing was asked');
  expect(more).toEqual([]);
  for (const table of ['sessions', 'revocations']) {
    const { kinds, rows } = await explain(house.database.admin, statement, table);
    expect(kinds, table).not.toContain('Seq Scan');
    expect(rows).toBeLessThanOrEqual(BOUND);
  }
}

async function idsOf({ access_token: token }: TokenPair): Promise<string[]> {
  const response = await replica.app.inject({ url: '/sessions', headers: bearer(token) });
  expect(response.statusCode).toBe(200);
  return response.json<{ sessions: { id: string }[] }>().sessions.map(({ id }) => id);
}

describe.each([
  ['before PostgreSQL knows anything about the tables', false],
  ['once PostgreSQL knows the tables', true],
])('%s, a user with 300,000 sessions', (_when, isAnalyzed) => {
  let user: TestUser;
  let first: TokenPair;

  beforeAll(async () => {
    user = await house.user();
    first = await login(replica, user);
    await addSessions(user, MANY);
    if (isAnalyzed) await house.database.admin.query('ANALYZE');
  }, 120_000);

  it('sees the thousand latest, in order, and always the one that asks', async () => {
    const { ids, asked } = await list(user, first.session_id);
    expect(ids).toHaveLength(1000);
    expect(ids).toEqual(ids.toSorted().reverse());
    expect(ids.at(-1)).toBe(first.session_id);
    const { rows } = await house.database.admin.query<{ id: string }>(
      'SELECT id FROM sessions WHERE user_id = $1 ORDER BY id DESC LIMIT 1000',
      [user.id],
    );
    expect(ids.slice(0, 999)).toEqual(rows.slice(0, 999).map(({ id }) => id));
    expect((await list(user, null)).ids).toEqual(rows.map(({ id }) => id));
    expect(await idsOf(first)).toEqual(ids);
    await expectBounded(asked);
  });

  it.each<[string, (database: Database) => Promise<unknown>]>([
    ['their end', (database) => endAll(database, { exceptCurrent: false })],
    ['the end of all others', (database) => endAll(database, { exceptCurrent: true })],
    ['a new password', (database) => changePassword(database, user.username, 'hash')],
    ['disabling', (database) => disableUser(database, user.username)],
    ['a login where sessions are limited', (database) => open(database, 1000)],
    ['a login where they are not', (database) => open(database, null)],
  ])('is no burden to %s', async (_what, work) => {
    await expectBounded(await askNothing(work));
  });

  const endAll = (database: Database, which: { exceptCurrent: boolean }) =>
    endAllSessions(database, askedOf(claimsOf(first.access_token)), which);
  const open = (database: Database, sessionsPerUser: number | null) =>
    openSession(
      database,
      { id: user.id, epoch: '0' },
      { ip: '192.0.2.1', userAgent: null },
      { ...DEFAULTS, sessionsPerUser },
    );

  it('logs out everywhere, and is told of a thousand and that there were more', async () => {
    const response = await replica.app.inject({
      method: 'POST',
      url: '/logout-all',
      headers: bearer(first.access_token),
      payload: { except_current: true },
    });
    expect(response.json()).toEqual({ sessions_ended: 1000, more: true });
    expect(await idsOf(first)).toEqual([first.session_id]);
    await expectBounded((await list(user, first.session_id)).asked);
  });
});

it('counts exactly a thousand without saying that there were more', async () => {
  const user = await house.user();
  const pair = await login(replica, user);
  await addSessions(user, 1000);
  const claims = claimsOf(pair.access_token);
  expect(await endAllSessions(replica.database, askedOf(claims), { exceptCurrent: true })).toEqual({
    sessions: 1000,
    isMore: false,
  });
});

it.each([
  ['that have ended', { ended: true }],
  ['of an epoch of before', { epoch: -1 }],
])('cannot hide a session behind 20,000 later ones %s', async (_which, kind) => {
  const user = await house.user();
  const hidden = await login(replica, user);
  await addSessions(user, SOME, kind);
  const { ids, asked } = await list(user, null);
  expect(ids).toEqual([hidden.session_id]);
  await expectBounded(asked);
});
