// GET /admin/events: what was done by whom, in pages; each filter, and what is refused.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import {
  basic,
  bearer,
  login,
  openHouse,
  type House,
  type Replica,
  type TestClient,
  type TestUser,
} from '../../support/house.js';

let house: House;
let replica: Replica;
let operator: TestClient;
let user: TestUser;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  operator = await house.client(['events:read', 'sessions:end', 'users:read', 'clients:write']);
  user = await house.user();
});
afterAll(() => house.close());

interface Answer {
  status: number;
  body: { events: Record<string, unknown>[]; next: string | null; error?: string };
}

async function find(query = ''): Promise<Answer> {
  const response = await replica.app.inject({ url: `/admin/events${query}`, headers: basic(operator) });
  return { status: response.statusCode, body: response.json<Answer['body']>() };
}

async function readAll(query: string): Promise<Record<string, unknown>[]> {
  const all: Record<string, unknown>[] = [];
  for (let after = ''; ;) {
    const { status, body } = await find(`?${query}${after}`);
    expect(status).toBe(200);
    all.push(...body.events);
    if (body.next === null) return all;
    after = `&after=${body.next}`;
  }
}

const typesOf = (events: Record<string, unknown>[]) => events.map(({ type }) => type);

describe('events', () => {
  let sid: string;
  let requestId: string;

  beforeAll(async () => {
    const headers = { 'user-agent': 'a browser' };
    const payload = { username: user.username, password: user.password };
    const loggedIn = await replica.app.inject({ method: 'POST', url: '/login', headers, payload });
    const pair = loggedIn.json<{ session_id: string; access_token: string }>();
    sid = pair.session_id;
    requestId = String(loggedIn.headers['x-request-id']);
    await replica.app.inject({ method: 'POST', url: '/logout', headers: bearer(pair.access_token) });
    const other = await login(replica, user);
    await replica.app.inject({
      method: 'POST',
      url: '/admin/revocations',
      headers: basic(operator),
      payload: { session_ids: [other.session_id], note: 'laptop lost' },
    });
  });

  it('of a user are there, latest first, with all that is known', async () => {
    const events = await readAll(`user_id=${user.id}`);
    expect(typesOf(events)).toEqual([
      'revocation.added',
      'session.opened',
      'session.ended',
      'session.opened',
      'user.added',
    ]);
    expect(events[3]).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      at: expect.stringMatching(/Z$/) as string,
      type: 'session.opened',
      outcome: 'ok',
      actor: `user:${user.id}`,
      user_id: user.id,
      session_id: sid,
      client_id: null,
      ip: '127.0.0.1',
      user_agent: 'a browser',
      request_id: requestId,
      reason: null,
      note: null,
      detail: null,
    });
    expect(events[0]).toMatchObject({
      actor: `client:${operator.id}`,
      note: 'laptop lost',
      detail: { users: 1, sessions: 1 },
    });
    const times = events.map(({ at }) => String(at));
    expect(times).toEqual(times.toSorted().reverse());
  });

  it('are found by actor, by type and by time, and in pages of any size', async () => {
    expect(typesOf(await readAll(`actor=client:${operator.id}`))).toEqual(['revocation.added']);
    expect(typesOf(await readAll(`actor=user:${user.id}`))).toHaveLength(3);
    expect(typesOf(await readAll('actor=cli:nobody'))).toEqual([]);
    expect(typesOf(await readAll(`user_id=${randomUUID()}`))).toEqual([]);
    const all = await readAll('limit=200');
    for (const limit of [1, 2, 3]) expect(await readAll(`limit=${limit}`)).toEqual(all);
    const opened = all.filter(({ type }) => type === 'session.opened');
    expect(opened).toHaveLength(2);
    for (const limit of [1, 2, 50])
      expect(await readAll(`type=session.opened&limit=${limit}`)).toEqual(opened);
    const at = String(opened[0]?.['at']);
    expect(typesOf(await readAll(`user_id=${user.id}&since=${at}`))).toEqual([
      'revocation.added',
      'session.opened',
    ]);
    expect(typesOf(await readAll(`user_id=${user.id}&until=${at}`))).toHaveLength(3);
  });

  it('of one type come in pages that end where enough was looked at, the last of which says so', async () => {
    await house.database.admin.query(
      `INSERT INTO events (id, type, outcome, actor)
       SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint + n), 12, '0') || '7' || repeat('0', 19))::uuid,
              'session.opened', 'ok', 'gatehouse'
       FROM generate_series(1, 6000) AS n`,
    );
    const first = await find('?type=user.added');
    expect(first.body.events).toEqual([]);
    expect(first.body.next).not.toBeNull();
    expect(typesOf(await readAll('type=user.added'))).toEqual(['user.added']);
    await house.database.admin.query(`DELETE FROM events WHERE actor = 'gatehouse'`);
  });

  it.each([
    'limit=0',
    'user_id=x',
    'actor=%00',
    'type=nothing',
    'since=yesterday',
    'page=2',
    `user_id=${randomUUID()}&actor=gatehouse`,
  ])('refuse ?%s', async (query) => {
    expect(await find(`?${query}`)).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
  });

  it('refuse the cursor of another filter, or of another list', async () => {
    const { body } = await find('?limit=1');
    expect(body.next).not.toBeNull();
    expect((await find(`?limit=1&type=session.opened&after=${body.next}`)).status).toBe(400);
    const users = await replica.app.inject({
      url: `/admin/users?after=${body.next}`,
      headers: basic(operator),
    });
    expect(users.statusCode).toBe(400);
  });

  it('of a program’s changes name it, its address and its request', async () => {
    const response = await replica.app.inject({
      method: 'POST',
      url: '/admin/clients',
      headers: basic(operator),
      payload: { id: 'events-orders', permissions: [] },
    });
    expect(response.statusCode).toBe(201);
    const [event] = await readAll(`actor=client:${operator.id}&limit=1`);
    expect(event).toMatchObject({
      type: 'client.added',
      client_id: 'events-orders',
      ip: '127.0.0.1',
      request_id: response.headers['x-request-id'],
    });
  });
});
