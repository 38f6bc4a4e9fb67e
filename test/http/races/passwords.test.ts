// A change of password that meets another one, a login, a refresh or an end: one of them is first, and nothing is half done.
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { Doomed } from '../../../src/domain/operators/endings.js';
import { changePassword, disableUser } from '../../../src/domain/users/users.js';
import { keepAttempts, openHeldReplica, type HeldReplica } from '../../support/held-replica.js';
import {
  bearer,
  claimsOf,
  DEFAULTS,
  login,
  postForm,
  refresh,
  type Replica,
  type TestUser,
  type TokenPair,
} from '../../support/house.js';
import { retryOn503 } from '../../support/retry.js';
import { holdRow, holdSession, type RowLock } from '../../support/row-lock.js';
import { logOut, logOutAll, openTwins, START, stateOf, type Twins } from '../../support/twins.js';

let twins: Twins;
let held: HeldReplica;
let user: TestUser;
let mine: TokenPair;
let other: TokenPair;

beforeAll(async () => {
  twins = await openTwins();
  await twins.house.database.clock.release();
  held = await openHeldReplica(twins.house);
});
beforeEach(async () => {
  user = await twins.house.user();
  mine = await login(twins.one, user);
  other = await login(twins.two, user);
});
afterAll(async () => {
  await held.close();
  await twins.house.close();
});

const FIRST = 'correct horse battery staple';
const SECOND = 'vfr4 mountain lamp 83';

/** Insists, since judging a password may take too long on a busy machine. Then nothing was changed. */
function change(
  { app }: Replica,
  { access_token }: TokenPair,
  next: string,
): Promise<LightMyRequestResponse> {
  const payload = { current_password: user.password, new_password: next };
  const headers = bearer(access_token);
  return retryOn503(() => app.inject({ method: 'POST', url: '/password', headers, payload }));
}

async function mayLogIn(password: string): Promise<boolean> {
  const payload = { username: user.username, password };
  return (await twins.one.app.inject({ method: 'POST', url: '/login', payload })).statusCode === 200;
}

/** As a resource server does with a token that it holds. */
function revoke({ one }: Twins, token: string): Promise<LightMyRequestResponse> {
  return postForm(one, '/revoke', twins.client, { token });
}

function holdUser(): Promise<RowLock> {
  return holdRow(twins.house.database, 'SELECT FROM users WHERE id = $1 FOR UPDATE', user.id);
}

describe('two changes at once', () => {
  it.each([
    ['of two sessions', () => other, 'invalid_token'],
    ['of one session', () => mine, 'invalid_credentials'],
  ])(
    '%s have verified the same password: one wins, the other changes nothing',
    async (_what, first, refusal) => {
      const { reached, release } = held.hold();
      const late = change(held, mine, FIRST);
      await reached;
      const won = await change(twins.two, first(), SECOND);
      expect(won.statusCode).toBe(200);
      release();
      expect((await late).json()).toMatchObject({ status: 401, error: refusal });
      expect([await mayLogIn(user.password), await mayLogIn(FIRST), await mayLogIn(SECOND)]).toEqual([
        false,
        false,
        true,
      ]);
      expect(await stateOf(twins, first().access_token)).toBe('dead');
      expect(await stateOf(twins, won.json<TokenPair>().access_token)).toBe('alive');
    },
  );

  it('with the same passwords, of one session, are one change and its repetition', async () => {
    const { reached, release } = held.hold();
    const late = change(held, mine, FIRST);
    await reached;
    const won = (await change(twins.two, mine, FIRST)).json<TokenPair>();
    release();
    const repeated = (await late).json<TokenPair>();
    expect([repeated.session_id, repeated.refresh_token]).toEqual([won.session_id, won.refresh_token]);
    expect(await stateOf(twins, won.access_token)).toBe('alive');
    expect(await stateOf(twins, repeated.access_token)).toBe('alive');
    expect(await sessionsOf()).toBe(3);
  });

  it('with the same passwords, of one session, wait for each other at the row, and open one session', async () => {
    const lock = await holdUser();
    const changes = [change(twins.one, mine, FIRST)];
    await lock.queue(1);
    changes.push(change(twins.two, mine, FIRST));
    await lock.queue(2);
    await lock.release();
    const answers = (await Promise.all(changes)).map((response) => response.json<TokenPair>());
    expect(answers.map(({ session_id }) => session_id)).toEqual(Array(2).fill(answers[0]?.session_id));
    for (const { access_token } of answers) expect(await stateOf(twins, access_token)).toBe('alive');
    expect(await sessionsOf()).toBe(3);
  });

  it('wait for each other at the row: an operator who is second has the last word', async () => {
    const hash = await twins.house.hasher.hash(SECOND);
    const lock = await holdUser();
    const changing = change(twins.one, mine, FIRST);
    await lock.queue(1);
    const setting = changePassword(twins.two.database, user.username, hash);
    await lock.queue(2);
    await lock.release();
    const changed = await changing;
    expect([changed.statusCode, await setting]).toEqual([200, true]);
    expect([await mayLogIn(FIRST), await mayLogIn(SECOND)]).toEqual([false, true]);
    expect(await stateOf(twins, changed.json<TokenPair>().access_token)).toBe('dead');
  });
});

describe('a change in flight', () => {
  /** Starts a change that has verified the password, lets the other thing happen, and then lets it go on. */
  async function changeBehind<Done>(happen: () => Promise<Done>): Promise<[LightMyRequestResponse, Done]> {
    const { reached, release } = held.hold();
    const changing = change(held, mine, FIRST);
    await reached;
    const done = await happen();
    release();
    return [await changing, done];
  }

  it.each([
    ['its session was logged out', () => logOut(twins.two, mine.access_token)],
    ['a client revoked its access token', () => revoke(twins, mine.access_token)],
    ['a client revoked the refresh token of its session', () => revoke(twins, mine.refresh_token)],
    ['everything was logged out', () => logOutAll(twins.two, other.access_token)],
    [
      'everything else was logged out',
      () => logOutAll(twins.two, other.access_token, { except_current: true }),
    ],
    ['the user was disabled', () => disableUser(twins.two.database, user.username)],
  ])('changes nothing when %s meanwhile', async (_what, end) => {
    const [changed] = await changeBehind<unknown>(end);
    expect(changed.json()).toMatchObject({ status: 401, error: 'invalid_token' });
    const { rows } = await twins.house.database.admin.query<{ reason: string }>(
      `SELECT reason FROM revocations WHERE user_id = $1 AND reason = 'password_changed'`,
      [user.id],
    );
    expect(rows).toEqual([]);
    expect(await stateOf(twins, mine.access_token)).toBe('dead');
  });

  it('changes nothing when an operator has set another password meanwhile', async () => {
    const hash = await twins.house.hasher.hash(SECOND);
    const [changed] = await changeBehind(() => changePassword(twins.two.database, user.username, hash));
    expect(changed.json()).toMatchObject({ status: 401, error: 'invalid_token' });
    expect([await mayLogIn(FIRST), await mayLogIn(SECOND)]).toEqual([false, true]);
  });

  it('succeeds when its own session has logged out all others meanwhile', async () => {
    const [changed] = await changeBehind(() =>
      logOutAll(twins.two, mine.access_token, { except_current: true }),
    );
    expect(changed.statusCode).toBe(200);
    expect(await stateOf(twins, changed.json<TokenPair>().access_token)).toBe('alive');
  });

  it('succeeds when a login has hashed the same password anew meanwhile', async () => {
    const [changed] = await changeBehind(async () =>
      twins.house.database.admin.query('UPDATE users SET password_hash = $2 WHERE id = $1', [
        user.id,
        await twins.house.hasher.hash(user.password),
      ]),
    );
    expect(changed.statusCode).toBe(200);
    expect([await mayLogIn(user.password), await mayLogIn(FIRST)]).toEqual([false, true]);
  });

  it('is made, though it cannot be written down any more that the password was right', async () => {
    const { admin } = twins.house.database;
    const [changed] = await changeBehind(() => keepAttempts(twins));
    await admin.query('DROP FUNCTION keep CASCADE');
    expect(changed.statusCode).toBe(200);
    expect([await mayLogIn(user.password), await mayLogIn(FIRST)]).toEqual([false, true]);
  });

  it('ends what its session was refreshed to meanwhile', async () => {
    const [changed, refreshed] = await changeBehind(() => refresh(twins.two, mine.refresh_token));
    expect(changed.statusCode).toBe(200);
    expect(await stateOf(twins, refreshed.json<TokenPair>().access_token)).toBe('dead');
    const late = await refresh(twins.one, refreshed.json<TokenPair>().refresh_token);
    expect(late.json()).toMatchObject({ status: 401, error: 'refresh_superseded' });
    expect(await stateOf(twins, changed.json<TokenPair>().access_token)).toBe('alive');
  });
});

it.each([
  ['a logout', () => logOut(twins.two, mine.access_token)],
  ['a revoked refresh token', () => revoke(twins, mine.refresh_token)],
  ['a revoked access token', () => revoke(twins, mine.access_token)],
])('judges its session as it is when its turn at the rows has come: %s was first', async (_what, end) => {
  const lock = await holdUser();
  const changing = change(twins.one, mine, FIRST);
  await lock.queue(1);
  // The statement has begun, and its snapshot shows a session that has not ended.
  expect((await end()).statusCode).toBeLessThan(300);
  await lock.release();
  expect((await changing).json()).toMatchObject({ status: 401, error: 'invalid_token' });
  expect([await mayLogIn(user.password), await mayLogIn(FIRST)]).toEqual([true, false]);
});

it('is done before an end of its session that waits behind it, and the session ends all the same', async () => {
  const lock = await holdSession(twins.house.database, mine.session_id);
  const changing = change(twins.one, mine, FIRST);
  await lock.queue(1);
  const revoking = revoke(twins, mine.refresh_token);
  await lock.queue(2);
  await lock.release();
  const changed = await changing;
  expect([changed.statusCode, (await revoking).statusCode]).toEqual([200, 200]);
  expect([await mayLogIn(user.password), await mayLogIn(FIRST)]).toEqual([false, true]);
  expect(await stateOf(twins, mine.access_token)).toBe('dead');
  expect((await refresh(twins.one, mine.refresh_token)).json()).toMatchObject({ status: 401 });
  expect(await stateOf(twins, changed.json<TokenPair>().access_token)).toBe('alive');
});

it('leaves a revocation of the token that asked, which comes afterwards, a row that tells of it', async () => {
  expect((await change(twins.one, mine, FIRST)).statusCode).toBe(200);
  expect((await revoke(twins, mine.access_token)).statusCode).toBe(200);
  expect(await stateOf(twins, mine.access_token)).toBe('dead');
  const { rows } = await twins.house.database.admin.query(
    `SELECT reason, actor FROM revocations WHERE user_id = $1 AND kind = 'token'`,
    [user.id],
  );
  expect(rows).toEqual([{ reason: 'revoked', actor: `client:${twins.client.id}` }]);
});

describe('once the window of the session has run out', () => {
  beforeEach(async () => {
    await twins.house.database.clock.freeze(START);
    mine = await login(twins.one, user);
  });
  afterEach(() => twins.house.database.clock.release());

  /** A change that waits, by a session whose first refresh token has become theft. */
  async function changeLate(): Promise<{ lock: RowLock; changing: Promise<LightMyRequestResponse> }> {
    const { access_token } = (await refresh(twins.two, mine.refresh_token)).json<TokenPair>();
    await twins.house.database.clock.advance(DEFAULTS.replayWindowSeconds + 1);
    const lock = await holdUser();
    const changing = change(twins.one, { ...mine, access_token }, FIRST);
    await lock.queue(1);
    return { lock, changing };
  }

  it('is done before a theft of its session is noticed, and nobody is called a thief', async () => {
    const { lock, changing } = await changeLate();
    await lock.release();
    const changed = await changing;
    expect(changed.statusCode).toBe(200);
    const stolen = await refresh(twins.two, mine.refresh_token);
    expect(stolen.json()).toMatchObject({ status: 401, error: 'refresh_superseded' });
    expect(await stateOf(twins, changed.json<TokenPair>().access_token)).toBe('alive');
  });

  it('changes nothing when its session has ended by theft while it waited', async () => {
    const { lock, changing } = await changeLate();
    expect((await refresh(twins.two, mine.refresh_token)).json()).toMatchObject({ error: 'refresh_reused' });
    await lock.release();
    expect((await changing).json()).toMatchObject({ status: 401, error: 'invalid_token' });
    expect(await mayLogIn(user.password)).toBe(true);
  });
});

it('lets no login in that has verified the old password', async () => {
  const { reached, release } = held.hold();
  const payload = { username: user.username, password: user.password };
  const logging = held.app.inject({ method: 'POST', url: '/login', payload });
  await reached;
  expect((await change(twins.two, mine, FIRST)).statusCode).toBe(200);
  release();
  expect((await logging).json()).toMatchObject({ status: 401, error: 'invalid_credentials' });
});

it('supersedes a refresh of the session that asks, which waits for it', async () => {
  const lock = await holdSession(twins.house.database, mine.session_id);
  const changing = change(twins.one, mine, FIRST);
  await lock.queue(1);
  const refreshing = refresh(twins.two, mine.refresh_token);
  await lock.queue(2);
  await lock.release();
  const [changed, refreshed] = await Promise.all([changing, refreshing]);
  expect(changed.statusCode).toBe(200);
  expect(refreshed.json()).toMatchObject({ status: 401, error: 'refresh_superseded' });
  expect(await stateOf(twins, changed.json<TokenPair>().access_token)).toBe('alive');
});

it('ends what a refresh of the session that asks gives, which was first at its row', async () => {
  const lock = await holdSession(twins.house.database, mine.session_id);
  const refreshing = refresh(twins.two, mine.refresh_token);
  await lock.queue(1);
  const changing = change(twins.one, mine, FIRST);
  await lock.queue(2);
  await lock.release();
  const [changed, refreshed] = await Promise.all([changing, refreshing]);
  expect([changed.statusCode, refreshed.statusCode]).toEqual([200, 200]);
  expect(await stateOf(twins, refreshed.json<TokenPair>().access_token)).toBe('dead');
  expect(await stateOf(twins, changed.json<TokenPair>().access_token)).toBe('alive');
});

it.each([
  ['a logout', () => logOut(twins.two, mine.access_token)],
  ['the end of all sessions', () => logOutAll(twins.two, mine.access_token)],
])('is over when %s of the new session comes before a repetition', async (_what, end) => {
  const asking = mine;
  mine = (await change(twins.one, asking, FIRST)).json<TokenPair>();
  expect((await end()).statusCode).toBeLessThan(300);
  expect((await change(twins.two, asking, FIRST)).json()).toMatchObject({ error: 'invalid_token' });
});

it('is repeated behind a refresh of the new session, and gives what that gave', async () => {
  const opened = (await change(twins.one, mine, FIRST)).json<TokenPair>();
  const lock = await holdSession(twins.house.database, opened.session_id);
  const refreshing = refresh(twins.two, opened.refresh_token);
  await lock.queue(1);
  const repeating = change(twins.one, mine, FIRST);
  await lock.queue(2);
  await lock.release();
  const [refreshed, repeated] = await Promise.all([refreshing, repeating]);
  expect(repeated.json<TokenPair>().refresh_token).toBe(refreshed.json<TokenPair>().refresh_token);
});

it('is not repeated behind an end of the new session', async () => {
  const opened = (await change(twins.one, mine, FIRST)).json<TokenPair>();
  const lock = await holdSession(twins.house.database, opened.session_id);
  const ending = logOut(twins.two, opened.access_token);
  await lock.queue(1);
  const repeating = change(twins.one, mine, FIRST);
  await lock.queue(2);
  await lock.release();
  expect((await ending).statusCode).toBe(204);
  expect((await repeating).json()).toMatchObject({ status: 401, error: 'invalid_token' });
});

/** How many rows of sessions the user has, ended ones included. */
async function sessionsOf(): Promise<number> {
  const { rows } = await twins.house.database.admin.query<{ id: string }>(
    'SELECT id FROM sessions WHERE user_id = $1',
    [user.id],
  );
  return rows.length;
}

async function nowOfDatabase(): Promise<Date> {
  const { rows } = await twins.house.database.admin.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  return rows[0]?.now ?? new Date(NaN);
}

describe('a change that waits for the user’s row while an operator ends the session that asks', () => {
  it.each<[string, () => Doomed | Promise<Doomed>]>([
    ['by itself', () => ({ sessionIds: [mine.session_id] })],
    ['by a token of it', () => ({ lineage: claimsOf(mine.access_token).jti.replace(/\.\d+$/, '') })],
    ['with all that were opened before', async () => ({ openedBefore: await nowOfDatabase() })],
  ])('%s leaves nothing alive', async (_what, doomed) => {
    const lock = await holdUser();
    const waiting = change(twins.one, mine, FIRST);
    await lock.queue(1);
    const order = { actor: 'client:console', reason: 'leak', note: null, maxSessions: null, isDryRun: false };
    await twins.two.gatehouse.operators.end((await doomed()) as never, order);
    expect(await stateOf(twins, mine.access_token)).toBe('dead');
    await lock.release();
    expect((await waiting).json()).toMatchObject({ status: 401, error: 'invalid_token' });
    const { rows } = await twins.house.database.admin.query<{ id: string }>(
      `SELECT id FROM sessions WHERE user_id = $1 AND ended_at IS NULL AND id NOT IN ($2, $3)`,
      [user.id, mine.session_id, other.session_id],
    );
    expect(rows).toEqual([]);
  });
});
