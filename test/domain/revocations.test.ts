// What was ended stays ended: while rows are pruned at every moment of a token’s life, and when rows are lost.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { pruneKeys } from '../../src/domain/keys/lifecycle.js';
import { listRevocations, prune, pruneBatch } from '../../src/domain/sessions/revocations.js';
import { reissue } from '../../src/domain/tokens/successor.js';
import { changePassword, disableUser } from '../../src/domain/users/users.js';
import {
  bearer,
  introspect,
  login,
  postForm,
  refresh,
  type Replica,
  type TestUser,
  type TokenPair,
} from '../support/house.js';
import { lineageOf, type LineageToken } from '../support/lineage.js';
import {
  getSession,
  logOut,
  logOutAll,
  openTwins,
  retireSigningKey,
  START,
  stateOf,
  stateOfRefresh,
  successorIn,
  type Twins,
} from '../support/twins.js';

const SESSION_TTL_SECONDS = 3600;
const KEPT_SECONDS = SESSION_TTL_SECONDS + 360;
const SHORT = {
  sessionTtlSeconds: SESSION_TTL_SECONDS,
  refreshTtlSeconds: SESSION_TTL_SECONDS,
  reissueGraceSeconds: 300,
};

let twins: Twins;

beforeEach(async () => {
  twins = await openTwins(SHORT);
});
afterEach(() => twins.house.close());

interface Login {
  user: TestUser;
  pair: TokenPair;
  lineage: LineageToken[];
}

async function logIn(): Promise<Login> {
  const user = await twins.house.user();
  const pair = await login(twins.one, user);
  return { user, pair, lineage: await lineageOf(twins.one, pair.access_token) };
}

const ENDS: Record<string, (login: Login) => Promise<unknown>> = {
  'a logout': ({ pair }) => logOut(twins.one, pair.access_token),
  'a revoked refresh token': ({ pair }) =>
    postForm(twins.one, '/revoke', twins.client, { token: pair.refresh_token }),
  'a revoked access token': ({ pair }) =>
    postForm(twins.one, '/revoke', twins.client, { token: pair.access_token }),
  'an ended session': ({ pair }) =>
    twins.one.app.inject({
      method: 'DELETE',
      url: `/sessions/${pair.session_id}`,
      headers: bearer(pair.access_token),
    }),
  'a logout everywhere': ({ pair }) => logOutAll(twins.one, pair.access_token),
  'a disabled user': ({ user }) => disableUser(twins.one.database, user.username),
  'a new password': async ({ user }) =>
    changePassword(twins.one.database, user.username, await twins.house.hasher.hash('another')),
  theft: async ({ pair }) => {
    await refresh(twins.one, pair.refresh_token);
    await twins.house.database.clock.advance(31);
    await refresh(twins.one, pair.refresh_token);
  },
};

/** What a resource server and the holder get for a token: dead, alive, or a word for what should not be. */
async function verdictOn(replica: Replica, token: string): Promise<string> {
  const answers = await Promise.all([introspect(replica, twins.client, token), getSession(replica, token)]);
  const [isActive, isReissued] = [
    answers.map(({ statusCode, body }) =>
      statusCode === 200 && body !== '{"active":false}' ? 'alive' : 'dead',
    ),
    answers.map((answer) => (successorIn(answer) === null ? '' : ' with a successor')),
  ];
  return [...new Set(isActive.map((word, place) => `${word}${isReissued[place] ?? ''}`))].join(' or ');
}

/** What the rules say of a token that nothing has ended. */
function expectedOf({ claims }: LineageToken, now: number): string {
  const isReissued = reissue(claims, now, twins.one.gatehouse.rules) !== null;
  return `${now < claims.exp ? 'alive' : 'dead'}${isReissued ? ' with a successor' : ''}`;
}

async function countRows(): Promise<unknown> {
  const { rows } = await twins.house.database.admin.query<Record<string, number>>(
    `SELECT (SELECT count(*)::int FROM sessions) AS sessions, (SELECT count(*)::int FROM revocations) AS revocations`,
  );
  return rows[0];
}

/** From the end on: beside each exp, grace and generation, beside session_exp, and beside the end of the rows. */
const WALK = [
  100, 479, 480, 599, 600, 899, 900, 959, 960, 1079, 1080, 1559, 1560, 1860, 2400, 3119, 3120, 3419, 3420,
  3480, 3599, 3600, 3601, 3899, 3900, 3959, 3960, 3961, 4320,
];

it('keeps dead what is dead and alive what is alive, whenever rows are pruned', async () => {
  const victim = await logIn();
  expect(await retireSigningKey(twins)).toBe(true);
  const ended: [string, Login][] = [['a retired key', victim]];
  for (const name of Object.keys(ENDS)) ended.push([name, await logIn()]);
  const living = await logIn();
  for (const [name, login] of ended) await ENDS[name]?.(login);
  const before = await countRows();

  for (const seconds of WALK) {
    const now = START + seconds;
    await twins.house.database.clock.freeze(now);
    for (const { database } of [twins.one, twins.two]) {
      await prune(database, { waitTurn: false });
      await pruneKeys(database);
    }
    if (seconds < KEPT_SECONDS) expect(await countRows()).toEqual(before);
    const asked = ended.map(async ([name, { pair, lineage }]) => {
      for (const [generation, { text }] of lineage.entries()) {
        const verdict = await verdictOn(generation % 2 === 0 ? twins.one : twins.two, text);
        expect(verdict, `${name}, generation ${generation}, after ${seconds} s`).toBe('dead');
      }
      // Revoking an access token leaves its session, whose own end is another test's.
      if (name === 'a revoked access token') return;
      const response = await refresh(twins.two, pair.refresh_token);
      expect(response.statusCode, `refresh after ${name} and ${seconds} s`).toBe(401);
    });
    const alive = living.lineage.map(async (token) => {
      expect(await verdictOn(twins.two, token.text)).toBe(expectedOf(token, now));
    });
    await Promise.all([...asked, ...alive]);
  }
  expect(await countRows()).toEqual({ sessions: 0, revocations: 0 });
});

it('leaves a session that is in use its rows to the last second', async () => {
  const { pair } = await logIn();
  await twins.house.database.clock.freeze(START + SESSION_TTL_SECONDS - 1);
  await prune(twins.one.database, { waitTurn: true });
  const last = await refresh(twins.two, pair.refresh_token);
  expect(last.statusCode).toBe(200);
  expect(await stateOf(twins, last.json<TokenPair>().access_token)).toBe('alive');
});

describe('a lost row', () => {
  const TABLES = [
    ...['users', 'password_codes', 'sessions', 'revocations', 'signing_keys'],
    ...['clients', 'client_secrets', 'service'],
  ];

  /** Deletes one row after the other, each time from the whole, and tells which it was. */
  async function* loseEachRow(): AsyncGenerator<string> {
    const { admin } = twins.house.database;
    await admin.query('CREATE SCHEMA kept');
    // Rows come back as they were.
    await admin.query('ALTER TABLE clients DISABLE TRIGGER keep_secret_of_older_build');
    for (const table of TABLES) await admin.query(`CREATE TABLE kept.${table} AS TABLE public.${table}`);
    for (const table of TABLES) {
      // A revoked lineage is known by its row alone: its session lives on. That row is the one that must not be lost.
      const { rows } = await admin.query<{ row: string }>(
        `SELECT kept::text AS row FROM kept.${table} AS kept ${table === 'revocations' ? `WHERE kind <> 'token'` : ''}`,
      );
      for (const { row } of rows) {
        await admin.query(`DELETE FROM public.${table} AS lost WHERE lost::text = $1`, [row]);
        yield `${table}: ${row}`;
        await admin.query(`TRUNCATE ${TABLES.map((name) => `public.${name}`).join(', ')}`);
        for (const name of TABLES) await admin.query(`INSERT INTO public.${name} SELECT * FROM kept.${name}`);
      }
    }
  }

  it('brings no dead token back, whichever it is', async () => {
    const victim = await logIn();
    expect(await retireSigningKey(twins)).toBe(true);
    const ended: [string, Login][] = [['a retired key', victim]];
    for (const name of Object.keys(ENDS)) ended.push([name, await logIn()]);
    for (const [name, login] of ended) await ENDS[name]?.(login);
    let lost = 0;

    for await (const row of loseEachRow()) {
      lost += 1;
      const asked = ended.map(async ([name, { pair }]) => {
        const verdicts = await Promise.all(
          [twins.one, twins.two].map((replica) => verdictOn(replica, pair.access_token)),
        );
        expect(verdicts, `${name}, without ${row}`).toEqual(['dead', 'dead']);
        if (name === 'a revoked access token') return;
        const { statusCode } = await refresh(twins.one, pair.refresh_token);
        expect(statusCode, `refresh after ${name}, without ${row}`).not.toBe(200);
      });
      await Promise.all(asked);
    }
    expect(lost).toBeGreaterThan(3 * ended.length);
  });
});

describe('pruning', () => {
  async function fill(revocations: number, sessions: number): Promise<void> {
    const { admin } = twins.house.database;
    const user = await twins.house.user();
    await admin.query(
      `INSERT INTO revocations (id, kind, reason, actor, revoked_at, kept_until)
       SELECT gen_random_uuid(), 'token', 'revoked', 'client:test', clock_timestamp(), clock_timestamp()
       FROM generate_series(1, $1)`,
      [revocations],
    );
    await admin.query(
      `INSERT INTO sessions (id, user_id, epoch, opened_at, rotated_at, refresh_expires_at, expires_at)
       SELECT gen_random_uuid(), $2, 0, past, past, past, past
       FROM generate_series(1, $1), (SELECT clock_timestamp() - interval '6 minutes' AS past)`,
      [sessions, user.id],
    );
  }

  it('deletes at most 1,000 rows in a statement, and everything in several', async () => {
    await fill(1300, 900);
    const { database } = twins.one;
    expect(await pruneBatch(database, { waitTurn: false })).toEqual({ rows: 1000, isLast: false });
    expect(await pruneBatch(database, { waitTurn: false })).toEqual({ rows: 1000, isLast: false });
    expect(await pruneBatch(database, { waitTurn: false })).toEqual({ rows: 200, isLast: true });
    await fill(1000, 1500);
    expect(await prune(database, { waitTurn: true })).toBe(2500);
    expect(await countRows()).toEqual({ sessions: 0, revocations: 0 });
  });

  it('takes each row at its own second, though the index knows but ten minutes', async () => {
    const { admin, clock } = twins.house.database;
    const user = await twins.house.user();
    // 599 s into ten minutes, so that the row of the next second is in the next ten.
    const ends = START - (START % 600) + 599;
    const last = [ends - 599, ends - 1, ends, ends + 1];
    await admin.query(
      `INSERT INTO revocations (id, kind, reason, actor, revoked_at, kept_until)
       SELECT gen_random_uuid(), 'token', 'revoked', 'client:test', to_timestamp(0), to_timestamp(last)
       FROM unnest($1::float8[]) AS last`,
      [last],
    );
    await admin.query(
      `INSERT INTO sessions (id, user_id, epoch, opened_at, rotated_at, refresh_expires_at, expires_at)
       SELECT gen_random_uuid(), $2, 0, at, at, at, at
       FROM (SELECT to_timestamp(last) - interval '6 minutes' AS at FROM unnest($1::float8[]) AS last) AS times`,
      [last, user.id],
    );
    for (const [seconds, left] of [
      [-599.001, 4],
      [-599, 3],
      [-1, 2],
      [-0.001, 2],
      [0, 1],
      [1, 0],
    ] as const) {
      await clock.freeze(ends + seconds);
      await prune(twins.one.database, { waitTurn: false });
      expect(await countRows(), `${seconds} s`).toEqual({ sessions: left, revocations: left });
    }
  });

  it('stops between two batches when it is told to', async () => {
    await fill(1001, 0);
    const { database } = twins.one;
    expect(await prune(database, { waitTurn: false, signal: AbortSignal.abort() })).toBe(1000);
  });

  it('passes by what somebody else holds', async () => {
    await fill(3, 3);
    const holder = await twins.house.database.admin.connect();
    await holder.query('BEGIN');
    await holder.query('SELECT FROM revocations LIMIT 1 FOR UPDATE');
    await holder.query('SELECT FROM sessions LIMIT 1 FOR UPDATE');
    expect(await prune(twins.one.database, { waitTurn: false })).toBe(4);
    await holder.query('COMMIT');
    holder.release();
    expect(await prune(twins.one.database, { waitTurn: false })).toBe(2);
  });

  it('is one replica’s work at a time: another leaves it the work, a command waits for its turn', async () => {
    await fill(3, 0);
    const { admin } = twins.house.database;
    // Deleting waits for a lock that the test holds, so the first one stays in the middle of its work.
    await admin.query(
      `CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN OLD; END';
       CREATE TRIGGER wait_for_test BEFORE DELETE ON revocations FOR EACH ROW EXECUTE FUNCTION wait_for_test()`,
    );
    const holder = await admin.connect();
    await holder.query('SELECT pg_advisory_lock(42)');
    const working = prune(twins.one.database, { waitTurn: false });
    await untilBlocked(1);

    await fill(0, 5);
    expect(await prune(twins.two.database, { waitTurn: false })).toBe(0);
    const command = prune(twins.two.database, { waitTurn: true });
    await untilBlocked(2);

    await holder.query('SELECT pg_advisory_unlock(42)');
    holder.release();
    expect([await working, await command]).toEqual([3, 5]);
  });

  async function untilBlocked(count: number): Promise<void> {
    await expect
      .poll(async () => {
        const { rows } = await twins.house.database.admin.query<{ blocked: number }>(
          `SELECT count(*)::int AS blocked FROM pg_stat_activity
           WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        return rows[0]?.blocked;
      })
      .toBe(count);
  }
});

describe('the list of revocations', () => {
  it('says what was ended, whose, why, by whom, when, and how long that is remembered; newest first', async () => {
    const first = await logIn();
    const second = await logIn();
    await logOut(twins.one, first.pair.access_token);
    await twins.house.database.clock.advance(10);
    await postForm(twins.one, '/revoke', twins.client, { token: second.pair.access_token });
    await twins.house.database.clock.advance(10);
    await disableUser(twins.one.database, second.user.username);

    const keptUntil = new Date((START + KEPT_SECONDS) * 1000);
    const ofSecond = { username: second.user.username, userId: second.user.id, keptUntil, liftedAt: null };
    const listed = await listRevocations(twins.two.database, 10);
    // The end of all sessions is kept as long as the last of any user, and up to ten minutes more.
    expect(listed[0]?.keptUntil.getTime()).toBeGreaterThanOrEqual(keptUntil.getTime());
    expect(listed).toEqual([
      {
        ...ofSecond,
        keptUntil: listed[0]?.keptUntil,
        kind: 'user',
        id: null,
        reason: 'user_disabled',
        actor: 'gatehouse',
        revokedAt: new Date((START + 20) * 1000),
      },
      {
        ...ofSecond,
        kind: 'token',
        id: second.lineage[0]?.claims.jti.split('.')[0],
        reason: 'revoked',
        actor: `client:${twins.client.id}`,
        revokedAt: new Date((START + 10) * 1000),
      },
      {
        kind: 'session',
        id: first.pair.session_id,
        username: first.user.username,
        userId: first.user.id,
        reason: 'logout',
        actor: `user:${first.user.id}`,
        revokedAt: new Date(START * 1000),
        keptUntil,
        liftedAt: null,
      },
    ]);
    expect(await listRevocations(twins.two.database, 1)).toHaveLength(1);
  });

  it('says of what was ended twice who was first, when and why', async () => {
    const { pair } = await logIn();
    await postForm(twins.one, '/revoke', twins.client, { token: pair.access_token });
    await logOut(twins.one, (await logIn()).pair.access_token);
    const first = await listRevocations(twins.one.database, 10);
    await twins.house.database.clock.advance(10);
    const other = await twins.house.client();
    await postForm(twins.two, '/revoke', other, { token: pair.access_token });
    await postForm(twins.two, '/revoke', other, { token: pair.access_token });
    expect(await listRevocations(twins.one.database, 10)).toEqual(first);
  });

  it.each<[string, keyof TokenPair, 'sessions' | 'revocations']>([
    ['/revoke of an access token', 'access_token', 'revocations'],
    ['/revoke of a refresh token', 'refresh_token', 'sessions'],
  ])(
    'a repeated %s writes, so that its answer waits for whatever confirms the first',
    async (_what, kind, table) => {
      const { pair } = await logIn();
      const revoke = () => postForm(twins.two, '/revoke', twins.client, { token: String(pair[kind]) });
      // Which transaction wrote the row last.
      const writers = async () =>
        (await twins.house.database.admin.query<{ xmin: string }>(`SELECT xmin::text FROM ${table}`)).rows;
      await revoke();
      const before = await writers();
      expect((await revoke()).statusCode).toBe(200);
      const after = await writers();
      expect(after).toHaveLength(1);
      expect(after).not.toEqual(before);
    },
  );

  it('has one row for a lineage that many revoke at once', async () => {
    const { pair } = await logIn();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, place) =>
        postForm(place % 2 === 0 ? twins.one : twins.two, '/revoke', twins.client, {
          token: pair.access_token,
        }),
      ),
    );
    expect(new Set(answers.map(({ statusCode }) => statusCode))).toEqual(new Set([200]));
    expect(await listRevocations(twins.one.database, 10)).toHaveLength(1);
    expect(await stateOf(twins, pair.access_token)).toBe('dead');
    expect(await stateOfRefresh(twins, pair.refresh_token)).toBe('alive');
  });
});
