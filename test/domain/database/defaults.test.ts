// What a database or a role sets by default: our connections have their own way, and decide as ever.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { migrate } from '../../../src/database/migrate.js';
import { openDatabase } from '../../../src/database/prisma.js';
import { writeSettings } from '../../../src/database/settings.js';
import { createThrottle, LOGIN_LIMITS } from '../../../src/domain/guessing/throttle.js';
import { onServer } from '../../support/database.js';
import { createEmptyDatabase } from '../../support/empty-database.js';
import {
  bearer,
  claimsOf,
  login,
  postForm,
  refresh,
  type Replica,
  type TestUser,
  type TokenPair,
} from '../../support/house.js';
import { retryOn503, retryStart } from '../../support/retry.js';
import { holdRow, holdSession } from '../../support/row-lock.js';
import { stopMinute } from '../../support/stopped-clock.js';
import { logOut, logOutAll, openTwins, stateOf, stateOfRefresh, type Twins } from '../../support/twins.js';

/** Settings that would make a difference, each with a value that would hurt, and what our connections have in its place. */
const SETTINGS: Record<string, [hostile: string, ours: string]> = {
  search_path: ['nowhere', 'public, pg_temp'],
  client_encoding: ['LATIN1', 'UTF8'],
  TimeZone: ['Asia/Tokyo', 'UTC'],
  DateStyle: ['German', 'ISO, MDY'],
  IntervalStyle: ['iso_8601', 'postgres'],
  bytea_output: ['escape', 'hex'],
  extra_float_digits: ['-15', '1'],
  array_nulls: ['off', 'on'],
  standard_conforming_strings: ['off', 'on'],
  transform_null_equals: ['on', 'off'],
  row_security: ['on', 'off'],
  exit_on_error: ['on', 'off'],
  synchronous_commit: ['off', 'on'],
  default_transaction_isolation: ['serializable', 'read committed'],
  default_transaction_deferrable: ['on', 'off'],
  idle_in_transaction_session_timeout: ['0', '10s'],
  idle_session_timeout: ['5s', '0'],
  transaction_timeout: ['5s', '0'],
  statement_timeout: ['0', '1900ms'],
  lock_timeout: ['0', '1900ms'],
  default_tablespace: ['pg_default', ''],
  default_table_access_method: ['heap', 'heap'],
};
const OURS = Object.fromEntries(Object.entries(SETTINGS).map(([name, [, ours]]) => [name, ours]));

/** Of those who sign in to the database with this name. */
const IN_DATABASE = (url: string) => `DATABASE ${new URL(url).pathname.slice(1)}`;
const OF_ROLE = (url: string) => `ROLE ${new URL(url).username} IN ${IN_DATABASE(url)}`;

describe.each([
  ['a database', IN_DATABASE],
  ['a role', OF_ROLE],
])('a setting of %s', (_what, place) => {
  it.each([false, true])('is not that of our connections, where readsOnly is %s', async (readsOnly) => {
    const twins = await openTwins();
    const { url } = twins.house.database;
    for (const [name, [value]] of Object.entries(SETTINGS))
      await onServer(`ALTER ${place(url)} SET ${name} = '${value}'`);
    const database = openDatabase(url, { readsOnly });
    const names = Object.keys(OURS);
    const settings = () =>
      retryStart(
        () => database.query({ name: 'text', setting: 'text' })`
          SELECT name, current_setting(name) AS setting FROM unnest(${names}::text[]) AS name`,
      );
    expect(Object.fromEntries((await settings()).map(({ name, setting }) => [name, setting]))).toEqual(OURS);
    await database.close();
    await twins.house.close();
  });
});

it('a list of settings names none twice, and this table names each', () => {
  const written = [...writeSettings({}).matchAll(/\('(\w+)', /g)].map(([, name]) => name);
  expect(written).toEqual(Object.keys(SETTINGS));
});

it('foreign keys that are switched off make a database unavailable', async () => {
  const empty = await createEmptyDatabase();
  await onServer(`ALTER ${IN_DATABASE(empty.url)} SET session_replication_role = replica`);
  const database = openDatabase(empty.url, { connections: 1 });
  await expect(database.query({ n: 'int4' })`SELECT 1::int4 AS n`).rejects.toThrow(
    /^session_replication_role is set to replica/,
  );
  await database.close();
  await empty.drop();
});

describe.each(['serializable', 'repeatable read'])(
  'where every transaction is %s by default',
  (isolation) => {
    let twins: Twins;
    let user: TestUser;

    beforeAll(async () => {
      const first = await openTwins();
      await onServer(
        `ALTER ${IN_DATABASE(first.house.database.url)} SET default_transaction_isolation = '${isolation}'`,
      );
      // Connections that were opened before have the setting of before.
      const one = await first.house.replica();
      const two = await first.house.replica();
      await first.house.database.clock.release();
      twins = { ...first, one, two };
      user = await twins.house.user();
    });
    afterAll(() => twins.house.close());

    /** Both wait for the row, and the second finds it changed. */
    async function race<A, B>(
      lock: { queue: (length: number) => Promise<void>; release: () => Promise<void> },
      first: () => Promise<A>,
      second: () => Promise<B>,
    ): Promise<[A, B]> {
      const one = first();
      await lock.queue(1);
      const two = second();
      await lock.queue(2);
      await lock.release();
      return [await one, await two];
    }

    const holdUser = () =>
      holdRow(twins.house.database, 'SELECT FROM users WHERE id = $1 FOR UPDATE', user.id);

    function logInAt({ app }: Replica, password: string) {
      return app.inject({ method: 'POST', url: '/login', payload: { username: user.username, password } });
    }

    it('two refreshes of one token get one successor', async () => {
      const pair = await login(twins.one, user);
      const lock = await holdSession(twins.house.database, pair.session_id);
      const answers = await race(
        lock,
        () => refresh(twins.one, pair.refresh_token),
        () => refresh(twins.two, pair.refresh_token),
      );
      expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200]);
      const [one, two] = answers.map((answer) => answer.json<TokenPair>().refresh_token);
      expect(claimsOf(two ?? '')).toEqual(claimsOf(one ?? ''));
    });

    it('a refresh that waits for a logout finds the session ended, and a logout that waits ends it', async () => {
      for (const isLogoutFirst of [true, false]) {
        const pair = await login(twins.one, user);
        const lock = await holdSession(twins.house.database, pair.session_id);
        const end = () => logOut(twins.one, pair.access_token);
        const renew = () => refresh(twins.two, pair.refresh_token);
        const answers = await (isLogoutFirst ? race(lock, end, renew) : race(lock, renew, end));
        expect(answers.map(({ statusCode }) => statusCode)).toEqual(isLogoutFirst ? [204, 401] : [200, 204]);
        expect(await stateOf(twins, pair.access_token)).toBe('dead');
        expect(await stateOfRefresh(twins, pair.refresh_token)).toBe('dead');
      }
    });

    it('two ends of everything at once are both answered, and so is an operator’s new password', async () => {
      const [mine, other] = [await login(twins.one, user), await login(twins.two, user)];
      const answers = await race(
        await holdUser(),
        () => logOutAll(twins.one, mine.access_token, { except_current: true }),
        () => logOutAll(twins.two, other.access_token),
      );
      expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 401]);
      expect(await stateOf(twins, mine.access_token)).toBe('alive');
      expect(await stateOf(twins, other.access_token)).toBe('dead');
    });

    it('a change of password that waits for a refresh is made', async () => {
      const pair = await login(twins.one, user);
      const next = 'correct horse battery staple';
      const change = (current: string, to: string) =>
        retryOn503(() =>
          twins.one.app.inject({
            method: 'POST',
            url: '/password',
            headers: bearer(pair.access_token),
            payload: { current_password: current, new_password: to },
          }),
        );
      const lock = await holdSession(twins.house.database, pair.session_id);
      const [renewed, changed] = await race(
        lock,
        () => refresh(twins.two, pair.refresh_token),
        () => change(user.password, next),
      );
      expect([renewed.statusCode, changed.statusCode]).toEqual([200, 200]);
      user = { ...user, password: next };
      expect((await logInAt(twins.two, next)).statusCode).toBe(200);
    });

    it('of attempts at once, as many are taken as there are points', async () => {
      const release = stopMinute();
      const throttles = [createThrottle(twins.one.database), createThrottle(twins.two.database)];
      const takings = await Promise.allSettled(
        throttles.flatMap(({ takeAttempt }) =>
          Array.from({ length: 4 }, () => takeAttempt(user.username, '192.0.2.77')),
        ),
      );
      release();
      const refused = takings.flatMap((taking) =>
        taking.status === 'rejected' ? [taking.reason as unknown] : [],
      );
      expect(refused).toHaveLength(takings.length - LOGIN_LIMITS.pairMinute.points);
      for (const reason of refused) expect(reason).toMatchObject({ code: 'too_many_requests' });
    });

    it('revocations of one lineage at once are one', async () => {
      const pair = await login(twins.one, user);
      const revocations = await Promise.all(
        [twins.one, twins.two].flatMap((replica) =>
          Array.from({ length: 4 }, () =>
            postForm(replica, '/revoke', twins.client, { token: pair.access_token }),
          ),
        ),
      );
      expect(new Set(revocations.map(({ statusCode }) => statusCode))).toEqual(new Set([200]));
      expect(await stateOf(twins, pair.access_token)).toBe('dead');
    });

    it('replicas that start together migrate once', async () => {
      const empty = await createEmptyDatabase();
      await onServer(`ALTER ${IN_DATABASE(empty.url)} SET default_transaction_isolation = '${isolation}'`);
      const applied = await Promise.all([migrate(empty.url), migrate(empty.url), migrate(empty.url)]);
      expect(applied.filter((names) => names.length > 0)).toHaveLength(1);
      await empty.drop();
    });
  },
);
