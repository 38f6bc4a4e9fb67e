// Epochs at the top of their type: what one row holds is the matter of its own user, and of nobody else.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { openDatabase, type Database } from '../../src/database/prisma.js';
import { retireKey } from '../../src/domain/keys/retirement.js';
import { listKeys } from '../../src/domain/keys/keys.js';
import { listSessions } from '../../src/domain/sessions/listed.js';
import { changePassword, disableUser, enableUser } from '../../src/domain/users/users.js';
import {
  AMPLE_MS,
  bearer,
  login,
  openHouse,
  refresh,
  SECRET,
  type House,
  type Replica,
  type TestUser,
  type TokenPair,
} from '../support/house.js';
import { retryOn503 } from '../support/retry.js';

const INT4_MOST = 2n ** 31n - 1n;
const INT8_MOST = 2n ** 63n - 1n;

let house: House;
let replica: Replica;
let database: Database;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  database = openDatabase(house.database.url, { connections: 2, deadlineMs: AMPLE_MS });
});
beforeEach(() => setServiceEpoch(0n));
afterAll(async () => {
  await database.close();
  await house.close();
});

async function setServiceEpoch(epoch: bigint): Promise<void> {
  await house.database.admin.query('UPDATE service SET epoch = $1', [epoch]);
}

async function setEpoch({ id }: TestUser, epoch: bigint): Promise<void> {
  await house.database.admin.query('UPDATE users SET epoch = $1 WHERE id = $2', [epoch, id]);
}

function ask(token: string, method: 'GET' | 'POST' = 'GET', url = '/session', payload?: object) {
  return replica.app.inject({ method, url, headers: bearer(token), ...(payload && { payload }) });
}

async function statusOf(token: string): Promise<number> {
  return (await ask(token)).statusCode;
}

/** What a user does in a life, each step with what is true after it. */
async function live(user: TestUser): Promise<void> {
  const { access_token: entry } = await login(replica, user);
  await ask(entry, 'POST', '/logout-all', {});
  const first = await login(replica, user);
  const renewed = await refresh(replica, first.refresh_token);
  expect(renewed.statusCode).toBe(200);
  const { access_token: access } = renewed.json<TokenPair>();
  const other = await login(replica, user);
  expect((await listSessions(database, user.id, null)).map(({ id }) => id).sort()).toEqual(
    [first.session_id, other.session_id].sort(),
  );
  const payload = { except_current: true };
  expect((await ask(access, 'POST', '/logout-all', payload)).json()).toEqual({ sessions_ended: 1 });
  expect(await Promise.all([access, other.access_token].map(statusOf))).toEqual([200, 401]);
  const next = `another ${user.password}`;
  const change = { current_password: user.password, new_password: next };
  const changed = await retryOn503(() => ask(access, 'POST', '/password', change));
  const { access_token: opened } = changed.json<TokenPair>();
  expect(await Promise.all([access, opened].map(statusOf))).toEqual([401, 200]);
  // A repetition: the answer might have been lost.
  const again = await retryOn503(() => ask(access, 'POST', '/password', change));
  expect(await statusOf(again.json<TokenPair>().access_token)).toBe(200);
  expect((await refresh(replica, renewed.json<TokenPair>().refresh_token)).json()).toMatchObject({
    error: 'refresh_superseded',
  });
  expect((await ask(opened, 'POST', '/logout-all', {})).json()).toEqual({ sessions_ended: 1 });
  expect(await statusOf(opened)).toBe(401);
  const last = await login(replica, { ...user, password: next });
  expect(await disableUser(database, user.username)).toBe(true);
  expect(await enableUser(database, user.username)).toBe(true);
  expect(await statusOf(last.access_token)).toBe(401);
  expect(await changePassword(database, user.username, await house.hasher.hash(user.password))).toBe(true);
  await login(replica, user);
}

describe.each([INT4_MOST, INT4_MOST + 1n, 2n ** 53n + 1n])('an epoch of %s', (epoch) => {
  it('of one user lets all users live', async () => {
    await setServiceEpoch(3n);
    const users = [await house.user(), await house.user(), await house.user()] as const;
    const [near] = users;
    await setEpoch(near, epoch);
    const tokens = await Promise.all(users.map((user) => login(replica, user)));
    // Asked together, they share a statement.
    const statuses = await Promise.all(tokens.map((pair) => statusOf(pair.access_token)));
    expect(statuses).toEqual([200, 200, 200]);
    await live(near);
    for (const pair of tokens.slice(1)) expect(await statusOf(pair.access_token)).toBe(200);
  });

  it('of the service lets all users live, and can be raised', async () => {
    await setServiceEpoch(epoch);
    const [one, two] = [await house.user(), await house.user()];
    await setEpoch(two, epoch);
    const before = await login(replica, one);
    await live(two);
    const signing = (await listKeys(database)).find(({ state }) => state === 'signing');
    expect(await retireKey(database, signing?.kid ?? 'none', 'EdDSA', SECRET)).not.toBeNull();
    expect(await statusOf(before.access_token)).toBe(401);
    await live(one);
  });

  it('is written down by what ends all sessions', async () => {
    const user = await house.user();
    await setEpoch(user, epoch);
    const { access_token: access } = await login(replica, user);
    await ask(access, 'POST', '/logout-all', {});
    const { rows } = await house.database.admin.query<{ epoch: string }>(
      'SELECT epoch::text FROM revocations WHERE user_id = $1',
      [user.id],
    );
    expect(rows).toEqual([{ epoch: String(epoch) }]);
  });
});

it('an epoch that nothing can be added to fails nobody but its user', async () => {
  await setServiceEpoch(1n);
  const [stuck, other] = [await house.user(), await house.user()];
  const [own, others] = [await login(replica, stuck), await login(replica, other)];
  await setEpoch(stuck, INT8_MOST);
  const statuses = await Promise.all([own, others, own, others].map((pair) => statusOf(pair.access_token)));
  expect(statuses).toEqual([401, 200, 401, 200]);
  expect((await refresh(replica, own.refresh_token)).statusCode).toBe(401);
  expect((await refresh(replica, others.refresh_token)).statusCode).toBe(200);
  const { username, password } = stuck;
  const refused = await replica.app.inject({
    method: 'POST',
    url: '/login',
    payload: { username, password },
  });
  expect(refused.statusCode).toBe(500);
  await live(other);
});
