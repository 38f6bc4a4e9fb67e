// A network among more sessions than are looked at in one call: a list goes on with the next page, and an end is refused, not answered 503.
import { afterAll, beforeAll, expect, it } from 'vitest';

import type { Database } from '../../src/database/prisma.js';
import { AuthError } from '../../src/domain/errors.js';
import { end } from '../../src/domain/operators/endings.js';
import { findSessions } from '../../src/domain/operators/found-sessions.js';
import { MOST_LOOKED_AT } from '../../src/domain/operators/looked-at.js';
import { openHouse, type House } from '../support/house.js';
import { listen } from '../support/plans.js';

const YEAR_MS = 365 * 86_400_000;
const until = new Date();
const since = new Date(until.getTime() - YEAR_MS);

/** Of this network there are three: the oldest of all sessions, one in the middle, and the one behind those of the first look. */
const NETWORKS = ['203.0.113.0/24'];

let house: House;
let database: Database;

beforeAll(async () => {
  house = await openHouse();
  ({ database } = await house.replica());
  const { id } = await house.user();
  const { admin } = house.database;
  await admin.query(
    `INSERT INTO sessions (id, user_id, epoch, opened_at, rotated_at, refresh_expires_at, expires_at, ip)
     SELECT (lpad(to_hex($2::float8::bigint - n * 1000), 12, '0') || '70008' || lpad(to_hex(n), 15, '0'))::uuid,
            $1, 0, now(), now(), now() + interval '14 days', now() + interval '90 days',
            CASE WHEN n IN (1000, $3::int4 + 1, $3::int4 + 2) THEN '203.0.113.7' ELSE '198.51.100.1' END::inet
     FROM generate_series(1, $3::int4 + 2) AS n`,
    [id, until.getTime(), MOST_LOOKED_AT],
  );
  await admin.query('VACUUM ANALYZE sessions');
}, 240_000);
afterAll(() => house.close());

it('is listed page by page, each of which ends where enough was looked at', async () => {
  const filter = { userId: null, networks: NETWORKS, since, until };
  const first = await findSessions(database, filter, { limit: 50, after: null });
  // The one at which the look ended is among those that were looked at.
  expect(first.rows).toHaveLength(2);
  const second = await findSessions(database, filter, { limit: 50, after: first.next });
  expect(second.rows).toHaveLength(1);
  expect(second.next).toBe(null);
  const empty = { ...filter, networks: ['192.0.2.0/24'] };
  const none = await findSessions(database, empty, { limit: 50, after: null });
  expect(none.rows).toEqual([]);
  expect(await findSessions(database, empty, { limit: 50, after: none.next })).toEqual({
    rows: [],
    next: null,
  });
});

it('is listed without such a look where no network is asked for', async () => {
  const listening = listen(database);
  const filter = { userId: null, networks: null, since, until };
  expect((await findSessions(listening, filter, { limit: 50, after: null })).rows).toHaveLength(50);
  expect(listening.asked).toHaveLength(1);
});

it('is ended in parts: nothing ends in a time in which too many were opened', async () => {
  const order = { actor: 'client:console', reason: 'leak', note: null, maxSessions: null };
  const standing = () => house.database.admin.query('SELECT FROM revocations');
  for (const isDryRun of [true, false]) {
    const refused = await end(database, { networks: NETWORKS, since, until }, { ...order, isDryRun }).catch(
      (error: unknown) => error,
    );
    expect(refused).toBeInstanceOf(AuthError);
    expect(refused).toMatchObject({
      code: 'invalid_request',
      detail: expect.stringMatching(/500000 sessions.*cut the time into parts/) as string,
    });
  }
  expect((await standing()).rowCount).toBe(0);
  const half = new Date(until.getTime() - (MOST_LOOKED_AT / 2) * 1000);
  for (const [part, sessions] of [
    [{ since: half, until }, 1],
    [{ since, until: half }, 2],
  ] as const)
    expect(await end(database, { networks: NETWORKS, ...part }, { ...order, isDryRun: false })).toMatchObject(
      {
        sessions,
      },
    );
});
