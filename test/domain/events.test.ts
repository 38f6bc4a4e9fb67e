// Each verb that changes something writes one event of it, in the same statement; one that changes nothing writes none.
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openDatabase, type Database } from '../../src/database/prisma.js';
import { addClient, addSecret, changeClient, removeClient, removeSecret } from '../../src/domain/clients.js';
import { createThrottle } from '../../src/domain/guessing/throttle.js';
import { listKeys } from '../../src/domain/keys/keys.js';
import { createFirstKey, reencryptKeys, rotateKeys } from '../../src/domain/keys/lifecycle.js';
import { resetKeys, retireKey } from '../../src/domain/keys/retirement.js';
import { end, type Doomed } from '../../src/domain/operators/endings.js';
import { liftRevocation } from '../../src/domain/operators/lift.js';
import { changeUser, type UserChange } from '../../src/domain/operators/users.js';
import { told, type Trail } from '../../src/domain/reports/told.js';
import { endSession } from '../../src/domain/sessions/endings.js';
import { askedOf } from '../../src/domain/tokens/asked.js';
import { addUser, changePassword, disableUser, enableUser } from '../../src/domain/users/users.js';
import {
  AMPLE_MS,
  claimsOf,
  DEFAULTS,
  openGatehouse,
  openHouse,
  SECRET,
  type House,
  type Replica,
} from '../support/house.js';
import { retryUnavailable } from '../support/retry.js';
import { listen } from '../support/plans.js';

const DEVICE = { ip: '192.0.2.7', userAgent: 'a browser' };
const ORIGIN = { ...DEVICE, requestId: '0c1d2e3f-4a5b-4c6d-8e7f-901a2b3c4d5e' };
const CLI = 'cli:ada';
const UUID = expect.stringMatching(/^[0-9a-f-]{36}$/) as string;

let house: House;
let replica: Replica;
let database: Database;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  ({ database } = replica);
});
afterAll(() => house.close());

interface EventRow {
  id: string;
  type: string;
  outcome: string;
  actor: string;
  user_id: string | null;
  session_id: string | null;
  client_id: string | null;
  ip: string | null;
  user_agent: string | null;
  request_id: string | null;
  reason: string | null;
  note: string | null;
  detail: Record<string, unknown> | null;
}

async function readEvents(): Promise<EventRow[]> {
  const { rows } = await house.database.admin.query<EventRow>(
    'SELECT *, host(ip) AS ip FROM events ORDER BY id',
  );
  return rows;
}

async function forget(): Promise<void> {
  await house.database.admin.query('DELETE FROM events');
}

/** The events of what `work` does, without members that are null. */
async function eventsOf(work: () => Promise<unknown>): Promise<object[]> {
  await forget();
  await work();
  return (await readEvents()).map(({ id: _id, ...event }) =>
    Object.fromEntries(Object.entries(event).filter(([, value]) => value !== null)),
  );
}

const trail = (): Trail => ({ origin: ORIGIN });
const FROM = { ip: ORIGIN.ip, user_agent: ORIGIN.userAgent, request_id: ORIGIN.requestId };

/** A user who is logged in. */
async function openScene() {
  const user = await house.user();
  const pair = await replica.gatehouse.login(user, DEVICE);
  return { user, pair, claims: claimsOf(pair.accessToken) };
}
type Scene = Awaited<ReturnType<typeof openScene>>;

const refuse = (work: Promise<unknown>, code: string) => expect(work).rejects.toMatchObject({ code });
const order = (isDryRun = false, maxSessions: number | null = null) => ({
  actor: 'client:console',
  reason: 'leak',
  note: 'of Monday',
  maxSessions,
  isDryRun,
});

async function lifted(sid: string): Promise<string> {
  await end(database, { sessionIds: [sid] }, order());
  const { rows } = await house.database.admin.query<{ id: string }>(
    'SELECT id FROM revocations WHERE target = $1',
    [sid],
  );
  return rows[0]?.id ?? '';
}

/** What a verb does the first time, and again; and the one event of both, or none. */
type Row = [string, (scene: Scene) => Promise<unknown>, (scene: Scene) => object[]];

describe('what users do', () => {
  const done = (scene: Scene, event: object) => [
    { outcome: 'ok', actor: `user:${scene.user.id}`, user_id: scene.user.id, ...FROM, ...event },
  ];
  let before: Scene;

  const ROWS: Row[] = [
    [
      'a login',
      ({ user }) => replica.gatehouse.login(user, DEVICE, trail()),
      (scene) => done(scene, { type: 'session.opened', session_id: UUID }),
    ],
    [
      'a refresh',
      async ({ pair }) => {
        await replica.gatehouse.refresh(pair.refreshToken, trail());
        await replica.gatehouse.refresh(pair.refreshToken, trail());
      },
      () => [],
    ],
    [
      'a logout, and another one',
      async ({ pair }) => {
        await replica.gatehouse.logout(pair.accessToken, 'access', trail());
        await replica.gatehouse.logout(pair.refreshToken, 'refresh', trail());
      },
      (scene) => done(scene, { type: 'session.ended', session_id: scene.pair.sessionId, reason: 'logout' }),
    ],
    [
      'the end of one of the user’s sessions, and a logout of it',
      async ({ claims, pair }) => {
        await replica.gatehouse.endSession(askedOf(claims), pair.sessionId, trail());
        await replica.gatehouse.logout(pair.accessToken, 'access', trail());
      },
      (scene) =>
        done(scene, { type: 'session.ended', session_id: scene.pair.sessionId, reason: 'session_ended' }),
    ],
    [
      'the end of a session that is another user’s',
      async ({ claims }) => {
        const other = await openScene();
        await forget();
        await replica.gatehouse.endSession(askedOf(claims), other.pair.sessionId, trail());
      },
      () => [],
    ],
    [
      'a logout everywhere, and another one',
      async ({ claims }) => {
        await replica.gatehouse.logoutAll(askedOf(claims), { exceptCurrent: false }, trail());
        await refuse(
          replica.gatehouse.logoutAll(askedOf(claims), { exceptCurrent: false }, trail()),
          'invalid_token',
        );
      },
      (scene) =>
        done(scene, {
          type: 'session.ended',
          session_id: scene.pair.sessionId,
          reason: 'logout_all',
          detail: { sessions: 1, more: false },
        }),
    ],
    [
      'a logout of a session that was logged out with all others',
      async ({ claims, pair }) => {
        await replica.gatehouse.logoutAll(askedOf(claims), { exceptCurrent: false });
        await forget();
        await replica.gatehouse.logout(pair.refreshToken, 'refresh', trail());
      },
      () => [],
    ],
    [
      'a new password, asked for twice',
      async ({ user, pair }) => {
        const judgement = await replica.gatehouse.judge(pair.accessToken);
        const passwords = { current: user.password, next: 'seven lanterns above a quiet harbour' };
        for (let time = 0; time < 2; time += 1)
          // A busy machine may not judge the new password in time; nothing has been done then.
          await retryUnavailable(() =>
            replica.gatehouse.changePassword(judgement, passwords, DEVICE, () => true, trail()),
          );
      },
      (scene) => done(scene, { type: 'password.changed', session_id: UUID }),
    ],
  ];

  it.each(ROWS)('%s', async (_name, act, expected) => {
    before = await openScene();
    expect(await eventsOf(() => act(before))).toEqual(expected(before));
  });

  it('is a logout of a session that an operator holds, since no lift will give it back', async () => {
    const { user, pair } = await openScene();
    await lifted(pair.sessionId);
    const events = await eventsOf(async () => {
      await replica.gatehouse.logout(pair.accessToken, 'access', trail());
      await replica.gatehouse.logout(pair.accessToken, 'access', trail());
    });
    expect(events).toMatchObject([
      { type: 'session.ended', actor: `user:${user.id}`, session_id: pair.sessionId, reason: 'logout' },
    ]);
    expect(events).toHaveLength(1);
  });

  it('of a theft is one event, by the service; the second use of the token is none', async () => {
    const { user, pair } = await openScene();
    await replica.gatehouse.refresh((await replica.gatehouse.refresh(pair.refreshToken)).refreshToken);
    await house.database.clock.advance(60);
    await house.database.admin.query('UPDATE beat SET beaten_at = clock_timestamp()');
    const steal = () => replica.gatehouse.refresh(pair.refreshToken, trail());
    const events = await eventsOf(async () => {
      await refuse(steal(), 'refresh_reused');
      await refuse(steal(), 'invalid_token');
    });
    await house.database.clock.set(0);
    expect(events).toEqual([
      {
        type: 'session.reused',
        outcome: 'refresh_reused',
        actor: 'gatehouse',
        user_id: user.id,
        session_id: pair.sessionId,
        ...FROM,
      },
    ]);
  });
});

describe('a login that fails', () => {
  const fails = (work: Promise<unknown>, code = 'invalid_credentials') => refuse(work, code);
  const common = { type: 'login', outcome: 'invalid_credentials', actor: 'gatehouse', ...FROM };

  it('is told of with its reason, and with a keyed hash of a name that nobody has', async () => {
    const user = await house.user();
    const { gatehouse } = replica;
    const events = await eventsOf(async () => {
      await fails(gatehouse.login({ ...user, password: 'wrong' }, DEVICE, trail()));
      await fails(gatehouse.login({ username: 'NoBody', password: 'x' }, DEVICE, trail()));
      await fails(gatehouse.login({ username: 'nobody', password: 'y' }, DEVICE, trail()));
      await house.database.admin.query('UPDATE users SET disabled_at = now() WHERE id = $1', [user.id]);
      await fails(gatehouse.login(user, DEVICE, trail()));
    });
    const name = expect.stringMatching(/^[\w-]{43}$/) as string;
    expect(events).toEqual([
      { ...common, user_id: user.id, reason: 'wrong_password' },
      { ...common, reason: 'unknown_user', detail: { name } },
      { ...common, reason: 'unknown_user', detail: { name } },
      { ...common, user_id: user.id, reason: 'user_disabled' },
    ]);
    const [one, other] = (events as { detail: { name: string } }[]).slice(1, 3);
    expect(one?.detail).toEqual(other?.detail);
    expect(JSON.stringify(events)).not.toContain('body');
  });

  it('because there are too many sessions is told of', async () => {
    const strict = await house.replica({ config: { sessionsPerUser: 1 } });
    const user = await house.user();
    await strict.gatehouse.login(user, DEVICE);
    const events = await eventsOf(() =>
      fails(strict.gatehouse.login(user, DEVICE, trail()), 'too_many_sessions'),
    );
    const actor = `user:${user.id}`;
    expect(events).toEqual([{ ...common, outcome: 'too_many_sessions', actor, user_id: user.id }]);
  });

  it('is answered all the same where it cannot be written, and that is told', async () => {
    const { admin } = house.database;
    let lost = 0;
    const stop = told.unrecorded.listen(() => (lost += 1));
    await admin.query('ALTER TABLE events ADD CONSTRAINT none CHECK (false) NOT VALID');
    try {
      await fails(replica.gatehouse.login({ username: 'nobody', password: 'x' }, DEVICE, trail()));
    } finally {
      stop();
      await admin.query('ALTER TABLE events DROP CONSTRAINT none');
    }
    expect(lost).toBe(1);
  });

  it.each(['changes', 'off'] as const)('is not told of with EVENTS=%s', async (events) => {
    const quiet = await house.replica({ config: { events } });
    const work = () => fails(quiet.gatehouse.login({ username: 'nobody', password: 'x' }, DEVICE, trail()));
    expect(await eventsOf(work)).toEqual([]);
  });
});

describe('what clients do', () => {
  const CLIENT = { id: 'orders', permissions: ['revoke' as const], audiences: [] };

  it('revokes an access token once', async () => {
    const { user, pair, claims } = await openScene();
    const { token } = await replica.gatehouse.judge(pair.accessToken);
    const events = await eventsOf(async () => {
      await replica.gatehouse.revoke(token, CLIENT, trail());
      await replica.gatehouse.revoke(token, CLIENT, trail());
    });
    const [lineage] = claims.jti.split('.');
    expect(events).toEqual([
      {
        type: 'token.revoked',
        outcome: 'ok',
        actor: 'client:orders',
        user_id: user.id,
        session_id: pair.sessionId,
        reason: 'revoked',
        detail: { lineage },
        ...FROM,
      },
    ]);
  });

  it('revokes an access token once of a session that an operator holds', async () => {
    const { pair } = await openScene();
    const { token } = await replica.gatehouse.judge(pair.accessToken);
    await lifted(pair.sessionId);
    const events = await eventsOf(async () => {
      await replica.gatehouse.revoke(token, CLIENT, trail());
      await replica.gatehouse.revoke(token, CLIENT, trail());
    });
    expect(events).toMatchObject([{ type: 'token.revoked', session_id: pair.sessionId }]);
    expect(events).toHaveLength(1);
  });

  it('ends a session by its refresh token, and then finds nothing more to end', async () => {
    const { pair } = await openScene();
    const [access, refresh] = await Promise.all(
      [pair.accessToken, pair.refreshToken].map((text) => replica.gatehouse.judge(text)),
    );
    const events = await eventsOf(async () => {
      await replica.gatehouse.revoke(refresh?.token ?? null, CLIENT, trail());
      await replica.gatehouse.revoke(access?.token ?? null, CLIENT, trail());
      await replica.gatehouse.revoke(null, CLIENT, trail());
    });
    expect(events).toMatchObject([
      { type: 'session.ended', actor: 'client:orders', session_id: pair.sessionId, reason: 'revoked' },
    ]);
    expect(events).toHaveLength(1);
  });
});

describe('what operators do with users', () => {
  const change = (id: string, what: UserChange) => changeUser(database, id, what, CLI, DEFAULTS, trail());

  const ROWS: [string, UserChange, object | null][] = [
    ['a change of nothing', {}, null],
    ['the scope that is there', { scope: '' }, null],
    ['an enabling of who is enabled', { isDisabled: false }, null],
    ['another scope', { scope: 'read' }, { type: 'user.changed', detail: { changed: ['scope'] } }],
    [
      'another name and scope',
      { username: 'grace', scope: 'write' },
      { type: 'user.changed', detail: { changed: ['username', 'scope'] } },
    ],
    [
      'another password',
      { passwordHash: 'x' },
      { type: 'password.changed', reason: 'password_changed', detail: { changed: ['password'] } },
    ],
    [
      'a disabling with all else',
      { isDisabled: true, passwordHash: 'x', scope: 'all' },
      {
        type: 'user.disabled',
        reason: 'user_disabled',
        detail: { changed: ['disabled', 'password', 'scope'] },
      },
    ],
  ];

  it.each(ROWS)('%s', async (_name, what, event) => {
    const user = await house.user();
    const events = await eventsOf(() => change(user.id, what));
    const common = { outcome: 'ok', actor: CLI, user_id: user.id, ...FROM };
    expect(events).toEqual(event === null ? [] : [{ ...common, ...event }]);
  });

  it('enables who was disabled, once; a name that is taken, and a user who is not there, are no events', async () => {
    const [user, other] = [await house.user(), await house.user()];
    await change(user.id, { isDisabled: true });
    const events = await eventsOf(async () => {
      for (let time = 0; time < 2; time += 1) await change(user.id, { isDisabled: false });
      await refuse(change(user.id, { username: other.username }), 'username_taken');
      await refuse(change(randomUUID(), { scope: 'read' }), 'not_found');
    });
    expect(events).toMatchObject([{ type: 'user.enabled', user_id: user.id, actor: CLI }]);
    expect(events).toHaveLength(1);
  });

  it('unlocks whose password was guessed at, once; with a new password it is no event of its own', async () => {
    const user = await house.user();
    const throttle = createThrottle(database);
    const guess = async () => {
      await throttle.takeAttempt(user.username, '198.51.100.7');
    };
    await guess();
    const events = await eventsOf(async () => {
      for (let time = 0; time < 2; time += 1)
        await throttle.unlock(user.username, { userId: user.id, by: CLI, trail: trail() });
    });
    expect(events).toEqual([{ type: 'user.unlocked', outcome: 'ok', actor: CLI, user_id: user.id, ...FROM }]);
    await guess();
    const withPassword = await eventsOf(() => change(user.id, { passwordHash: 'x' }));
    expect(withPassword).toMatchObject([{ type: 'password.changed' }]);
    expect(withPassword).toHaveLength(1);
  });

  it('by name: adds, disables, enables and gives a password, each once', async () => {
    const events = await eventsOf(async () => {
      const lovelace = { username: 'lovelace', passwordHash: 'x', scope: '' };
      for (let time = 0; time < 2; time += 1) await addUser(database, lovelace, CLI);
      for (let time = 0; time < 2; time += 1) await disableUser(database, 'lovelace', CLI);
      for (let time = 0; time < 2; time += 1) await enableUser(database, 'lovelace', CLI);
      await changePassword(database, 'lovelace', 'y', CLI);
      for (const verb of [disableUser, enableUser]) expect(await verb(database, 'nobody', CLI)).toBe(false);
      expect(await changePassword(database, 'nobody', 'y', CLI)).toBe(false);
    });
    const common = { outcome: 'ok', actor: CLI, user_id: UUID };
    expect(events).toEqual([
      { ...common, type: 'user.added' },
      { ...common, type: 'user.disabled', reason: 'user_disabled' },
      { ...common, type: 'user.enabled' },
      { ...common, type: 'password.changed', reason: 'password_changed' },
    ]);
  });

  it('of two who disable at once, one is told of', async () => {
    const { username } = await house.user();
    const events = await eventsOf(() =>
      Promise.all([1, 2, 3, 4].map((time) => disableUser(database, username, `cli:${time}`))),
    );
    expect(events).toMatchObject([{ type: 'user.disabled' }]);
    expect(events).toHaveLength(1);
  });
});

describe('what operators end', () => {
  const WAYS: [string, (scene: Scene) => Doomed, (scene: Scene) => object][] = [
    [
      'a session',
      ({ pair }) => ({ sessionIds: [pair.sessionId, randomUUID()] }),
      ({ user, pair }) => ({
        user_id: user.id,
        session_id: pair.sessionId,
        detail: { users: 1, sessions: 1, tokens: 0 },
      }),
    ],
    [
      'a lineage',
      ({ claims }) => ({ lineage: claims.jti.split('.')[0] ?? '' }),
      () => ({ detail: { users: 0, sessions: 0, tokens: 1 } }),
    ],
    [
      'a user',
      ({ user }) => ({ userIds: [user.id] }),
      ({ user }) => ({ user_id: user.id, detail: { users: 1, sessions: 1, tokens: 0 } }),
    ],
    [
      'sessions of a network',
      () => ({ networks: ['192.0.2.0/24'], since: new Date(0), until: new Date('2999-01-01') }),
      () => ({ detail: { users: expect.any(Number) as number, sessions: expect.any(Number) as number } }),
    ],
    ['everything', () => ({ openedBefore: null }), () => ({ detail: { more: false } })],
  ];

  it.each(WAYS)('%s: one event with its numbers, and none for a look', async (_name, doomed, expected) => {
    const scene = await openScene();
    const what = doomed(scene);
    expect(await eventsOf(() => end(database, what, order(true), trail()))).toEqual([]);
    let endingId = '';
    const events = await eventsOf(async () => {
      ({ endingId } = await end(database, what, order(false, 10_000), trail()));
    });
    expect(events).toHaveLength(1);
    const common = { outcome: 'ok', actor: 'client:console', reason: 'leak', note: 'of Monday', ...FROM };
    const { detail, ...rest } = expected(scene) as { detail: object };
    expect(events).toMatchObject([
      { type: 'revocation.added', ...common, ...rest, detail: { ending_id: endingId, ...detail } },
    ]);
  });

  it('of many users names none of them', async () => {
    const scenes = [await openScene(), await openScene()];
    const ids = scenes.map(({ user }) => user.id);
    const [event] = await eventsOf(() => end(database, { userIds: ids }, order(), trail()));
    expect(event).toMatchObject({ detail: { users: 2, sessions: 2 } });
    expect(event).not.toHaveProperty('user_id');
    expect(event).not.toHaveProperty('session_id');
  });

  it('again, where nothing is left, or more than may end, are no events', async () => {
    const { pair } = await openScene();
    await end(database, { sessionIds: [pair.sessionId] }, order());
    const [one, other] = [await openScene(), await openScene()];
    const two = { sessionIds: [one.pair.sessionId, other.pair.sessionId] };
    const events = await eventsOf(async () => {
      await end(database, { sessionIds: [pair.sessionId] }, order(), trail());
      await refuse(end(database, two, order(false, 1), trail()), 'too_many_sessions');
      await refuse(end(database, { openedBefore: new Date('2999-01-01') }, order()), 'invalid_request');
    });
    expect(events).toEqual([]);
  });

  it('lifts once, however many try at once; what is final, or not there, is no event', async () => {
    const { user, pair } = await openScene();
    const id = await lifted(pair.sessionId);
    const events = await eventsOf(async () => {
      await Promise.all([1, 2, 3].map(() => liftRevocation(database, id, CLI, 'found', trail())));
      await liftRevocation(database, id, CLI, 'again', trail());
      await endSession(
        database,
        { sid: pair.sessionId, userId: null },
        { reason: 'session_ended', actor: CLI },
        null,
        trail(),
      );
      await refuse(liftRevocation(database, pair.sessionId, CLI, null), 'not_liftable');
      await refuse(liftRevocation(database, randomUUID(), CLI, null), 'not_found');
    });
    const common = {
      outcome: 'ok',
      actor: CLI,
      user_id: user.id,
      session_id: pair.sessionId,
      ...FROM,
    };
    expect(events).toEqual([
      {
        ...common,
        type: 'revocation.lifted',
        note: 'found',
        detail: { revocation_id: id, ending_id: UUID },
      },
      { ...common, type: 'session.ended', reason: 'session_ended' },
    ]);
  });
});

it('what operators do with clients: each change once, and none that is refused', async () => {
  const poor = await addClient(database, { id: 'poor', permissions: ['clients:write'] });
  expect(poor).not.toBeNull();
  const events = await eventsOf(async () => {
    const orders = { id: 'orders', permissions: ['introspect'] } as const;
    for (let time = 0; time < 2; time += 1) await addClient(database, orders, CLI, trail());
    await changeClient(database, 'orders', { permissions: ['introspect'] }, CLI, trail());
    await changeClient(database, 'orders', {}, CLI, trail());
    await changeClient(database, 'orders', { permissions: ['revoke'] }, CLI, trail());
    for (let time = 0; time < 2; time += 1)
      await changeClient(database, 'orders', { audiences: ['orders'] }, CLI, trail());
    await refuse(
      changeClient(database, 'orders', { permissions: [] }, 'client:poor', trail()),
      'insufficient_scope',
    );
    const secret = await addSecret(database, 'orders', CLI, trail());
    await refuse(addSecret(database, 'orders', CLI, trail()), 'too_many_secrets');
    for (let time = 0; time < 2; time += 1)
      await removeSecret(database, 'orders', secret?.id ?? '', CLI, trail());
    for (let time = 0; time < 2; time += 1) await removeClient(database, 'orders', CLI, trail());
    await changeClient(database, 'orders', { permissions: [] }, CLI, trail());
    await removeClient(database, 'poor', 'client:poor', trail());
  });
  const common = { outcome: 'ok', actor: CLI, client_id: 'orders', ...FROM };
  expect(events).toEqual([
    { ...common, type: 'client.added', detail: { permissions: ['introspect'], audiences: [] } },
    { ...common, type: 'client.changed', detail: { permissions: ['revoke'], before: ['introspect'] } },
    { ...common, type: 'client.changed', detail: { audiences: ['orders'], audiences_before: [] } },
    { ...common, type: 'client.secret_added', detail: { secret_id: UUID } },
    { ...common, type: 'client.secret_removed', detail: { secret_id: UUID } },
    { ...common, type: 'client.removed' },
    { ...common, type: 'client.removed', client_id: 'poor', actor: 'client:poor' },
  ]);
});

it('nobody but a client or the command line changes clients', async () => {
  await expect(removeClient(database, 'orders', `user:${randomUUID()}`)).rejects.toThrow('neither a client');
});

it('what operators do with keys: each change once', async () => {
  const signing = (await listKeys(database)).find(({ state }) => state === 'signing')?.kid ?? '';
  const events = await eventsOf(async () => {
    await createFirstKey(database, 'EdDSA', SECRET);
    for (let time = 0; time < 2; time += 1) await rotateKeys(database, 'EdDSA', SECRET, CLI, trail());
    for (let time = 0; time < 2; time += 1) await retireKey(database, signing, 'EdDSA', SECRET, CLI, trail());
    await reencryptKeys(database, SECRET, SECRET, CLI);
    await resetKeys(database, 'EdDSA', SECRET, CLI);
  });
  const kid = expect.stringMatching(/^[0-9a-f]{16}$/) as string;
  expect(events).toEqual([
    { type: 'key.rotated', outcome: 'ok', actor: CLI, detail: { kid }, ...FROM },
    { type: 'key.retired', outcome: 'ok', actor: CLI, detail: { kid: signing, next_kid: kid }, ...FROM },
    { type: 'key.reencrypted', outcome: 'ok', actor: CLI, detail: { keys: 2 } },
    { type: 'key.reset', outcome: 'ok', actor: CLI, detail: { kid } },
  ]);
});

it('the first key is an event of the service itself, and an id begins with the time of its event', async () => {
  const other = await openHouse();
  try {
    await other.database.clock.freeze(1_900_000_000);
    await other.replica();
    const { rows } = await other.database.admin.query<EventRow>('SELECT * FROM events');
    expect(rows).toMatchObject([{ type: 'key.added', outcome: 'ok', actor: 'gatehouse' }]);
    expect(rows[0]?.id.replaceAll('-', '').slice(0, 13)).toBe(
      `${(1_900_000_000_000).toString(16).padStart(12, '0')}7`,
    );
  } finally {
    await other.close();
  }
});

it('an event is there exactly when its change is: where it cannot be written, nothing changes', async () => {
  const { pair, user } = await openScene();
  const { admin } = house.database;
  await forget();
  await admin.query('ALTER TABLE events ADD CONSTRAINT none CHECK (false)');
  try {
    for (const work of [
      () => replica.gatehouse.logout(pair.accessToken, 'access'),
      () => replica.gatehouse.login(user, DEVICE),
      () => rotateKeys(database, 'EdDSA', SECRET, CLI),
    ])
      await expect(work()).rejects.toThrow();
  } finally {
    await admin.query('ALTER TABLE events DROP CONSTRAINT none');
  }
  expect(await readEvents()).toEqual([]);
  expect((await replica.gatehouse.judge(pair.accessToken)).live).not.toBeNull();
  const { rows } = await admin.query('SELECT id FROM sessions WHERE user_id = $1', [user.id]);
  expect(rows).toHaveLength(1);
});

it('with EVENTS=off no statement names events, and nothing is written', async () => {
  const off = listen(openDatabase(house.database.url, { events: 'off', deadlineMs: AMPLE_MS }));
  try {
    const quiet = await openGatehouse(off, house.hasher);
    const user = await house.user();
    await forget();
    const pair = await quiet.login(user, DEVICE, trail());
    await quiet.refresh(pair.refreshToken, trail());
    await quiet.logout(pair.accessToken, 'access', trail());
    await quiet.operators.end({ userIds: [user.id] }, order(), trail());
    await quiet.operators.changeUser(user.id, { scope: 'read' }, CLI, trail());
    await quiet.operators.addClient({ id: 'quiet', permissions: [], audiences: [] }, CLI, trail());
    await quiet.operators.rotateKeys(CLI, trail());
    expect(off.asked.length).toBeGreaterThan(8);
    expect(off.asked.filter(({ text }) => /\bevents\b/.test(text))).toEqual([]);
    expect(off.asked.filter(({ values }) => JSON.stringify(values).includes(ORIGIN.requestId))).toEqual([]);
    expect(await readEvents()).toEqual([]);
  } finally {
    await off.close();
  }
});

/** What writes and is told of by no event, with the reason. */
const UNRECORDED: Record<string, string> = {
  'events/refusals.ts': 'writes events',
  'guessing/attempts.ts': 'counts guesses: events tell of what they led to',
  'liveness/beat.ts': 'says each second that somebody answers',
  'service/cluster.ts': 'a database that is not accepted yet may lack the table',
  'users/authenticate.ts': 'hashes the same password anew, at its login',
  'operators/keys.ts': 'repeats nothing but the wait for an earlier commit',
  'service/readiness.ts': 'looks for room on the disk, and leaves nothing behind',
};

/** Statements in a file that write, and which of them no event tells of; those that change nothing, or delete what is over, aside. */
function unrecordedIn(text: string): string[] {
  const statements = [...text.matchAll(/database\.(?:query|prepared)\([^`]*`([^`]*)`/g)].map(
    ([, sql = '']) => sql,
  );
  return statements.filter(
    (sql) => /\b(?:INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b/.test(sql) && !sql.includes('recorded('),
  );
}

describe('a statement that writes', () => {
  const ROOT = new URL('../../src/domain/', import.meta.url).pathname;
  const files = readdirSync(ROOT, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );

  /** In files with others, by a word of theirs. */
  const ALONE: Record<string, string> = {
    'UPDATE sessions SET generation = generation':
      'finds what a repeated change of password has opened, or proves a password',
    'WITH turn AS MATERIALIZED': 'prunes what is over',
    'WITH doomed AS MATERIALIZED': 'deletes what is left of users who were deleted',
    'outlived AS (': 'forgets keys that are over',
    'DELETE FROM events WHERE ctid': 'prunes events that are over',
    'DELETE FROM password_codes WHERE ctid': 'prunes codes that have expired',
  };

  it.each(files)('in %s is told of by an event, or its reason stands here', (file) => {
    const found = unrecordedIn(readFileSync(ROOT + file, 'utf8')).filter(
      (sql) => !Object.keys(ALONE).some((words) => sql.includes(words)),
    );
    if (file in UNRECORDED) expect(found).not.toEqual([]);
    else expect(found).toEqual([]);
  });

  it('is missed where it is not told of', () => {
    expect(unrecordedIn('await database.query({})`UPDATE users SET scope = 1`')).toHaveLength(1);
    expect(unrecordedIn('await database.query({})`SELECT 1 FOR UPDATE`')).toEqual([]);
  });

  it('stands in no command: they all call the domain', () => {
    const commands = new URL('../../src/cli/', import.meta.url).pathname;
    for (const file of readdirSync(commands))
      expect(readFileSync(commands + file, 'utf8'), file).not.toMatch(
        /\b(?:INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b/,
      );
  });
});
