// POST /admin/revocations: each way to end what has leaked, what it says, and what it leaves alone.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { basic, bearer, claimsOf, introspect, login, openHouse, refresh } from '../../support/house.js';
import type { House, Replica, TestClient, TestUser, TokenPair } from '../../support/house.js';

let house: House;
let replica: Replica;
let other: Replica;
let operator: TestClient;
let client: TestClient;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica({ config: { trustProxy: ['127.0.0.1'] } });
  other = await house.replica();
  operator = await house.client(['sessions:read', 'sessions:end', 'revocations:lift']);
  client = await house.client(['introspect']);
});
afterAll(() => house.close());

interface Answer {
  status: number;
  body: Record<string, unknown>;
}

async function end(payload: object): Promise<Answer> {
  const response = await replica.app.inject({
    method: 'POST',
    url: '/admin/revocations',
    headers: basic(operator),
    payload,
  });
  return { status: response.statusCode, body: response.json() };
}

async function list(query: string): Promise<Record<string, unknown>[]> {
  const response = await replica.app.inject({ url: `/admin/revocations?${query}`, headers: basic(operator) });
  return response.json<{ revocations: Record<string, unknown>[] }>().revocations;
}

async function lift(id: unknown, payload?: object): Promise<Answer> {
  const url = `/admin/revocations/${String(id)}/lift`;
  const response = await replica.app.inject({
    method: 'POST',
    url,
    headers: basic(operator),
    ...(payload && { payload }),
  });
  return { status: response.statusCode, body: response.json() };
}

async function logInFrom(address: string, { username, password }: TestUser): Promise<TokenPair> {
  const response = await replica.app.inject({
    method: 'POST',
    url: '/login',
    headers: { 'x-forwarded-for': address },
    payload: { username, password },
  });
  expect(response.statusCode).toBe(200);
  return response.json();
}

/** Asked of the other replica. */
async function isActive(token: string): Promise<boolean> {
  return (await introspect(other, client, token)).json<{ active: boolean }>().active;
}

async function areActive(pairs: TokenPair[]): Promise<boolean[]> {
  return await Promise.all(pairs.map(({ access_token: token }) => isActive(token)));
}

async function now(): Promise<Date> {
  const { rows } = await house.database.admin.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  return rows[0]?.now ?? new Date(NaN);
}

describe('by session', () => {
  it('ends those that stand, each with a row of its own, and takes each back alone', async () => {
    const user = await house.user();
    const pairs = [
      await login(replica, user),
      await login(replica, user),
      await login(replica, user),
    ] as const;
    const [first, second] = pairs;
    const ids = [first.session_id, second.session_id, randomUUID(), first.session_id];
    const note = 'laptop lost on the train\nasked for by the user';
    const { status, body } = await end({ session_ids: ids, reason: 'lost_device', note });
    expect([status, body]).toEqual([
      200,
      {
        ending_id: expect.any(String) as string,
        sessions_ended: 2,
        users: 1,
        tokens: 0,
        liftable: true,
        effective_at: expect.stringMatching(/Z$/) as string,
      },
    ]);
    expect(await areActive([...pairs])).toEqual([false, false, true]);
    const rows = await list(`ending_id=${String(body['ending_id'])}`);
    expect(new Set(rows.map(({ target }) => target))).toEqual(new Set([first.session_id, second.session_id]));
    for (const row of rows)
      expect(row).toMatchObject({
        kind: 'session',
        user_id: user.id,
        reason: 'lost_device',
        note,
        actor: `client:${operator.id}`,
        liftable: true,
        lifted_at: null,
      });
    const of = (pair: TokenPair) => rows.find(({ target }) => target === pair.session_id)?.['id'];
    expect(await lift(of(first), { note: 'found again' })).toEqual({ status: 200, body: { restored: 1 } });
    expect(await areActive([...pairs])).toEqual([true, false, true]);
    expect(await list(`session_id=${first.session_id}`)).toMatchObject([
      {
        lifted_by: `client:${operator.id}`,
        lift_note: 'found again',
        lifted_at: expect.any(String) as string,
      },
    ]);
    // A second lift says the same, and changes nothing of what the first one wrote.
    expect(await lift(of(first), { note: 'again' })).toEqual({ status: 200, body: { restored: 1 } });
    expect(await list(`session_id=${first.session_id}`)).toMatchObject([{ lift_note: 'found again' }]);
    expect((await refresh(replica, first.refresh_token)).statusCode).toBe(200);
  });

  it('for two operators stays ended until both have taken it back', async () => {
    const second = await house.client(['sessions:end']);
    const pair = await login(replica, await house.user());
    const endBy = (client: TestClient) =>
      replica.app.inject({
        method: 'POST',
        url: '/admin/revocations',
        headers: basic(client),
        payload: { session_ids: [pair.session_id] },
      });
    const endings = [await endBy(operator), await endBy(second), await endBy(second)];
    const bodies = endings.map((answer) => answer.json<{ sessions_ended: number; ending_id: string }>());
    expect(bodies.map(({ sessions_ended: count }) => count)).toEqual([1, 0, 0]);
    const rows = await list(`session_id=${pair.session_id}`);
    expect(rows.map(({ ending_id: id }) => id)).toEqual([bodies[1]?.ending_id, bodies[0]?.ending_id]);
    expect((await lift(rows[1]?.['id'])).body).toEqual({ restored: 0 });
    expect(await isActive(pair.access_token)).toBe(false);
    expect((await lift(rows[0]?.['id'])).body).toEqual({ restored: 1 });
    expect(await isActive(pair.access_token)).toBe(true);
  });

  it('ends nothing where there are more than max_sessions, and says so', async () => {
    const user = await house.user();
    const pairs = [await login(replica, user), await login(replica, user), await login(replica, user)];
    const ids = pairs.map(({ session_id: id }) => id);
    expect(await end({ session_ids: ids, max_sessions: 2 })).toMatchObject({
      status: 409,
      body: { error: 'too_many_sessions', detail: expect.stringContaining('More than 2 sessions') as string },
    });
    expect(await areActive(pairs)).toEqual([true, true, true]);
    expect(await list(`user_id=${user.id}`)).toEqual([]);
    const foreseen = await end({ session_ids: ids, max_sessions: 2, dry_run: true });
    expect(foreseen).toMatchObject({ status: 200, body: { sessions: 3 } });
    expect((await end({ session_ids: ids, max_sessions: 3 })).status).toBe(200);
    expect(await areActive(pairs)).toEqual([false, false, false]);
  });

  it('beforehand shows what would end, and ends nothing', async () => {
    const user = await house.user();
    const pairs: TokenPair[] = [];
    for (let each = 0; each < 12; each += 1) pairs.push(await login(replica, user));
    const ids = pairs.map(({ session_id: id }) => id);
    const { body } = await end({ session_ids: ids, dry_run: true });
    expect(body).toMatchObject({ sessions: 12, users: 1, tokens: 0 });
    const sample = body['sample'] as { id: string; user_id: string }[];
    expect(sample.map(({ id }) => id)).toEqual(ids.toSorted().reverse().slice(0, 10));
    expect(sample[0]).toEqual({
      id: expect.any(String) as string,
      user_id: user.id,
      created_at: expect.stringMatching(/Z$/) as string,
      ip: '127.0.0.1',
    });
    expect((await areActive(pairs)).every(Boolean)).toBe(true);
    expect(await list(`user_id=${user.id}`)).toEqual([]);
  });
});

describe('by network', () => {
  it('ends what was opened from there in that time, however addresses are spelt', async () => {
    const user = await house.user();
    const before = await logInFrom('198.51.100.7', user);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const since = await now();
    const inside = [
      await logInFrom('198.51.100.1', user),
      await logInFrom('::ffff:198.51.100.254', user),
      await logInFrom('198.51.100.99', user),
    ];
    const outside = await logInFrom('198.51.101.1', user);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const until = await now();
    const order = { ip: '198.51.100.0/24', since: since.toISOString(), until: until.toISOString() };
    expect((await end({ ...order, dry_run: true })).body).toMatchObject({ sessions: 3, users: 1 });
    const { body } = await end(order);
    expect(body).toMatchObject({ sessions_ended: 3, users: 1, liftable: true });
    expect(await areActive([before, ...inside, outside])).toEqual([true, false, false, false, true]);
    // As an older version kept it.
    await house.database.admin.query(`UPDATE sessions SET ip = '::ffff:203.0.113.9' WHERE id = $1`, [
      outside.session_id,
    ]);
    expect((await end({ ...order, ip: '203.0.113.0/24' })).body).toMatchObject({ sessions_ended: 1 });
    expect(await isActive(outside.access_token)).toBe(false);
  });

  it('knows IPv6', async () => {
    const user = await house.user();
    const pairs = [await logInFrom('2001:db8:1:2::7', user), await logInFrom('2001:db8:1:3::7', user)];
    const order = { since: '2020-01-01T00:00:00Z', until: '9999-12-31T23:59:59.999+00:00' };
    expect((await end({ ...order, ip: '2001:db8:1:2::/64' })).body).toMatchObject({ sessions_ended: 1 });
    expect(await areActive(pairs)).toEqual([false, true]);
  });
});

describe('by token', () => {
  it('of an access token ends its lineage, and leaves the session', async () => {
    const pair = await login(replica, await house.user());
    const { body } = await end({ token: pair.access_token });
    expect(body).toMatchObject({ sessions_ended: 0, users: 1, tokens: 1, liftable: true });
    expect(await isActive(pair.access_token)).toBe(false);
    const next = (await refresh(replica, pair.refresh_token)).json<TokenPair>();
    expect(await isActive(next.access_token)).toBe(true);
    const [row] = await list(`ending_id=${String(body['ending_id'])}`);
    expect(row).toMatchObject({ kind: 'token', target: claimsOf(pair.access_token).jti.split('.')[0] });
    expect((await lift(row?.['id'])).body).toEqual({ restored: 1 });
    expect(await isActive(pair.access_token)).toBe(true);
  });

  it('of a refresh token ends the session', async () => {
    const pair = await login(replica, await house.user());
    expect((await end({ token: pair.refresh_token })).body).toMatchObject({ sessions_ended: 1, tokens: 0 });
    expect(await isActive(pair.access_token)).toBe(false);
  });

  it('refuses a text that is none', async () => {
    for (const token of ['x', 'a.b.c', `${(await login(replica, await house.user())).access_token}x`])
      expect(await end({ token })).toMatchObject({
        status: 400,
        body: { error: 'invalid_request', detail: expect.stringContaining('token') as string },
      });
  });
});

describe('by jti', () => {
  it('of an access token ends its lineage, also one of which nobody knows the token', async () => {
    const pair = await login(replica, await house.user());
    const { jti } = claimsOf(pair.access_token);
    expect((await end({ jti: jti.replace(/\d+$/, '7') })).body).toMatchObject({
      sessions_ended: 0,
      users: 0,
      tokens: 1,
    });
    expect(await isActive(pair.access_token)).toBe(false);
    // Once is enough.
    expect((await end({ jti })).body).toMatchObject({ sessions_ended: 0, tokens: 0 });
    const [row, ...more] = await list(`session_id=${String(jti.split('.')[0])}`);
    expect(more).toEqual([]);
    const { rows } = await house.database.admin.query<{ latest: Date }>(
      'SELECT max(expires_at) AS latest FROM sessions',
    );
    const latest = rows[0]?.latest.getTime() ?? NaN;
    expect(Date.parse(String(row?.['kept_until']))).toBeGreaterThanOrEqual(latest + 360_000);
    expect((await lift(row?.['id'])).body).toEqual({ restored: 1 });
    expect(await isActive(pair.access_token)).toBe(true);
  });

  it('of a refresh token ends the session', async () => {
    const pair = await login(replica, await house.user());
    expect((await end({ jti: `${pair.session_id}.0` })).body).toMatchObject({ sessions_ended: 1, tokens: 0 });
    expect(await isActive(pair.access_token)).toBe(false);
  });
});

describe('by user', () => {
  it('ends every session of these users for good, and those that are being opened', async () => {
    const users = [await house.user(), await house.user(), await house.user()] as const;
    const pairs = [];
    for (const user of users) pairs.push(await login(replica, user), await login(replica, user));
    const { body } = await end({ user_ids: [users[0].id, users[1].id, randomUUID(), users[0].id] });
    expect(body).toMatchObject({ users: 2, sessions_ended: 4, tokens: 0, liftable: false });
    expect(await areActive(pairs)).toEqual([false, false, false, false, true, true]);
    const rows = await list(`ending_id=${String(body['ending_id'])}`);
    expect(new Set(rows.map(({ user_id: id }) => id))).toEqual(new Set([users[0].id, users[1].id]));
    expect(await lift(rows[0]?.['id'])).toMatchObject({ status: 409, body: { error: 'not_liftable' } });
    const again = await login(replica, users[0]);
    expect(await isActive(again.access_token)).toBe(true);
  });

  it('has a limit where one is asked for', async () => {
    const user = await house.user();
    const pairs = [await login(replica, user), await login(replica, user)];
    expect((await end({ user_ids: [user.id], max_sessions: 1 })).status).toBe(409);
    expect((await end({ user_ids: [user.id], dry_run: true })).body).toMatchObject({ sessions: 2, users: 1 });
    expect(await areActive(pairs)).toEqual([true, true]);
    expect((await end({ user_ids: [user.id], max_sessions: 2 })).body).toMatchObject({ sessions_ended: 2 });
  });
});

it('a lift of what is no operator’s end is refused, and of nothing is not found', async () => {
  const pair = await login(replica, await house.user());
  await replica.app.inject({ method: 'POST', url: '/logout', headers: bearer(pair.access_token) });
  expect(await lift(pair.session_id)).toMatchObject({ status: 409, body: { error: 'not_liftable' } });
  for (const id of [randomUUID(), 'x', '%00', pair.session_id.toUpperCase()])
    expect(await lift(id)).toMatchObject({ status: 404, body: { error: 'not_found' } });
});

const MALFORMED: [string, object][] = [
  ['nothing', {}],
  ['two things', { jti: `${randomUUID()}.0`, user_ids: [randomUUID()] }],
  ['no ids', { session_ids: [] }],
  ['too many ids', { session_ids: Array.from({ length: 1001 }, () => randomUUID()) }],
  ['no id', { session_ids: ['x'] }],
  ['a capital id', { user_ids: [randomUUID().toUpperCase()] }],
  ['a jti without a number', { jti: randomUUID() }],
  ['a network without times', { ip: '10.0.0.0/8' }],
  [
    'a network of everybody',
    { ip: '0.0.0.0/0', since: '2026-01-01T00:00:00Z', until: '2026-01-02T00:00:00Z' },
  ],
  ['no network', { ip: '010.0.0.1', since: '2026-01-01T00:00:00Z', until: '2026-01-02T00:00:00Z' }],
  ['no time', { ip: '10.0.0.1', since: 'yesterday', until: '2026-01-02T00:00:00Z' }],
  ['a month that is none', { all: true, opened_before: '2026-13-01T00:00:00Z' }],
  [
    'an end before its beginning',
    { ip: '10.0.0.1', since: '2026-01-02T00:00:00Z', until: '2026-01-01T00:00:00Z' },
  ],
  ['times without a network', { session_ids: [randomUUID()], since: '2026-01-01T00:00:00Z' }],
  ['everything without a time', { all: true }],
  ['a time without everything', { opened_before: 'now' }],
  ['all that is false', { all: false, opened_before: 'now' }],
  ['a time to come', { all: true, opened_before: '2999-01-01T00:00:00Z' }],
  ['no sessions at most', { session_ids: [randomUUID()], max_sessions: 0 }],
  ['more than is counted', { session_ids: [randomUUID()], max_sessions: 10_001 }],
  ['a reason of two words', { session_ids: [randomUUID()], reason: 'a leak' }],
  ['a note that nobody can read', { session_ids: [randomUUID()], note: 'a\u0000b' }],
  ['half a character', { session_ids: [randomUUID()], note: 'a\ud800b' }],
  ['a long note', { session_ids: [randomUUID()], note: 'a'.repeat(501) }],
  ['a member that is unknown', { session_ids: [randomUUID()], dryrun: true }],
];

it.each(MALFORMED)('refuses %s, and ends nothing', async (_name, payload) => {
  const spectator = await login(replica, await house.user());
  const { status, body } = await end(payload);
  expect([status, body['error']]).toEqual([400, 'invalid_request']);
  expect(body['errors']).not.toEqual([]);
  expect(await isActive(spectator.access_token)).toBe(true);
});

describe('everything', () => {
  it('that was opened before a time ends, and what is opened later lives; the time only grows', async () => {
    const user = await house.user();
    const early = await login(replica, user);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const time = (await now()).toISOString();
    await new Promise((resolve) => setTimeout(resolve, 5));
    const late = await login(replica, user);
    expect((await end({ all: true, opened_before: time, max_sessions: 1 })).status).toBe(409);
    expect(await areActive([early, late])).toEqual([true, true]);
    const { body } = await end({ all: true, opened_before: time });
    expect(body).toMatchObject({ liftable: false, tokens: 0 });
    expect(body['sessions_ended']).toBeGreaterThanOrEqual(1);
    expect(await areActive([early, late])).toEqual([false, true]);
    expect((await refresh(replica, early.refresh_token)).statusCode).toBe(401);
    const [row] = await list(`ending_id=${String(body['ending_id'])}`);
    expect(row).toMatchObject({
      kind: 'user',
      target: null,
      user_id: null,
      opened_before: time,
      liftable: false,
    });
    // An earlier time brings nothing back, and a repetition ends nothing more.
    expect((await end({ all: true, opened_before: '2020-01-01T00:00:00Z' })).body).toMatchObject({
      sessions_ended: 0,
    });
    expect((await end({ all: true, opened_before: time })).body).toMatchObject({ sessions_ended: 0 });
    expect(await areActive([early, late])).toEqual([false, true]);
  });

  it('ends now, with what is being opened', async () => {
    const user = await house.user();
    const pairs = [await login(replica, user), await login(other, user)];
    expect((await end({ all: true, opened_before: 'now', dry_run: true })).body['sample']).not.toEqual([]);
    expect(await areActive(pairs)).toEqual([true, true]);
    expect((await end({ all: true, opened_before: 'now' })).status).toBe(200);
    expect(await areActive(pairs)).toEqual([false, false]);
    expect(await isActive((await login(replica, user)).access_token)).toBe(true);
  });
});
