// A user who is deleted: out at once, found nowhere, and never back, with other changes under way; and the rows that go afterwards.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openDatabase, type Database } from '../../src/database/prisma.js';
import { createThrottle } from '../../src/domain/guessing/throttle.js';
import { deleteUser, pruneDeletedUsers } from '../../src/domain/operators/deletion.js';
import { changeUser } from '../../src/domain/operators/users.js';
import { findUser, findUserById, listUsers } from '../../src/domain/users/found.js';
import { addUser, changePassword, disableUser, enableUser } from '../../src/domain/users/users.js';
import { AMPLE_MS, bearer, DEFAULTS, login, type TestUser, type TokenPair } from '../support/house.js';
import { holdRow } from '../support/row-lock.js';
import { openTwins, stateOf, stateOfRefresh, type Twins } from '../support/twins.js';

const ACTOR = 'client:console';

let twins: Twins;
let database: Database;

beforeAll(async () => {
  twins = await openTwins();
  database = openDatabase(twins.house.database.url, { deadlineMs: AMPLE_MS });
});
afterAll(async () => {
  await database.close();
  await twins.house.close();
});

async function rowOf(id: string): Promise<Record<string, unknown> | undefined> {
  const { rows } = await twins.house.database.admin.query<Record<string, unknown>>(
    `SELECT username, password_hash, scope, disabled_at IS NOT NULL AS disabled, deleted_at IS NOT NULL AS deleted
     FROM users WHERE id = $1`,
    [id],
  );
  return rows[0];
}

function gone(id: string) {
  return { username: id, password_hash: null, scope: '', disabled: true, deleted: true };
}

async function endsOf(id: string): Promise<string[]> {
  const { rows } = await twins.house.database.admin.query<{ reason: string }>(
    "SELECT reason FROM revocations WHERE user_id = $1 AND kind = 'user' ORDER BY epoch",
    [id],
  );
  return rows.map(({ reason }) => reason);
}

async function countSessions(): Promise<number> {
  const { rows } = await twins.house.database.admin.query<{ count: number }>(
    'SELECT count(*)::int AS count FROM sessions',
  );
  return rows[0]?.count ?? NaN;
}

/** Sends a row of sessions to the database for each of `count` logins that were long ago. */
async function addSessions(user: TestUser, count: number): Promise<void> {
  await twins.house.database.admin.query(
    `INSERT INTO sessions (id, user_id, epoch, opened_at, rotated_at, refresh_expires_at, expires_at, ip)
     SELECT gen_random_uuid(), $1, 0, at, at, at + interval '1 day', at + interval '90 days', '198.51.100.7'
     FROM generate_series(1, $2::int), (SELECT clock_timestamp() AS at) AS opening`,
    [user.id, count],
  );
}

describe('a deleted user', () => {
  it('is out on every replica, is found nowhere, and leaves no name', async () => {
    const user = await twins.house.user({ username: `ada-${randomUUID()}`, scope: 'read' });
    const other = await twins.house.user();
    const pairs = [await login(twins.one, user), await login(twins.two, user), await login(twins.one, other)];
    const [first, second, others] = pairs as [TokenPair, TokenPair, TokenPair];
    await deleteUser(database, user.id, ACTOR);
    for (const pair of [first, second]) {
      expect(await stateOf(twins, pair.access_token)).toBe('dead');
      expect(await stateOfRefresh(twins, pair.refresh_token)).toBe('dead');
    }
    expect(await stateOf(twins, others.access_token)).toBe('alive');
    expect(await findUser(database, user.username)).toBeNull();
    expect(await findUser(database, user.id)).toBeNull();
    expect(await findUserById(database, user.id)).toBeNull();
    expect((await listUsers(database)).map(({ id }) => id)).not.toContain(user.id);
    for (const name of [user.username, user.id]) {
      expect(await enableUser(database, name)).toBe(false);
      expect(await disableUser(database, name)).toBe(false);
      expect(await changePassword(database, name, 'hash')).toBe(false);
      await expect(login(twins.two, { ...user, username: name })).rejects.toThrow('401');
    }
    expect(await rowOf(user.id)).toEqual(gone(user.id));
    expect(await endsOf(user.id)).toEqual(['user_deleted']);
    for (const table of ['users', 'sessions', 'revocations', 'login_attempts']) {
      const { rows } = await twins.house.database.admin.query<{ text: string }>(
        `SELECT t::text AS text FROM ${table} AS t`,
      );
      expect(rows.filter(({ text }) => text.includes(user.username))).toEqual([]);
    }
  });

  it('frees the name at once, for somebody else whose sessions and attempts are not the old one’s', async () => {
    const user = await twins.house.user();
    const { access_token: old } = await login(twins.one, user);
    const throttle = createThrottle(database);
    for (let network = 0; network < 18; network += 1)
      await throttle.takeAttempt(user.username, `198.51.100.${network}`);
    expect((await findUserById(database, user.id))?.lockedUntil).toBeInstanceOf(Date);
    await deleteUser(database, user.id, ACTOR);
    const next = await twins.house.user({ username: user.username });
    expect(next.id).not.toBe(user.id);
    expect((await findUserById(database, next.id))?.lockedUntil).toBeNull();
    const { access_token: fresh } = await login(twins.two, next);
    expect(await stateOf(twins, fresh)).toBe('alive');
    expect(await stateOf(twins, old)).toBe('dead');
    expect(await pruneDeletedUsers(database)).toBeGreaterThan(0);
    expect(await stateOf(twins, fresh)).toBe('alive');
    const { rows } = await twins.house.database.admin.query<{ user_id: string }>(
      'SELECT user_id FROM sessions WHERE user_id = ANY($1)',
      [[user.id, next.id]],
    );
    expect(rows).toEqual([{ user_id: next.id }]);
  });

  it('is deleted once, however often', async () => {
    const user = await twins.house.user();
    await Promise.all([1, 2, 3].map(() => deleteUser(database, user.id, ACTOR)));
    await deleteUser(database, user.id, ACTOR);
    await deleteUser(database, randomUUID(), ACTOR);
    expect(await endsOf(user.id)).toEqual(['user_deleted']);
  });

  it('is one event, and the addresses of the user’s own events go with the rows, in batches', async () => {
    const [user, other] = [await twins.house.user(), await twins.house.user()];
    const { admin } = twins.house.database;
    await login(twins.one, user);
    await login(twins.one, other);
    await admin.query(
      `INSERT INTO events (id, type, outcome, actor, user_id, ip, user_agent)
       SELECT gen_random_uuid(), 'login', 'invalid_credentials', $2, $1, '198.51.100.7', 'a browser' FROM generate_series(1, 1500)`,
      [user.id, `user:${user.id}`],
    );
    const origin = { ip: '203.0.113.9', userAgent: 'a console', requestId: randomUUID() };
    for (let time = 0; time < 2; time += 1) await deleteUser(database, user.id, ACTOR, { origin });
    await pruneDeletedUsers(database);
    const { rows } = await admin.query(
      `SELECT type, actor, host(ip) AS ip, user_agent AS agent, count(*)::int AS count FROM events WHERE user_id = $1
       GROUP BY 1, 2, 3, 4 ORDER BY 1`,
      [user.id],
    );
    const own = { actor: `user:${user.id}`, ip: null, agent: null };
    expect(rows).toEqual([
      { type: 'login', ...own, count: 1500 },
      { type: 'session.opened', ...own, count: 1 },
      { type: 'user.added', actor: 'gatehouse', ip: null, agent: null, count: 1 },
      { type: 'user.deleted', actor: ACTOR, ip: '203.0.113.9', agent: 'a console', count: 1 },
    ]);
    const kept = await admin.query(
      "SELECT host(ip) AS ip FROM events WHERE user_id = $1 AND type = 'session.opened'",
      [other.id],
    );
    expect(kept.rows).toEqual([{ ip: '127.0.0.1' }]);
    expect(await rowOf(user.id)).toBeUndefined();
  });

  it('goes where another user is called like the id', async () => {
    const user = await twins.house.user();
    const namesake = await twins.house.user({ username: user.id });
    await deleteUser(database, user.id, ACTOR);
    expect(await rowOf(user.id)).toEqual({ ...gone(user.id), username: ` ${user.id}` });
    expect(await findUser(database, user.id)).toMatchObject({ id: namesake.id });
  });

  it.each([
    ['enabled', 'disabled_at = NULL'],
    ['given a password', "password_hash = 'hash'"],
    ['given a name', "username = 'ada'"],
  ])('cannot be %s by a build that knows of no deletion', async (_what, change) => {
    const user = await twins.house.user();
    await deleteUser(database, user.id, ACTOR);
    const changing = twins.house.database.admin.query(`UPDATE users SET ${change} WHERE id = $1`, [user.id]);
    await expect(changing).rejects.toMatchObject({ code: '23514' });
  });
});

const CHANGES: [string, (user: TestUser, pair: TokenPair) => Promise<unknown>][] = [
  ['enabling', ({ username }) => enableUser(database, username)],
  ['disabling', ({ username }) => disableUser(database, username)],
  ['an operator’s new password', ({ username }) => changePassword(database, username, 'hash')],
  ['another name', ({ id }) => changeUser(database, id, { username: `new-${id}` }, ACTOR, DEFAULTS)],
  ['a PATCH that enables', ({ id }) => changeUser(database, id, { isDisabled: false }, ACTOR, DEFAULTS)],
  [
    'a PATCH of the password',
    ({ id }) => changeUser(database, id, { passwordHash: 'hash' }, ACTOR, DEFAULTS),
  ],
  [
    'the user’s own new password',
    ({ password }, pair) =>
      twins.two.app.inject({
        method: 'POST',
        url: '/password',
        headers: bearer(pair.access_token),
        payload: { current_password: password, new_password: 'nine tall herons nap at noon' },
      }),
  ],
  [
    'logging out everywhere',
    (_user, pair) =>
      twins.two.app.inject({
        method: 'POST',
        url: '/logout-all',
        headers: bearer(pair.access_token),
        payload: {},
      }),
  ],
];

describe.each(CHANGES)('%s at the moment of the deletion', (_what, change) => {
  it.each(['deletion', 'change'])('brings nobody back when the %s is first', async (first) => {
    const user = await twins.house.user();
    const pair = await login(twins.one, user);
    const lock = await holdRow(twins.house.database, 'SELECT FROM users WHERE id = $1 FOR UPDATE', user.id);
    const steps = [
      () => deleteUser(database, user.id, ACTOR),
      () => change(user, pair).catch(() => undefined),
    ];
    if (first === 'change') steps.reverse();
    const [one, two] = steps as [(typeof steps)[0], (typeof steps)[0]];
    const running = [one()];
    await lock.queue(1);
    running.push(two());
    await lock.queue(2);
    await lock.release();
    await Promise.all(running);
    expect(await rowOf(user.id)).toEqual(gone(user.id));
    expect(await findUserById(database, user.id)).toBeNull();
    expect(await stateOf(twins, pair.access_token)).toBe('dead');
    // A session that a new password has replaced is superseded, for a while.
    expect(await stateOfRefresh(twins, pair.refresh_token)).toMatch(/^dead$|superseded/);
    const added = await addUser(database, { username: user.username, passwordHash: null, scope: '' });
    expect(added).not.toBeNull();
  });
});

describe('what is left of deleted users', () => {
  it('goes in batches, on whichever replica, also after a crash in between, and nobody else’s', async () => {
    const [user, another, other] = [
      await twins.house.user(),
      await twins.house.user(),
      await twins.house.user(),
    ];
    const { access_token: others } = await login(twins.one, other);
    await pruneDeletedUsers(database);
    await addSessions(user, 2500);
    await addSessions(another, 10);
    await deleteUser(database, user.id, ACTOR);
    const before = await countSessions();
    // One batch, and then no more of it: as if the replica had died.
    expect(await pruneDeletedUsers(database, AbortSignal.abort())).toBe(1000);
    expect(await countSessions()).toBe(before - 1000);
    await deleteUser(twins.two.database, another.id, ACTOR);
    await Promise.all([pruneDeletedUsers(twins.one.database), pruneDeletedUsers(twins.two.database)]);
    await pruneDeletedUsers(twins.two.database);
    expect(await countSessions()).toBe(before - 2510);
    expect([await rowOf(user.id), await rowOf(another.id)]).toEqual([undefined, undefined]);
    expect(await stateOf(twins, others)).toBe('alive');
    expect(await endsOf(user.id)).toEqual(['user_deleted']);
    await deleteUser(database, user.id, ACTOR);
  });
});
