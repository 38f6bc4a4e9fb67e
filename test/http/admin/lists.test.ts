// Lists of /admin: complete, in order, page by page, by each filter; and no cursor of one list works at another.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { basic, bearer, login, openHouse } from '../../support/house.js';
import type { House, Replica, TestClient, TestUser, TokenPair } from '../../support/house.js';

let house: House;
let replica: Replica;
let operator: TestClient;
let users: [TestUser, TestUser];
const pairs: TokenPair[] = [];

type Listed = Record<string, unknown> & { id: string };

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica({ config: { trustProxy: ['127.0.0.1'] } });
  operator = await house.client(['sessions:read', 'sessions:end']);
  users = [await house.user(), await house.user()];
  for (let each = 0; each < 7; each += 1) pairs.push(await login(replica, users[each % 2] as TestUser));
  for (const pair of pairs.slice(0, 3))
    await replica.app.inject({ method: 'POST', url: '/logout', headers: bearer(pair.access_token) });
});
afterAll(() => house.close());

async function get(path: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await replica.app.inject({ url: `/admin/${path}`, headers: basic(operator) });
  return { status: answer.statusCode, body: answer.json() };
}

/** All pages of a list, one after the other. */
async function readAll(list: 'sessions' | 'revocations', query: string): Promise<Listed[]> {
  const rows: Listed[] = [];
  let after = '';
  do {
    const { status, body } = await get(`${list}?${query}${after}`);
    expect([status, body['error']]).toEqual([200, undefined]);
    rows.push(...(body[list] as Listed[]));
    const next = body['next'] as string | null;
    after = next === null ? '' : `&after=${next}`;
  } while (after !== '');
  return rows;
}

const idsOf = (rows: Listed[]) => rows.map(({ id }) => id);

describe('sessions', () => {
  it('are all there, latest opened first, however large a page is', async () => {
    const all = pairs.map(({ session_id: id }) => id).reverse();
    for (const limit of [1, 2, 6, 7, 8, 200])
      expect(idsOf(await readAll('sessions', `limit=${limit}`))).toEqual(all);
    expect((await get('sessions?limit=7')).body['next']).toBeNull();
  });

  it('tell exactly when and where, and whether they live', async () => {
    const [ended, living] = [pairs[0], pairs[6]] as [TokenPair, TokenPair];
    expect((await get(`sessions/${living.session_id}`)).body).toEqual({
      id: living.session_id,
      user_id: users[0].id,
      client_id: null,
      external_id: null,
      claims: null,
      username: users[0].username,
      live: true,
      created_at: expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/) as string,
      last_used_at: expect.stringMatching(/Z$/) as string,
      expires_at: expect.stringMatching(/Z$/) as string,
      ended_at: null,
      ip: '127.0.0.1',
      user_agent: 'lightMyRequest',
    });
    expect((await get(`sessions/${ended.session_id}`)).body).toMatchObject({
      live: false,
      ended_at: expect.stringMatching(/Z$/) as string,
    });
  });

  it('are found by user, and by network and time', async () => {
    const [first] = users;
    const all = pairs.filter((_pair, place) => place % 2 === 0).map(({ session_id: id }) => id);
    expect(idsOf(await readAll('sessions', `user_id=${first.id}&limit=2`))).toEqual(all.toReversed());
    expect(await readAll('sessions', `user_id=${randomUUID()}`)).toEqual([]);
    const times = 'since=2020-01-01T00:00:00Z&until=2999-01-01T00:00:00Z';
    expect(await readAll('sessions', `ip=127.0.0.0/8&${times}&limit=3`)).toHaveLength(7);
    expect(await readAll('sessions', `ip=127.0.0.2&${times}`)).toEqual([]);
    const { body } = await get(`sessions/${pairs[3]?.session_id}`);
    const at = String(body['created_at']);
    expect(idsOf(await readAll('sessions', `since=${at}`))).toContain(pairs[3]?.session_id);
    expect(idsOf(await readAll('sessions', `until=${at}`))).not.toContain(pairs[3]?.session_id);
    expect(idsOf(await readAll('sessions', `until=${at}`))).toContain(pairs[1]?.session_id);
  });
});

describe('revocations', () => {
  it('are all there, latest first, and are found by user, session, actor and time', async () => {
    const ended = pairs.slice(0, 3).map(({ session_id: id }) => id);
    for (const limit of [1, 2, 3, 50]) {
      const rows = await readAll('revocations', `limit=${limit}`);
      expect(rows.map(({ target }) => target)).toEqual(ended.toReversed());
    }
    const [row] = await readAll('revocations', `session_id=${ended[1]}`);
    expect(row).toEqual({
      id: ended[1],
      ending_id: null,
      kind: 'session',
      target: ended[1],
      user_id: users[1].id,
      opened_before: null,
      reason: 'logout',
      note: null,
      actor: `user:${users[1].id}`,
      revoked_at: expect.stringMatching(/Z$/) as string,
      kept_until: expect.stringMatching(/Z$/) as string,
      liftable: false,
      lifted_at: null,
      lifted_by: null,
      lift_note: null,
    });
    expect((await get(`revocations/${row?.id}`)).body).toEqual(row);
    expect(await readAll('revocations', `user_id=${users[1].id}`)).toEqual([row]);
    expect(await readAll('revocations', 'actor=user&limit=2')).toHaveLength(3);
    expect(await readAll('revocations', `actor=user:${users[1].id}`)).toEqual([row]);
    expect(await readAll('revocations', `actor=user:${users[1].id}&user_id=${users[0].id}`)).toEqual([]);
    expect(await readAll('revocations', 'actor=gatehouse')).toEqual([]);
    const at = String(row?.['revoked_at']);
    expect(await readAll('revocations', `since=${at}&limit=1`)).toHaveLength(2);
    expect(await readAll('revocations', `until=${at}`)).toHaveLength(1);
    expect((await get(`revocations/${randomUUID()}`)).status).toBe(404);
    // As a version before has written it.
    await house.database.admin.query(`UPDATE revocations SET actor = 'user' WHERE id = $1`, [row?.id]);
    const older = [{ ...row, actor: 'user' }];
    expect(await readAll('revocations', `actor=user:${users[1].id}`)).toEqual(older);
    expect(await readAll('revocations', 'actor=user')).toHaveLength(3);
  });
});

it('a cursor works at its own list, with its own filter, and nowhere else', async () => {
  const next = String((await get('sessions?limit=2')).body['next']);
  const other = String((await get('revocations?limit=2')).body['next']);
  expect((await get(`sessions?after=${next}&limit=5`)).status).toBe(200);
  const refused = [
    `sessions?user_id=${users[0].id}&after=${next}`,
    `sessions?since=2020-01-01T00:00:00Z&after=${next}`,
    `sessions?after=${other}`,
    `revocations?after=${next}`,
    `revocations?actor=user&after=${other}`,
    'sessions?after=',
    'sessions?after=x',
    `sessions?after=${next}x`,
    `sessions?after=${next.toUpperCase()}`,
    `sessions?after=${'a'.repeat(201)}`,
    `sessions?after=${encodeURIComponent("' OR 1=1")}`,
  ];
  for (const path of refused) {
    const { status, body } = await get(path);
    expect([path, status, body['error']]).toEqual([path, 400, 'invalid_request']);
  }
});

it.each([
  'limit=0',
  'limit=201',
  'limit=-1',
  'limit=1e2',
  'limit=',
  'limit=5&limit=6',
  'user_id=x',
  'user_id=',
  'ip=10.0.0.0/8',
  'ip=10.0.0.0/33&since=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00Z',
  'since=yesterday',
  'since=2020-01-01',
  'page=2',
  'user_id%00=x',
  'actor=%00',
])('refuses ?%s', async (query) => {
  for (const list of ['sessions', 'revocations']) expect((await get(`${list}?${query}`)).status).toBe(400);
});

it('takes times of all years, and of any zone', async () => {
  const times = [
    '0000-01-01T00:00:00Z',
    '0001-01-01T00:00:00+14:00',
    '1969-12-31T23:59:59Z',
    '9999-12-31T23:59:59-23:59',
  ];
  for (const time of times) {
    for (const list of ['sessions', 'revocations']) {
      for (const bound of ['since', 'until'])
        expect([time, (await get(`${list}?${bound}=${encodeURIComponent(time)}`)).status]).toEqual([
          time,
          200,
        ]);
    }
  }
});
