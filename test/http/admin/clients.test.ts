// /admin/clients: who may add, change and delete whom, and how a new secret takes the place of an old one.
import { hash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { PERMISSIONS, type Permission } from '../../../src/domain/clients.js';
import { basic, introspect, openHouse } from '../../support/house.js';
import type { House, Replica, TestClient } from '../../support/house.js';
import { holdRow } from '../../support/row-lock.js';

let house: House;
let replica: Replica;
/** Is asked nothing but what a client is about to be refused, or to be let in with. */
let other: Replica;
let operator: TestClient;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  other = await house.replica();
  operator = await house.client([...PERMISSIONS]);
});
afterAll(() => house.close());

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

interface Answer {
  status: number;
  error: unknown;
  body: Record<string, unknown>;
}

interface Shown {
  id: string;
  permissions: Permission[];
  audiences: string[];
  created_at: string;
  secrets: { id: string; created_at: string }[];
}

async function ask(
  by: TestClient,
  method: Method,
  path: string,
  payload?: object,
  at: Replica = replica,
): Promise<Answer> {
  const url = `/admin/clients${path}`;
  const response = await at.app.inject({ method, url, headers: basic(by), ...(payload && { payload }) });
  const body = response.body === '' ? {} : response.json<Record<string, unknown>>();
  return { status: response.statusCode, error: body['error'], body };
}

/** As the operator sees it. */
async function show({ id }: { id: string }): Promise<Shown> {
  const { status, body } = await ask(operator, 'GET', `/${id}`);
  expect(status).toBe(200);
  return body as unknown as Shown;
}

async function secretsOf(client: { id: string }): Promise<string[]> {
  return (await show(client)).secrets.map(({ id }) => id);
}

async function addSecret({ id }: { id: string }): Promise<TestClient & { secretId: string }> {
  const { status, body } = await ask(operator, 'POST', `/${id}/secrets`);
  expect(status).toBe(201);
  return { id, secret: String(body['secret']), secretId: String(body['id']) };
}

/** What the other replica answers to an introspection. */
async function statusOf(client: TestClient): Promise<number> {
  return (await introspect(other, client, 'x')).statusCode;
}

const INSTANT = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]{12}Z$/) as string;
const UUID = expect.stringMatching(/^[0-9a-f-]{36}$/) as string;

describe('adding', () => {
  it('makes a client that every replica knows, and shows its secret once', async () => {
    const permissions = ['introspect', 'sessions:read'];
    const response = await replica.app.inject({
      method: 'POST',
      url: '/admin/clients',
      headers: basic(operator),
      payload: { id: 'orders-api', permissions },
    });
    const added = response.json<Shown & { secret: string }>();
    expect([response.statusCode, response.headers.location]).toEqual([201, '/admin/clients/orders-api']);
    expect(added).toEqual({
      id: 'orders-api',
      permissions,
      audiences: [],
      created_at: INSTANT,
      secrets: [{ id: UUID, created_at: added.created_at }],
      secret: expect.stringMatching(/^[0-9A-Za-z]{43}$/) as string,
    });
    expect(await statusOf(added)).toBe(200);
    const { secret: _secret, ...shown } = added;
    expect(await show(added)).toEqual(shown);
  });

  it('refuses an id that is taken, and leaves that client as it is', async () => {
    const taken = await house.client(['introspect']);
    const before = await show(taken);
    const answer = await ask(operator, 'POST', '', { id: taken.id, permissions: ['revoke'] });
    expect([answer.status, answer.error]).toEqual([409, 'client_id_taken']);
    expect(await show(taken)).toEqual(before);
    expect(await statusOf(taken)).toBe(200);
  });

  it.each([
    { id: 'gatehouse', permissions: [] },
    { id: 'user:1', permissions: [] },
    { id: 'a b', permissions: [] },
    { id: '', permissions: [] },
    { id: '.a', permissions: [] },
    { id: 'a'.repeat(101), permissions: [] },
    { id: 'fine' },
    { permissions: [] },
    { id: 'fine', permissions: null },
    { id: 'fine', permissions: ['everything'] },
    { id: 'fine', permissions: ['revoke', 'revoke'] },
    { id: 'fine', permissions: [], secret: 'mine' },
  ])('refuses %j', async (payload) => {
    const { status, error } = await ask(operator, 'POST', '', payload);
    expect([status, error]).toEqual([400, 'invalid_request']);
  });
});

it('lists all clients, latest added first, page by page', async () => {
  const own = await openHouse();
  try {
    const one = await own.replica();
    const asking = await own.client(['clients:read']);
    const added = [asking];
    for (let each = 0; each < 4; each += 1) added.push(await own.client([]));
    const ids = added.map(({ id }) => id).reverse();
    // Two in one millisecond are in one order as well.
    await own.database.admin.query('UPDATE clients SET created_at = $1 WHERE id = ANY ($2)', [
      '2020-01-01T00:00:00Z',
      ids.slice(3),
    ]);
    const last = ids.splice(3).sort().reverse();
    for (const limit of [1, 2, 4, 5, 200]) {
      const rows: Shown[] = [];
      let after = '';
      do {
        const { status, body } = await ask(asking, 'GET', `?limit=${limit}${after}`, undefined, one);
        expect(status).toBe(200);
        rows.push(...(body['clients'] as Shown[]));
        const next = body['next'] as string | null;
        after = next === null ? '' : `&after=${next}`;
      } while (after !== '');
      expect(rows.map(({ id }) => id)).toEqual([...ids, ...last]);
      expect(rows.map(({ secrets }) => secrets.length)).toEqual([1, 1, 1, 1, 1]);
    }
    const { status } = await ask(asking, 'GET', `?after=${'a'.repeat(16)}.x`, undefined, one);
    expect(status).toBe(400);
  } finally {
    await own.close();
  }
});

describe('changing', () => {
  it('gives and takes permissions at once, on a replica that is asked nothing else', async () => {
    const client = await house.client(['introspect']);
    expect(await statusOf(client)).toBe(200);
    const before = await show(client);
    const answer = await ask(operator, 'PATCH', `/${client.id}`, { permissions: ['revoke'] });
    expect([answer.status, answer.body]).toEqual([200, { ...before, permissions: ['revoke'] }]);
    expect(await statusOf(client)).toBe(403);
    await ask(operator, 'PATCH', `/${client.id}`, { permissions: ['introspect', 'revoke'] });
    expect(await statusOf(client)).toBe(200);
    expect((await ask(operator, 'PATCH', `/${client.id}`, { permissions: [] })).status).toBe(200);
    expect(await statusOf(client)).toBe(403);
  });

  it('leaves what is not named, and knows no other member', async () => {
    const client = await house.client(['introspect']);
    await addSecret(client);
    const before = await show(client);
    expect(before.secrets).toHaveLength(2);
    const { status, body } = await ask(operator, 'PATCH', `/${client.id}`, {});
    expect([status, body]).toEqual([200, before]);
    for (const wrong of [{ permissions: null }, { id: 'another' }, { permissions: ['x'] }, []])
      expect((await ask(operator, 'PATCH', `/${client.id}`, wrong)).status).toBe(400);
    expect(await show(client)).toEqual(before);
    expect((await ask(operator, 'PATCH', '/nobody', {})).error).toBe('not_found');
  });
});

describe('secrets', () => {
  it('count two at a time, and a deleted one is refused at once on a replica that is asked nothing else', async () => {
    const first = await house.client(['introspect']);
    expect(await statusOf(first)).toBe(200);
    const second = await addSecret(first);
    expect([await statusOf(first), await statusOf(second)]).toEqual([200, 200]);
    const [firstId = '', secondId] = await secretsOf(first);
    expect(secondId).toBe(second.secretId);
    const third = await ask(operator, 'POST', `/${first.id}/secrets`);
    expect([third.status, third.error]).toEqual([409, 'too_many_secrets']);
    expect(await secretsOf(first)).toEqual([firstId, secondId]);

    expect((await ask(operator, 'DELETE', `/${first.id}/secrets/${firstId}`)).status).toBe(204);
    expect(await statusOf(first)).toBe(401);
    expect(await statusOf(second)).toBe(200);
    // The other way round: the one that is left is the later one.
    const next = await addSecret(first);
    expect((await ask(operator, 'DELETE', `/${first.id}/secrets/${second.secretId}`)).status).toBe(204);
    expect([await statusOf(second), await statusOf(next)]).toEqual([401, 200]);
    expect(await secretsOf(first)).toEqual([next.secretId]);
  });

  it('are deleted of this client alone, and as often as one likes', async () => {
    const [client, stranger] = [await house.client(['introspect']), await house.client(['introspect'])];
    const [id = ''] = await secretsOf(stranger);
    expect((await ask(operator, 'DELETE', `/${client.id}/secrets/${id}`)).status).toBe(204);
    expect(await statusOf(stranger)).toBe(200);
    const gone = [`/${stranger.id}/secrets/${id}`, `/nobody/secrets/${id}`, `/${client.id}/secrets/none`];
    for (const path of [...gone, ...gone]) expect((await ask(operator, 'DELETE', path)).status).toBe(204);
    expect([await statusOf(stranger), await statusOf(client)]).toEqual([401, 200]);
    // Without any, it is nobody until it has one again; none was counted twice.
    const further = [await addSecret(stranger), await addSecret(stranger)];
    expect(await Promise.all(further.map(statusOf))).toEqual([200, 200]);
    expect((await ask(operator, 'POST', `/${stranger.id}/secrets`)).status).toBe(409);
    expect((await ask(operator, 'POST', '/nobody/secrets')).error).toBe('not_found');
    expect((await ask(operator, 'POST', `/${client.id}/secrets`, { secret: 'mine' })).status).toBe(400);
  });

  it('of a client that a build of before adds count too, and such a build learns which are gone', async () => {
    const [secret, id] = ['of an older build', `older-${randomUUID()}`];
    const hashed = (text: string) => hash('sha256', text, 'buffer');
    const run = (sql: string, ...values: unknown[]) => house.database.admin.query(sql, values);
    await run(
      `INSERT INTO clients (id, secret_hash, permissions, created_at) VALUES ($1, $2, '{introspect}', now())`,
      id,
      hashed(secret),
    );
    await run('UPDATE service SET clients_version = gen_random_uuid()');
    const older = { id, secret };
    expect(await statusOf(older)).toBe(200);
    const known = async () => {
      const { rows } = await run('SELECT secret_hash FROM clients WHERE id = $1', id);
      return (rows[0] as { secret_hash: Buffer }).secret_hash;
    };
    const [firstId] = await secretsOf(older);
    const second = await addSecret(older);
    expect(await known()).toEqual(hashed(secret));
    await ask(operator, 'DELETE', `/${id}/secrets/${firstId}`);
    expect(await known()).toEqual(Buffer.alloc(32));
    expect([await statusOf(older), await statusOf(second)]).toEqual([401, 200]);
    const third = await addSecret(older);
    expect(await known()).toEqual(hashed(third.secret));
    await ask(operator, 'DELETE', `/${id}/secrets/${second.secretId}`);
    expect(await known()).toEqual(hashed(third.secret));
  });
});

describe('deleting', () => {
  it('has every replica refuse the client at once, and is done as often as one likes', async () => {
    const client = await house.client(['introspect']);
    await addSecret(client);
    expect(await statusOf(client)).toBe(200);
    expect((await ask(operator, 'DELETE', `/${client.id}`)).status).toBe(204);
    expect((await ask(operator, 'DELETE', `/${client.id}`)).status).toBe(204);
    expect(await statusOf(client)).toBe(401);
    expect((await ask(operator, 'GET', `/${client.id}`)).error).toBe('not_found');
  });

  it('leaves nobody the id, which tokens and users bear', async () => {
    const client = await house.client(['introspect']);
    expect((await ask(operator, 'DELETE', `/${client.id}`)).status).toBe(204);
    const { status, error, body } = await ask(operator, 'POST', '', { id: client.id, permissions: [] });
    expect([status, error]).toEqual([409, 'client_id_taken']);
    expect(body['detail']).toContain('never given again');
    expect((await ask(operator, 'GET', `/${client.id}`)).error).toBe('not_found');
  });

  it('may be of the client that asks, which is nobody from then on', async () => {
    const client = await house.client(['clients:write']);
    expect((await ask(client, 'DELETE', `/${client.id}`)).status).toBe(204);
    expect((await ask(client, 'DELETE', `/${client.id}`)).error).toBe('invalid_client');
  });
});

describe.each(PERMISSIONS)('nobody without %s', (permission) => {
  const others = PERMISSIONS.filter((each) => each !== permission);

  it('gives it, takes it, or touches a client that holds it; somebody with it does', async () => {
    const holder = await house.client([permission]);
    const bare = await house.client([]);
    const before = [await show(holder), await show(bare)];
    const [secretId] = await secretsOf(holder);
    const fresh = `fresh-${randomUUID()}`;
    const acts: [Method, string, object?][] = [
      ['POST', '', { id: fresh, permissions: [permission] }],
      ['PATCH', `/${bare.id}`, { permissions: [permission] }],
      ['PATCH', `/${holder.id}`, { permissions: [] }],
      ['PATCH', `/${holder.id}`, {}],
      ['POST', `/${holder.id}/secrets`],
      ['DELETE', `/${holder.id}/secrets/${secretId}`],
      ['DELETE', `/${holder.id}`],
    ];
    const lacking = await house.client(others);
    for (const [method, path, payload] of acts) {
      const { status, error } = await ask(lacking, method, path, payload);
      expect([method, path, status, error]).toEqual([method, path, 403, 'insufficient_scope']);
    }
    expect([await show(holder), await show(bare)]).toEqual(before);
    expect((await ask(operator, 'GET', `/${fresh}`)).status).toBe(404);

    // By itself it gains nothing either: neither for itself, nor by way of a client that it makes.
    const own = await ask(lacking, 'PATCH', `/${lacking.id}`, { permissions: [...PERMISSIONS] });
    expect([own.status, (await show(lacking)).permissions]).toEqual([403, others]);

    const holding = await house.client([...new Set<Permission>([permission, 'clients:write'])]);
    const statuses = [];
    // The third act takes it from the holder, which is as well as another one then.
    for (const [method, path, payload] of acts)
      statuses.push((await ask(holding, method, path, payload)).status);
    expect(statuses).toEqual([201, 200, 200, 200, 201, 204, 204]);
  });
});

describe('audiences', () => {
  it('are what an addition and a change say, in every answer', async () => {
    const id = `client-${randomUUID()}`;
    const added = await ask(operator, 'POST', '', { id, permissions: [], audiences: ['orders', 'stock'] });
    expect([added.status, added.body['audiences']]).toEqual([201, ['orders', 'stock']]);
    expect((await ask(operator, 'PATCH', `/${id}`, { permissions: ['revoke'] })).body).toMatchObject({
      permissions: ['revoke'],
      audiences: ['orders', 'stock'],
    });
    expect((await ask(operator, 'PATCH', `/${id}`, { audiences: ['stock'] })).body).toMatchObject({
      permissions: ['revoke'],
      audiences: ['stock'],
    });
    expect(await show({ id })).toMatchObject({ audiences: ['stock'] });
    const { body } = await ask(operator, 'GET', '?limit=1');
    expect(body['clients']).toMatchObject([{ id, audiences: ['stock'] }]);
    expect((await ask(operator, 'PATCH', `/${id}`, { audiences: [] })).body).toMatchObject({ audiences: [] });
  });

  it.each([[['a', 'a']], [['']], [['a b']], [['ä']], [['a'.repeat(256)]], ['a'], [null]])(
    'are not %j',
    async (audiences) => {
      const client = await house.client([]);
      expect((await ask(operator, 'PATCH', `/${client.id}`, { audiences })).error).toBe('invalid_request');
      const id = `client-${randomUUID()}`;
      expect((await ask(operator, 'POST', '', { id, permissions: [], audiences })).error).toBe(
        'invalid_request',
      );
    },
  );

  it('are 20 at most', async () => {
    const client = await house.client([]);
    const audiences = Array.from({ length: 21 }, (_, place) => `a${place}`);
    expect((await ask(operator, 'PATCH', `/${client.id}`, { audiences })).status).toBe(400);
    const most = audiences.slice(1);
    expect((await ask(operator, 'PATCH', `/${client.id}`, { audiences: most })).status).toBe(200);
  });

  const acts = (id: string, secretId: string): [Method, string, object?][] => [
    ['PATCH', `/${id}`, { permissions: [] }],
    ['PATCH', `/${id}`, {}],
    ['POST', `/${id}/secrets`],
    ['DELETE', `/${id}/secrets/${secretId}`],
    ['DELETE', `/${id}`],
  ];

  it('are given by a client that has some, only out of its own, and never none', async () => {
    const giver = await house.client([...PERMISSIONS], ['orders', 'stock']);
    const addition = (audiences?: string[]) =>
      ask(giver, 'POST', '', {
        id: `client-${randomUUID()}`,
        permissions: [],
        ...(audiences && { audiences }),
      });
    for (const audiences of [undefined, [], ['mail'], ['orders', 'mail']]) {
      const { status, error } = await addition(audiences);
      expect([audiences, status, error]).toEqual([audiences, 403, 'insufficient_scope']);
    }
    for (const audiences of [['orders'], ['stock', 'orders']])
      expect((await addition(audiences)).body['audiences']).toEqual(audiences);
    const target = await house.client([], ['orders']);
    for (const { id } of [target, giver]) {
      const before = await show({ id });
      for (const audiences of [[], ['mail'], ['orders', 'mail']]) {
        const { status } = await ask(giver, 'PATCH', `/${id}`, { audiences });
        expect([audiences, status]).toEqual([audiences, 403]);
      }
      expect(await show({ id })).toEqual(before);
      expect((await ask(giver, 'PATCH', `/${id}`, { audiences: ['stock'] })).body).toMatchObject({
        audiences: ['stock'],
      });
      await ask(operator, 'PATCH', `/${giver.id}`, { audiences: ['orders', 'stock'] });
    }
  });

  it.each([[[]], [['mail']], [['orders', 'mail']]])(
    'of %j keep a client from one with others, who may not touch it',
    async (audiences) => {
      const giver = await house.client([...PERMISSIONS], ['orders', 'stock']);
      const target = await house.client(['introspect'], audiences);
      const before = await show(target);
      const [secretId = ''] = await secretsOf(target);
      for (const [method, path, payload] of [
        ...acts(target.id, secretId),
        ['PATCH', `/${target.id}`, { audiences: ['orders'] }] as const,
      ]) {
        const { status, error } = await ask(giver, method, path, payload);
        expect([method, path, status, error]).toEqual([method, path, 403, 'insufficient_scope']);
      }
      expect(await show(target)).toEqual(before);
    },
  );

  it('of one among those of another let that one do all, and so does having none', async () => {
    for (const own of [['orders', 'stock'], []]) {
      const target = await house.client(['introspect'], ['orders']);
      const [secretId = ''] = await secretsOf(target);
      const giver = await house.client([...PERMISSIONS], own);
      const statuses = [];
      for (const [method, path, payload] of acts(target.id, secretId))
        statuses.push((await ask(giver, method, path, payload)).status);
      expect(statuses).toEqual([200, 200, 201, 204, 204]);
    }
  });

  it('that are being taken from a client are not given by it any more', async () => {
    const target = await house.client([], ['orders']);
    const requests: [Method, string, object?][] = [
      ['POST', '', { id: `late-${randomUUID()}`, permissions: [], audiences: ['orders'] }],
      ['PATCH', `/${target.id}`, { audiences: ['orders', 'stock'] }],
      ['DELETE', `/${target.id}`],
    ];
    const before = await show(target);
    for (const [method, path, payload] of requests) {
      const giver = await house.client(['clients:write'], ['orders', 'stock']);
      // The version stays, so that the replica remembers what the giver has no more.
      const taking = await holdRow(
        house.database,
        `UPDATE clients SET audiences = '{stock}' WHERE id = $1`,
        giver.id,
      );
      const asked = ask(giver, method, path, payload);
      await taking.queue(1);
      await taking.release();
      expect([method, path, (await asked).error]).toEqual([method, path, 'insufficient_scope']);
    }
    expect(await show(target)).toEqual(before);
  });
});

describe('at once with another change', () => {
  it('nobody gives, changes or deletes by a permission that is being taken from it', async () => {
    const target = await house.client(['revoke']);
    const before = await show(target);
    const [secretId] = await secretsOf(target);
    const acts: [Method, string, object?][] = [
      ['POST', '', { id: `late-${randomUUID()}`, permissions: ['revoke'] }],
      ['PATCH', `/${target.id}`, { permissions: [] }],
      ['POST', `/${target.id}/secrets`],
      ['DELETE', `/${target.id}/secrets/${secretId}`],
      ['DELETE', `/${target.id}`],
    ];
    for (const [method, path, payload] of acts) {
      const actor = await house.client(['clients:write', 'revoke']);
      // The version stays, so that the replica remembers what the actor may no more.
      const taking = await holdRow(
        house.database,
        `UPDATE clients SET permissions = '{clients:write}' WHERE id = $1`,
        actor.id,
      );
      const asked = ask(actor, method, path, payload);
      await taking.queue(1);
      await taking.release();
      expect([method, path, (await asked).error]).toEqual([method, path, 'insufficient_scope']);
    }
    expect(await show(target)).toEqual(before);
  });

  it('nobody touches a client that is being given more than it holds', async () => {
    const actor = await house.client(['clients:write', 'revoke']);
    const acts: [Method, string, object?][] = [
      ['PATCH', '', { permissions: [] }],
      ['POST', '/secrets'],
      ['DELETE', ''],
    ];
    for (const [method, path, payload] of acts) {
      const target = await house.client(['revoke']);
      const giving = await holdRow(
        house.database,
        `UPDATE clients SET permissions = '{introspect,revoke}' WHERE id = $1`,
        target.id,
      );
      const asked = ask(actor, method, `/${target.id}${path}`, payload);
      await giving.queue(1);
      await giving.release();
      expect([method, path, (await asked).error]).toEqual([method, path, 'insufficient_scope']);
      expect(await show(target)).toMatchObject({ permissions: ['introspect', 'revoke'], secrets: [{}] });
    }
  });

  it('one of three gets the second secret', async () => {
    const client = await house.client(['introspect']);
    const lock = await holdRow(house.database, 'SELECT FROM clients WHERE id = $1 FOR UPDATE', client.id);
    const asked = [replica, other, replica].map((at) =>
      ask(operator, 'POST', `/${client.id}/secrets`, undefined, at),
    );
    await lock.queue(3);
    await lock.release();
    const answers = await Promise.all(asked);
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
    const made = answers.find(({ status }) => status === 201)?.body ?? {};
    expect(await secretsOf(client)).toContain(made['id']);
    expect(await statusOf({ id: client.id, secret: String(made['secret']) })).toBe(200);
  });

  it('a secret that two delete is counted once', async () => {
    const client = await house.client(['introspect']);
    await addSecret(client);
    const [id] = await secretsOf(client);
    const lock = await holdRow(house.database, 'SELECT FROM clients WHERE id = $1 FOR UPDATE', client.id);
    const asked = [replica, other].map((at) =>
      ask(operator, 'DELETE', `/${client.id}/secrets/${id}`, undefined, at),
    );
    await lock.queue(2);
    await lock.release();
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([204, 204]);
    await addSecret(client);
    expect((await ask(operator, 'POST', `/${client.id}/secrets`)).status).toBe(409);
    expect(await secretsOf(client)).toHaveLength(2);
  });

  it('of two that delete each other, one is left', async () => {
    const pair = [await house.client(['clients:write']), await house.client(['clients:write'])] as const;
    const [a, b] = pair;
    const first = [a.id, b.id].sort()[0] ?? '';
    const lock = await holdRow(house.database, 'SELECT FROM clients WHERE id = $1 FOR UPDATE', first);
    const asked = [
      ask(a, 'DELETE', `/${b.id}`, undefined, replica),
      ask(b, 'DELETE', `/${a.id}`, undefined, other),
    ];
    await lock.queue(2);
    await lock.release();
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    expect(statuses.toSorted()).toEqual([204, 403]);
    const [left, gone] = statuses[0] === 204 ? pair : [b, a];
    expect((await show(left)).id).toBe(left.id);
    expect((await ask(operator, 'GET', `/${gone.id}`)).status).toBe(404);
  });
});
