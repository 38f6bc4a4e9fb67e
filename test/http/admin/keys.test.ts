// /admin/keys: looked at, rotated, and retired when one has leaked.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { basic, claimsOf, introspect, login, openHouse } from '../../support/house.js';
import type { House, Replica, TestClient, TokenPair } from '../../support/house.js';

let house: House;
let replica: Replica;
let other: Replica;
let operator: TestClient;
let client: TestClient;

beforeEach(async () => {
  house = await openHouse();
  replica = await house.replica();
  other = await house.replica();
  operator = await house.client(['keys:read', 'keys:write', 'sessions:read']);
  client = await house.client(['introspect']);
});
afterEach(() => house.close());

interface Key {
  kid: string;
  state: string;
  signs_at: string;
}

interface Answer {
  status: number;
  body: Record<string, unknown>;
}

async function ask(method: 'GET' | 'POST', url: string, payload?: object, at = replica): Promise<Answer> {
  const response = await at.app.inject({
    method,
    url,
    headers: basic(operator),
    ...(payload && { payload }),
  });
  return { status: response.statusCode, body: response.json() };
}

async function list(query = ''): Promise<Key[]> {
  return (await ask('GET', `/admin/keys${query}`)).body['keys'] as Key[];
}

async function isActive({ access_token: token }: TokenPair): Promise<boolean> {
  return (await introspect(other, client, token)).json<{ active: boolean }>().active;
}

function kidOf({ access_token: token }: TokenPair): string {
  const header = Buffer.from(token.split('.')[0] ?? '', 'base64url').toString();
  return (JSON.parse(header) as { kid: string }).kid;
}

const RFC_3339 = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string;

describe('rotating', () => {
  it('publishes the next key, and is the same again while that one waits', async () => {
    const [first] = await list();
    const { status, body } = await ask('POST', '/admin/keys/rotate');
    expect([status, body]).toEqual([
      200,
      {
        kid: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
        algorithm: 'EdDSA',
        state: 'next',
        created_at: RFC_3339,
        signs_at: RFC_3339,
        retired_at: null,
      },
    ]);
    expect(await ask('POST', '/admin/keys/rotate', {}, other)).toEqual({ status, body });
    expect((await list()).map(({ kid, state }) => [kid, state])).toEqual([
      [body['kid'], 'next'],
      [first?.kid, 'signing'],
    ]);
    const published = (await other.app.inject({ url: '/.well-known/jwks.json' })).json<{ keys: Key[] }>();
    expect(published.keys.map(({ kid }) => kid)).toContain(body['kid']);

    await house.database.clock.freeze(Date.parse(String(body['signs_at'])) / 1000 + 1);
    expect((await list()).map(({ state }) => state)).toEqual(['signing', 'verifying']);
    expect(kidOf(await login(other, await house.user()))).toBe(body['kid']);
    const again = (await ask('POST', '/admin/keys/rotate')).body;
    expect(again).toMatchObject({ state: 'next' });
    expect(again['kid']).not.toBe(body['kid']);
  });

  it('makes one key of two calls at once', async () => {
    const answers = await Promise.all([
      ask('POST', '/admin/keys/rotate'),
      ask('POST', '/admin/keys/rotate', undefined, other),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(answers[0].body).toEqual(answers[1].body);
    expect(await list()).toHaveLength(2);
  });

  it('is refused, like retiring, where no secret of the replica opens the newest key', async () => {
    const made = (await ask('POST', '/admin/keys/rotate')).body;
    await house.database.admin.query(
      `UPDATE signing_keys SET encrypted_private_key = '\\x00' WHERE kid = $1`,
      [made['kid']],
    );
    const [{ kid } = { kid: '' }] = await list();
    await house.database.clock.freeze(Date.parse(String(made['signs_at'])) / 1000 + 1);
    for (const verb of ['rotate', `${kid}/retire`]) {
      const { status, body } = await ask('POST', `/admin/keys/${verb}`);
      expect([verb, status, body['error']]).toEqual([verb, 503, 'temporarily_unavailable']);
    }
  });
});

describe('retiring', () => {
  it('says beforehand how many sessions would end, and ends none', async () => {
    const user = await house.user();
    const pairs = [await login(replica, user), await login(replica, user)];
    const [key] = await list();
    const { status, body } = await ask('POST', `/admin/keys/${key?.kid}/retire`, { dry_run: true });
    expect([status, body]).toMatchObject([200, { sessions: 2, users: 1, tokens: 0 }]);
    expect((body['sample'] as { id: string }[]).map(({ id }) => id)).toEqual(
      pairs
        .map(({ session_id: id }) => id)
        .sort()
        .reverse(),
    );
    expect(await Promise.all(pairs.map(isActive))).toEqual([true, true]);
    expect(await list()).toEqual([key]);
  });

  it('ends every session at once, on every replica, and another key signs', async () => {
    const user = await house.user();
    const pair = await login(replica, user);
    expect(await isActive(pair)).toBe(true);
    const kid = kidOf(pair);
    const { status, body } = await ask('POST', `/admin/keys/${kid}/retire`);
    const [signing, retired] = await list();
    expect([status, body]).toEqual([200, { retired, signing }]);
    expect([retired, signing]).toMatchObject([
      { kid, state: 'retired', retired_at: RFC_3339 },
      { state: 'signing', retired_at: null },
    ]);
    expect(await isActive(pair)).toBe(false);
    const fresh = await login(other, user);
    expect(kidOf(fresh)).toBe(signing?.kid);
    expect(claimsOf(fresh.access_token).sub).toBe(user.id);
    const told = await ask('GET', `/admin/revocations?actor=client:${operator.id}`);
    expect(told.body['revocations']).toMatchObject([{ reason: 'key_retired', user_id: null, kind: 'user' }]);

    // Once more it ends nothing.
    const again = await ask('POST', `/admin/keys/${kid}/retire`, {}, other);
    expect(again).toEqual({ status: 200, body });
    expect(await isActive(fresh)).toBe(true);
    const foreseen = (await ask('POST', `/admin/keys/${kid}/retire`, { dry_run: true })).body;
    expect(foreseen).toEqual({ sessions: 0, users: 0, tokens: 0, sample: [] });
  });

  it('knows which keys there are, and no other member', async () => {
    const [key] = await list();
    for (const payload of [undefined, { dry_run: true }]) {
      const { status, body } = await ask('POST', '/admin/keys/0123456789abcdef/retire', payload);
      expect([status, body['error']]).toEqual([404, 'not_found']);
    }
    for (const payload of [{ dry_run: 'yes' }, { all: true }, []])
      expect((await ask('POST', `/admin/keys/${key?.kid}/retire`, payload)).status).toBe(400);
    expect((await ask('POST', '/admin/keys/rotate', { algorithm: 'none' })).status).toBe(400);
    expect(await list()).toEqual([key]);
  });
});

it('lists all keys, latest to sign first, page by page', async () => {
  for (let rotated = 0; rotated < 2; rotated += 1) {
    const { body } = await ask('POST', '/admin/keys/rotate');
    await house.database.clock.freeze(Date.parse(String(body['signs_at'])) / 1000 + 1);
  }
  const all = await list();
  expect(all.map(({ state }) => state)).toEqual(['signing', 'verifying', 'verifying']);
  for (const limit of [1, 2, 3]) {
    const keys: Key[] = [];
    let after = '';
    do {
      const { body } = await ask('GET', `/admin/keys?limit=${limit}${after}`);
      keys.push(...(body['keys'] as Key[]));
      const next = body['next'] as string | null;
      after = next === null ? '' : `&after=${next}`;
    } while (after !== '');
    expect(keys).toEqual(all);
  }
});
