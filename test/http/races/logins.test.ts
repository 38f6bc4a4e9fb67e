// A login that has verified its password, but not yet opened its session, while everything of the user is ended.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { changePassword, disableUser, enableUser } from '../../../src/domain/users/users.js';
import { keepAttempts, openHeldReplica, type HeldReplica } from '../../support/held-replica.js';
import { login, type TestUser, type TokenPair } from '../../support/house.js';
import {
  logOutAll,
  openTwins,
  retireSigningKey,
  stateOf,
  stateOfRefresh,
  type Twins,
} from '../../support/twins.js';

const ROUNDS = 12;

let twins: Twins;
let held: HeldReplica;

beforeAll(async () => {
  twins = await openTwins();
  await twins.house.database.clock.release();
  held = await openHeldReplica(twins.house);
});
afterAll(async () => {
  await held.close();
  await twins.house.close();
});

const ENDS: [string, (user: TestUser, other: TokenPair) => Promise<unknown>][] = [
  ['is disabled', ({ username }) => disableUser(twins.one.database, username)],
  [
    'is disabled and enabled again',
    async ({ username }) => {
      await disableUser(twins.one.database, username);
      return await enableUser(twins.one.database, username);
    },
  ],
  [
    'is deleted',
    async ({ id }) => {
      await twins.one.gatehouse.operators.deleteUser(id, 'client:console');
      return true;
    },
  ],
  [
    'gets a new password',
    async ({ username }) =>
      changePassword(twins.one.database, username, await twins.house.hasher.hash('another one')),
  ],
  [
    'gets the same password anew',
    async ({ username, password }) =>
      changePassword(twins.one.database, username, await twins.house.hasher.hash(password)),
  ],
  [
    'logs out everywhere',
    async (_user, other) => (await logOutAll(twins.one, other.access_token)).statusCode === 200,
  ],
  [
    'logs out everywhere else',
    async (_user, other) =>
      (await logOutAll(twins.one, other.access_token, { except_current: true })).statusCode === 200,
  ],
  ['loses the key that signs', () => retireSigningKey(twins)],
  ['is ended by an operator', ({ id }) => endByOperator({ userIds: [id] })],
  ['is ended with everybody', () => endByOperator({ openedBefore: null })],
];

async function endByOperator(doomed: { userIds: string[] } | { openedBefore: null }): Promise<boolean> {
  const order = { actor: 'client:console', reason: 'leak', note: null, maxSessions: null, isDryRun: false };
  return (await twins.one.gatehouse.operators.end(doomed, order)).users > 0;
}

function logIn({ username, password }: TestUser) {
  return held.app.inject({ method: 'POST', url: '/login', payload: { username, password } });
}

async function countSessions(user: TestUser): Promise<unknown> {
  const { rows } = await twins.house.database.admin.query<{ count: number }>(
    'SELECT count(*)::int AS count FROM sessions WHERE user_id = $1',
    [user.id],
  );
  return rows[0]?.count;
}

describe.each(ENDS)('a login in flight while the user %s', (_what, end) => {
  it('opens nothing when the end was answered first', async () => {
    const user = await twins.house.user();
    const other = await login(twins.two, user);
    const { reached, release } = held.hold();
    const answer = logIn(user);
    await reached;
    expect(await end(user, other)).toBe(true);
    release();

    expect((await answer).json()).toMatchObject({ status: 401, error: 'invalid_credentials' });
    expect(await countSessions(user)).toBe(1);
  });

  it('leaves no live token when both are truly at once', async () => {
    const outcomes = new Set<number>();
    for (let round = 0; round < ROUNDS; round += 1) {
      const user = await twins.house.user();
      const other = await login(twins.two, user);
      const { reached, release } = held.hold();
      const answer = logIn(user);
      await reached;
      // Alternately one and the other has a head start.
      const ending = round % 2 === 0 ? end(user, other) : undefined;
      release();
      const [response] = await Promise.all([answer, ending ?? end(user, other)]);

      outcomes.add(response.statusCode);
      if (response.statusCode !== 200) continue;
      const pair = response.json<TokenPair>();
      expect(await stateOf(twins, pair.access_token)).toBe('dead');
      expect(await stateOfRefresh(twins, pair.refresh_token)).toBe('dead');
    }
    expect([200, 401]).toEqual(expect.arrayContaining([...outcomes]));
  });
});

it('a login whose password was right is let in, though that cannot be written down any more', async () => {
  const user = await twins.house.user();
  const { admin } = twins.house.database;
  const { reached, release } = held.hold();
  const payload = { username: user.username, password: user.password };
  const logging = held.app.inject({ method: 'POST', url: '/login', payload });
  await reached;
  await keepAttempts(twins);
  release();
  const response = await logging;
  await admin.query('DROP FUNCTION keep CASCADE');
  expect(response.statusCode).toBe(200);
  expect(await stateOf(twins, response.json<TokenPair>().access_token)).toBe('alive');
});
