// /admin and users of clients: found by client and external id, shown with what the client says, ended by client, and deleted.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { accountOf } from '../../../src/domain/guessing/guesses.js';
import { LOGIN_LIMITS } from '../../../src/domain/guessing/throttle.js';
import { pruneDeletedUsers } from '../../../src/domain/operators/deletion.js';
import { subjectId, subjectName } from '../../../src/domain/tokens/subjects.js';
import { jsonInHouse } from '../../support/command.js';
import { basic, introspect, login, openHouse } from '../../support/house.js';
import type { House, Replica, TestClient, TokenPair } from '../../support/house.js';

let house: House;
let replica: Replica;
let operator: TestClient;
let server: TestClient;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  operator = await house.client([
    ...(['users:read', 'users:write', 'sessions:read', 'sessions:end'] as const),
    ...(['revocations:lift', 'clients:write', 'sessions:open'] as const),
  ]);
  server = await house.client();
});
afterAll(() => house.close());

type Body = Record<string, unknown>;

async function call(method: 'GET' | 'POST' | 'DELETE', path: string, payload?: object) {
  const url = `/admin/${path}`;
  const answer = await replica.app.inject({
    method,
    url,
    headers: basic(operator),
    ...(payload && { payload }),
  });
  return { status: answer.statusCode, body: answer.body === '' ? {} : answer.json<Body>() };
}

async function open(client: TestClient, externalId: string, more: object = {}): Promise<TokenPair> {
  const payload = { external_id: externalId, ...more };
  const answer = await replica.app.inject({
    method: 'POST',
    url: '/sessions',
    headers: basic(client),
    payload,
  });
  expect(answer.statusCode).toBe(201);
  return answer.json();
}

async function areActive(pairs: TokenPair[]): Promise<boolean[]> {
  const answers = pairs.map(({ access_token: token }) => introspect(replica, server, token));
  return (await Promise.all(answers)).map((answer) => answer.json<{ active: boolean }>().active);
}

const newClient = () => house.client(['sessions:open']);

describe('users of a client', () => {
  it('are found by the client, page by page, and one by its external id', async () => {
    const [shop, forum] = [await newClient(), await newClient()];
    const names = ['a', 'b', 'c'];
    for (const name of names) await open(shop, name);
    await open(forum, 'a');
    const ids = names.map((name) => subjectId(shop.id, name)).toSorted();
    const found: unknown[] = [];
    let next: string | null = null;
    do {
      const after = next === null ? '' : `&after=${next}`;
      const { body } = await call('GET', `users?client_id=${shop.id}&limit=2${after}`);
      found.push(...(body['users'] as Body[]).map(({ id }) => id));
      next = body['next'] as string | null;
    } while (next !== null);
    expect(found).toEqual(ids.toReversed());
    const { body } = await call('GET', `users?client_id=${shop.id}&external_id=a`);
    expect(body).toMatchObject({
      users: [
        {
          id: subjectId(shop.id, 'a'),
          username: 'a',
          client_id: shop.id,
          external_id: 'a',
          has_password: false,
        },
      ],
      next: null,
    });
    const typed = ['users', 'find', '--client-id', shop.id];
    expect(await jsonInHouse(house, [...typed, '--external-id', 'a'])).toEqual(body);
    expect(await jsonInHouse(house, ['users', 'show', subjectId(shop.id, 'a')])).toEqual(
      (body['users'] as Body[])[0],
    );
    for (const nothing of [`client_id=${shop.id}&external_id=A`, `client_id=${shop.id}&disabled=true`])
      expect((await call('GET', `users?${nothing}`)).body).toEqual({ users: [], next: null });
    const first = await call('GET', `users?client_id=${shop.id}&limit=1`);
    const foreign = await call('GET', `users?client_id=${forum.id}&after=${String(first.body['next'])}`);
    expect(foreign.status).toBe(400);
  });

  it.each(['external_id=a', 'client_id=gatehouse', 'client_id=', 'client_id=shop&external_id=a%20b'])(
    'are not asked for by %s',
    async (query) => {
      expect(await call('GET', `users?${query}`)).toMatchObject({
        status: 400,
        body: { error: 'invalid_request' },
      });
    },
  );

  it('leave the attempts at another user of the same name alone', async () => {
    const shop = await newClient();
    const user = await house.user();
    await open(shop, user.username);
    const id = subjectId(shop.id, user.username);
    const expire = Date.now() + 600_000;
    const key = `account:${accountOf(user.username)}`;
    await house.database.admin.query('INSERT INTO login_attempts (key, points, expire) VALUES ($1, $2, $3)', [
      key,
      LOGIN_LIMITS.account.points,
      expire,
    ]);
    const lockOf = async (of: string) => (await call('GET', `users/${of}`)).body['locked_until'];
    const locked = new Date(expire).toISOString();
    expect([await lockOf(user.id), await lockOf(id)]).toEqual([locked, null]);
    expect((await call('GET', `users/${id}/export`)).body).toMatchObject({
      attempts: [],
      known_networks: [],
    });
    expect((await call('POST', `users/${id}/unlock`)).status).toBe(204);
    expect((await call('DELETE', `users/${id}`)).status).toBe(204);
    expect(await lockOf(user.id)).toBe(locked);
    expect((await call('POST', `users/${user.id}/unlock`)).status).toBe(204);
    expect(await lockOf(user.id)).toBeNull();
  });
});

describe('sessions of a client', () => {
  const SAID = { username: 'Ünal', scope: 'read', ext: { plan: 'gold' }, acr: 'silver' };

  it('show what it says of them, in lists and in the export, and logins say nothing', async () => {
    const shop = await newClient();
    const said = await open(shop, 'customer', SAID);
    const silent = await open(shop, 'customer');
    const id = subjectId(shop.id, 'customer');
    const common = { user_id: id, client_id: shop.id, external_id: 'customer', live: true };
    const sessions = [
      { ...common, id: silent.session_id, username: 'customer', claims: { audience: ['gatehouse'] } },
      { ...common, id: said.session_id, username: 'Ünal', claims: { ...SAID, audience: ['gatehouse'] } },
    ];
    const { body } = await call('GET', `sessions?user_id=${id}`);
    expect(body).toMatchObject({ sessions });
    expect((await call('GET', `sessions/${said.session_id}`)).body).toMatchObject(sessions[1] ?? {});
    expect(await jsonInHouse(house, ['sessions', 'show', said.session_id])).toMatchObject(sessions[1] ?? {});
    const { body: exported } = await call('GET', `users/${id}/export`);
    expect(exported).toMatchObject({
      user: { username: 'customer', client_id: shop.id, external_id: 'customer' },
      sessions: body['sessions'],
      events: [
        { type: 'session.opened', user_id: id },
        { type: 'session.opened', user_id: id },
      ],
    });
    const own = await login(replica, await house.user());
    expect((await call('GET', `sessions/${own.session_id}`)).body).toMatchObject({
      client_id: null,
      external_id: null,
      claims: null,
    });
  });

  it('lose what was said with the user', async () => {
    const shop = await newClient();
    const { session_id: sid } = await open(shop, 'leaver', SAID);
    const id = subjectId(shop.id, 'leaver');
    expect((await call('DELETE', `users/${id}`)).status).toBe(204);
    const { body } = await call('GET', `sessions/${sid}`);
    expect(body).toMatchObject({
      username: id,
      client_id: null,
      external_id: null,
      claims: null,
      live: false,
    });
    expect((await call('GET', `users?client_id=${shop.id}`)).body['users']).toEqual([]);
    const { admin } = house.database;
    const { rows } = await admin.query('SELECT * FROM users WHERE id = $1', [id]);
    expect(JSON.stringify(rows)).not.toContain('leaver');
    await pruneDeletedUsers(replica.database);
    const left = await admin.query('SELECT FROM sessions WHERE id = $1', [sid]);
    expect(left.rows).toEqual([]);
  });
});

describe('an end by client', () => {
  const ALWAYS = { since: '2020-01-01T00:00:00Z', until: '2999-01-01T00:00:00Z' };

  it('ends what the client has opened, also of one that is removed, and can be lifted', async () => {
    const [shop, forum] = [await newClient(), await newClient()];
    const pairs = [
      await open(shop, 'a'),
      await open(shop, 'b'),
      await open(forum, 'a'),
      await login(replica, await house.user()),
    ];
    expect((await call('DELETE', `clients/${shop.id}`)).status).toBe(204);
    expect(await areActive(pairs)).toEqual([true, true, true, true]);
    const order = { client_id: shop.id, ...ALWAYS };
    expect((await call('POST', 'revocations', { ...order, dry_run: true })).body).toMatchObject({
      sessions: 2,
      users: 2,
    });
    expect((await call('POST', 'revocations', { ...order, max_sessions: 1 })).status).toBe(409);
    expect(await areActive(pairs)).toEqual([true, true, true, true]);
    const { body } = await call('POST', 'revocations', order);
    expect(body).toMatchObject({ sessions_ended: 2, users: 2, liftable: true });
    expect(await areActive(pairs)).toEqual([false, false, true, true]);
    const { body: listed } = await call('GET', `revocations?ending_id=${String(body['ending_id'])}`);
    const row = (listed['revocations'] as Body[]).find(({ target }) => target === pairs[0]?.session_id);
    expect((await call('POST', `revocations/${String(row?.['id'])}/lift`)).body).toEqual({ restored: 1 });
    expect(await areActive(pairs)).toEqual([true, false, true, true]);
  });

  it('is of a span of time, and typed as well', async () => {
    const shop = await newClient();
    const pair = await open(shop, 'a');
    const past = { since: '2020-01-01T00:00:00Z', until: '2020-01-02T00:00:00Z' };
    expect((await call('POST', 'revocations', { client_id: shop.id, ...past })).body).toMatchObject({
      sessions_ended: 0,
    });
    const add = [
      'revocations',
      'add',
      '--client-id',
      shop.id,
      '--since',
      ALWAYS.since,
      '--until',
      ALWAYS.until,
    ];
    expect(await jsonInHouse(house, add)).toMatchObject({ sessions_ended: 1, users: 1, liftable: true });
    expect(await areActive([pair])).toEqual([false]);
  });

  it.each([
    { client_id: 'shop' },
    { client_id: 'shop', since: ALWAYS.since },
    { client_id: 'shop', ip: '192.0.2.1', ...ALWAYS },
    { client_id: 'gatehouse', ...ALWAYS },
    { client_id: 'shop', since: ALWAYS.until, until: ALWAYS.since },
    { session_ids: [randomUUID()], ...ALWAYS },
  ])('is not %j', async (payload) => {
    expect(await call('POST', 'revocations', payload)).toMatchObject({
      status: 400,
      body: { error: 'invalid_request' },
    });
  });
});

it('a name with a space, typed at a login, is no user of a client', async () => {
  const shop = await newClient();
  await open(shop, 'a');
  const payload = { username: subjectName(shop.id, 'a'), password: 'not a password at all' };
  const answer = await replica.app.inject({ method: 'POST', url: '/login', payload });
  expect(answer.json<Body>()['error']).toBe('invalid_credentials');
});
