// Ends that meet refreshes, and each other, on one session’s row: in either order, no live token survives the answer.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { disableUser } from '../../../src/domain/users/users.js';
import { login, postForm, refresh, type TestUser, type TokenPair } from '../../support/house.js';
import { holdRow, holdSession } from '../../support/row-lock.js';
import {
  logOut,
  logOutAll,
  openTwins,
  retireSigningKey,
  stateOf,
  stateOfRefresh,
  type Twins,
} from '../../support/twins.js';

const ROUNDS = 40;

let twins: Twins;

beforeAll(async () => {
  twins = await openTwins();
  await twins.house.database.clock.release();
});
afterAll(() => twins.house.close());

type End = (pair: TokenPair, user: TestUser) => Promise<unknown>;

const ENDS: [string, End][] = [
  ['/logout', ({ access_token }) => logOut(twins.two, access_token)],
  ['/revoke', ({ refresh_token }) => postForm(twins.two, '/revoke', twins.client, { token: refresh_token })],
];

const ENDS_OF_A_USER: [string, End][] = [
  ['/logout-all', ({ access_token }) => logOutAll(twins.two, access_token)],
  ['retiring the key', () => retireSigningKey(twins)],
  ['disabling', (_pair, { username }) => disableUser(twins.two.database, username)],
];

/** Fails the test when a token of the pair, or of what it was exchanged for, is not dead on both replicas. */
async function statesOfAll(pair: TokenPair, refreshed: { statusCode: number; json: () => unknown }) {
  const states = [await stateOf(twins, pair.access_token), await stateOfRefresh(twins, pair.refresh_token)];
  if (refreshed.statusCode !== 200) return states;
  const next = refreshed.json() as TokenPair;
  return [
    ...states,
    await stateOf(twins, next.access_token),
    await stateOfRefresh(twins, next.refresh_token),
  ];
}

describe.each(ENDS)('%s beside a refresh in flight', (_name, end) => {
  it('waits for the refresh that came first, and ends what it gave', async () => {
    const user = await twins.house.user();
    const pair = await login(twins.one, user);
    const lock = await holdSession(twins.house.database, pair.session_id);
    const refreshing = refresh(twins.one, pair.refresh_token);
    await lock.queue(1);
    const ending = end(pair, user);
    await lock.queue(2);
    await lock.release();
    const [refreshed] = await Promise.all([refreshing, ending]);
    expect(refreshed.statusCode).toBe(200);
    expect(await statesOfAll(pair, refreshed)).toEqual(['dead', 'dead', 'dead', 'dead']);
  });

  it('leaves a refresh that came second with nothing', async () => {
    const user = await twins.house.user();
    const pair = await login(twins.one, user);
    const lock = await holdSession(twins.house.database, pair.session_id);
    const ending = end(pair, user);
    await lock.queue(1);
    const refreshing = refresh(twins.one, pair.refresh_token);
    await lock.queue(2);
    await lock.release();
    const [refreshed] = await Promise.all([refreshing, ending]);
    expect(refreshed.json()).toMatchObject({ status: 401, error: 'invalid_token' });
    expect(await statesOfAll(pair, refreshed)).toEqual(['dead', 'dead']);
  });
});

describe.each(ENDS_OF_A_USER)('%s beside a refresh in flight', (_name, end) => {
  it('does not wait for the refresh, whose tokens are dead on arrival', async () => {
    const user = await twins.house.user();
    const pair = await login(twins.one, user);
    const lock = await holdSession(twins.house.database, pair.session_id);
    const refreshing = refresh(twins.one, pair.refresh_token);
    await lock.queue(1);
    await end(pair, user);
    expect(await stateOf(twins, pair.access_token)).toBe('dead');
    await lock.release();
    const states = await statesOfAll(pair, await refreshing);
    expect(new Set(states)).toEqual(new Set(['dead']));
  });
});

describe.each([...ENDS, ...ENDS_OF_A_USER])('%s racing refreshes', (_name, end) => {
  it('leaves no live token behind, time and again', async () => {
    for (let round = 0; round < ROUNDS / 4; round += 1) {
      const user = await twins.house.user();
      const pair = await login(twins.one, user);
      const [first, second] = await Promise.all([
        refresh(twins.one, pair.refresh_token),
        refresh(twins.two, pair.refresh_token),
        end(pair, user),
      ]);
      for (const refreshed of [first, second]) {
        expect(new Set(await statesOfAll(pair, refreshed))).toEqual(new Set(['dead']));
      }
    }
  });
});

describe('/logout-all with except_current', () => {
  it('keeps the session that asks while that is refreshed, time and again', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const user = await twins.house.user();
      const other = await login(twins.two, user);
      const pair = await login(twins.one, user);
      const [refreshed, ended] = await Promise.all([
        refresh(twins.one, pair.refresh_token),
        logOutAll(twins.two, pair.access_token, { except_current: true }),
      ]);
      expect([refreshed.statusCode, ended.json()]).toEqual([200, { sessions_ended: 1 }]);
      expect(await stateOf(twins, pair.access_token)).toBe('alive');
      expect(await stateOf(twins, refreshed.json<TokenPair>().access_token)).toBe('alive');
      expect(await stateOfRefresh(twins, refreshed.json<TokenPair>().refresh_token)).toBe('alive');
      expect(await stateOf(twins, other.access_token)).toBe('dead');
    }
  });

  it.each(['the refresh', '/logout-all'])('keeps it when %s is first at its row', async (first) => {
    const pair = await login(twins.one, await twins.house.user());
    const lock = await holdSession(twins.house.database, pair.session_id);
    const calls = [
      () => refresh(twins.one, pair.refresh_token),
      () => logOutAll(twins.two, pair.access_token, { except_current: true }),
    ];
    if (first === '/logout-all') calls.reverse();
    const answers = [];
    for (const [place, call] of calls.entries()) {
      answers.push(call());
      await lock.queue(place + 1);
    }
    await lock.release();
    expect((await Promise.all(answers)).map(({ statusCode }) => statusCode)).toEqual([200, 200]);
    expect(await stateOf(twins, pair.access_token)).toBe('alive');
    expect(await stateOfRefresh(twins, pair.refresh_token)).toBe('alive');
  });

  it('keeps the session that asks twice at once, and says so both times', async () => {
    for (let round = 0; round < 10; round += 1) {
      const user = await twins.house.user();
      const other = await login(twins.one, user);
      const pair = await login(twins.one, user);
      const lock = await holdRow(
        twins.house.database,
        'SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE',
        user.id,
      );
      const asking = [twins.one, twins.two, twins.one].map((replica) =>
        logOutAll(replica, pair.access_token, { except_current: true }),
      );
      await lock.queue(asking.length);
      await lock.release();
      const answers = await Promise.all(asking);
      expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200, 200]);
      const counts = answers.map((answer) => answer.json<{ sessions_ended: number }>().sessions_ended);
      expect(counts.toSorted()).toEqual([0, 0, 1]);
      expect(await stateOf(twins, pair.access_token)).toBe('alive');
      expect(await stateOf(twins, other.access_token)).toBe('dead');
    }
  });

  it('keeps exactly one of two sessions that each ask to end the other', async () => {
    for (let round = 0; round < 10; round += 1) {
      const user = await twins.house.user();
      const pairs = [await login(twins.one, user), await login(twins.two, user)];
      const answers = await Promise.all(
        pairs.map(({ access_token }, place) =>
          logOutAll(place === 0 ? twins.one : twins.two, access_token, { except_current: true }),
        ),
      );
      const states = await Promise.all(pairs.map(({ access_token }) => stateOf(twins, access_token)));
      // Whoever was told 200 lives; the other was ended before it could ask, and is told so.
      expect(states.toSorted()).toEqual(['alive', 'dead']);
      expect(answers.map(({ statusCode }) => (statusCode === 200 ? 'alive' : 'dead'))).toEqual(states);
    }
  });
});

it('counts and ends everything once when two sessions log out everywhere at once', async () => {
  const user = await twins.house.user();
  const pairs = [await login(twins.one, user), await login(twins.two, user)];
  const answers = await Promise.all(pairs.map(({ access_token }) => logOutAll(twins.one, access_token)));
  expect(answers.map(({ statusCode }) => statusCode).toSorted()).toEqual([200, 401]);
  for (const { access_token } of pairs) expect(await stateOf(twins, access_token)).toBe('dead');
});

it('answers a logout that waits for another’s commit only when the session has ended', async () => {
  const pair = await login(twins.one, await twins.house.user());
  const lock = await holdSession(twins.house.database, pair.session_id);
  const both = [logOut(twins.one, pair.access_token), logOut(twins.two, pair.access_token)];
  await lock.queue(2);
  await lock.release();
  expect((await Promise.all(both)).map(({ statusCode }) => statusCode)).toEqual([204, 204]);
  expect(await stateOf(twins, pair.access_token)).toBe('dead');
});
