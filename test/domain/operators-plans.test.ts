// What operators ask about tables with many rows: read by indexes, and no more rows than a page needs.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Database } from '../../src/database/prisma.js';
import { end, type Doomed } from '../../src/domain/operators/endings.js';
import { liftRevocation } from '../../src/domain/operators/lift.js';
import { findRevocations } from '../../src/domain/operators/found-revocations.js';
import { findSessions } from '../../src/domain/operators/found-sessions.js';
import { findUsers } from '../../src/domain/operators/found-users.js';
import { openHouse, type House, type TestUser } from '../support/house.js';
import { askNothing, explain } from '../support/plans.js';

const MANY = 30_000;
const USERS = 30_000;
const PAGE = { limit: 50, after: null };

/** A page, those of the one user, and the look-ups around them. */
const BOUND = 400;

let house: House;
let user: TestUser;

beforeAll(async () => {
  house = await openHouse();
  user = await house.user();
  const { admin } = house.database;
  await admin.query(
    `INSERT INTO users (id, username, password_hash, created_at)
     SELECT gen_random_uuid(), 'user' || n, '', now() FROM generate_series(1, $1::int) AS n`,
    [USERS],
  );
  // Many of one client, and few of another.
  await admin.query(
    `INSERT INTO users (id, username, client_id, external_id, created_at)
     SELECT gen_random_uuid(), client_id || ' ' || n, client_id, n::text, now()
     FROM generate_series(1, $1::int) AS n, LATERAL (SELECT CASE WHEN n % 1000 = 0 THEN 'forum' ELSE 'shop' END AS client_id) AS owner`,
    [USERS],
  );
  await admin.query(
    `INSERT INTO sessions (id, user_id, epoch, opened_at, rotated_at, refresh_expires_at, expires_at, ip)
     SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' ||
             substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid,
            users.id, 0, at, at, at + interval '14 days', at + interval '90 days', '198.51.100.1'
     FROM generate_series(1, $1::int) AS n JOIN users ON users.username = 'user' || (1 + n % $2::int),
          LATERAL (SELECT clock_timestamp() - n * interval '1 second' AS at) AS opening`,
    [MANY, USERS],
  );
  await admin.query(
    `INSERT INTO revocations (id, kind, user_id, reason, actor, revoked_at, kept_until)
     SELECT gen_random_uuid(), 'token', users.id, 'logout', 'user:' || users.id, now() - n * interval '1 second', now() + interval '90 days'
     FROM generate_series(1, $1::int) AS n JOIN users ON users.username = 'user' || (1 + n % $2::int)`,
    [MANY, USERS],
  );
  await admin.query('ANALYZE');
}, 120_000);
afterAll(() => house.close());

const NOTHING = { userId: null, sessionId: null, endingId: null, actor: null, since: null, until: null };
const ANY_USER = { username: null, isDisabled: null, ofClient: null };
const anyone = { userId: null, networks: null, since: null, until: null };

const MINUTE = { since: new Date(Date.now() - 60_000), until: new Date() };

const LISTS: [string, (database: Database) => Promise<unknown>][] = [
  ['users', (database) => findUsers(database, ANY_USER, PAGE)],
  ['users of a name', (database) => findUsers(database, { ...ANY_USER, username: 'nobody' }, PAGE)],
  ['users who may not log in', (database) => findUsers(database, { ...ANY_USER, isDisabled: true }, PAGE)],
  ...['shop', 'forum', 'nobody'].flatMap((clientId): [string, (database: Database) => Promise<unknown>][] => [
    [
      `users of ${clientId}`,
      (database) => findUsers(database, { ...ANY_USER, ofClient: { clientId, externalId: null } }, PAGE),
    ],
    [
      `the user that ${clientId} calls so`,
      (database) => findUsers(database, { ...ANY_USER, ofClient: { clientId, externalId: '7' } }, PAGE),
    ],
  ]),
  ['sessions', (database) => findSessions(database, anyone, PAGE)],
  ['sessions of one user', (database) => findSessions(database, { ...anyone, userId: user.id }, PAGE)],
  [
    'sessions of a network',
    (database) => findSessions(database, { ...anyone, networks: ['203.0.113.0/24'], ...MINUTE }, PAGE),
  ],
  ['sessions of a time', (database) => findSessions(database, { ...anyone, until: new Date(0) }, PAGE)],
  ['revocations', (database) => findRevocations(database, NOTHING, PAGE)],
  ['revocations of one user', (database) => findRevocations(database, { ...NOTHING, userId: user.id }, PAGE)],
  [
    'revocations of a session',
    (database) => findRevocations(database, { ...NOTHING, sessionId: randomUUID() }, PAGE),
  ],
  [
    'revocations of an ending',
    (database) => findRevocations(database, { ...NOTHING, endingId: randomUUID() }, PAGE),
  ],
  ['revocations by users', (database) => findRevocations(database, { ...NOTHING, actor: 'user' }, PAGE)],
  [
    'revocations by one user',
    (database) => findRevocations(database, { ...NOTHING, actor: `user:${user.id}` }, PAGE),
  ],
  [
    'revocations by nobody',
    (database) => findRevocations(database, { ...NOTHING, actor: 'client:none' }, PAGE),
  ],
  [
    'revocations of a time',
    (database) => findRevocations(database, { ...NOTHING, until: new Date(0) }, PAGE),
  ],
];

const ORDER = { actor: 'client:console', reason: 'leak', note: null, maxSessions: null, isDryRun: false };
const endOf = (doomed: () => Doomed) => (database: Database) => end(database, doomed(), ORDER);

const ENDS: [string, (database: Database) => Promise<unknown>][] = [
  ['the end of a session', endOf(() => ({ sessionIds: [randomUUID()] }))],
  ['the end of a lineage', endOf(() => ({ lineage: randomUUID() }))],
  ['the end of a user', endOf(() => ({ userIds: [user.id] }))],
  ['the end of a network', endOf(() => ({ networks: ['203.0.113.0/24'], ...MINUTE }))],
  ...['shop', 'forum', 'nobody'].map((clientId): [string, (database: Database) => Promise<unknown>] => [
    `the end of what ${clientId} has opened`,
    endOf(() => ({ clientId, ...MINUTE })),
  ]),
  ['a lift', (database) => liftRevocation(database, randomUUID(), 'client:console', null)],
];

/** Those of a network look first how far they look: one statement more. */
const OF_NETWORK = /network/;

describe.each([...LISTS, ...ENDS])('%s', (name, ask) => {
  it('reads few rows, by indexes', async () => {
    const { database } = await house.replica();
    const given = OF_NETWORK.test(name) ? { database, statements: 1 } : null;
    const [statement, ...more] = await askNothing(ask, given);
    if (statement === undefined) throw new Error('nothing was asked');
    expect(more).toEqual([]);
    for (const table of ['users', 'sessions', 'revocations']) {
      const { kinds, rows } = await explain(house.database.admin, statement, table);
      expect(kinds, table).not.toContain('Seq Scan');
      expect(rows, table).toBeLessThanOrEqual(BOUND);
    }
  });
});

it('a page far behind is as cheap as the first', async () => {
  for (const list of [findSessions, findRevocations] as const) {
    let after: string | null = null;
    const read = list as (
      database: Database,
      filter: object,
      page: { limit: number; after: string | null },
    ) => Promise<{ next: string | null }>;
    const filter = list === findSessions ? anyone : NOTHING;
    const database = (await house.replica()).database;
    for (let page = 0; page < 20; page += 1)
      ({ next: after } = await read(database, filter, { limit: 200, after }));
    const [statement] = await askNothing((nobody) => read(nobody, filter, { limit: 200, after }));
    if (statement === undefined) throw new Error('nothing was asked');
    const { rows } = await explain(
      house.database.admin,
      statement,
      list === findSessions ? 'sessions' : 'revocations',
    );
    expect(rows).toBeLessThanOrEqual(3 * BOUND);
  }
});
