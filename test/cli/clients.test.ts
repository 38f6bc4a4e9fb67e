// gatehouse clients: what it prints, and what running replicas make of it.
import { afterAll, beforeAll, expect, it } from 'vitest';

import { inHouse, jsonInHouse } from '../support/command.js';
import { login, openHouse, postForm, type House, type Replica, type TestClient } from '../support/house.js';

let house: House;
let replicas: Replica[];

beforeAll(async () => {
  house = await openHouse();
  replicas = [await house.replica(), await house.replica()];
});
afterAll(() => house.close());

/** What every replica answers to an introspection and a revocation. */
async function statusesOf(client: TestClient): Promise<number[][]> {
  return await Promise.all(
    replicas.map(async (replica) => {
      const introspection = await postForm(replica, '/introspect', client, { token: 'x' });
      const revocation = await postForm(replica, '/revoke', client, { token: 'x' });
      return [introspection.statusCode, revocation.statusCode];
    }),
  );
}

it('adds a client that may introspect, at once on every replica', async () => {
  const client = (await jsonInHouse(house, ['clients', 'add', 'orders-api'])) as TestClient;
  expect(client).toEqual({
    id: 'orders-api',
    secret: expect.stringMatching(/^[0-9A-Za-z]{43}$/) as string,
    permissions: ['introspect'],
    audiences: [],
  });
  expect(await statusesOf(client)).toEqual([
    [200, 403],
    [200, 403],
  ]);
});

it.each([
  [['--permission', 'revoke'], ['revoke'], [403, 200]],
  [
    ['--permission', 'introspect', '--permission', 'revoke'],
    ['introspect', 'revoke'],
    [200, 200],
  ],
  [['--permission=revoke', '--permission=revoke'], ['revoke'], [403, 200]],
])('gives with %j the permissions %j and no others', async (options, permissions, statuses) => {
  const id = `client-${options.join('')}`.replaceAll(/[^a-z-]/g, '.');
  const client = (await jsonInHouse(house, ['clients', 'add', id, ...options])) as TestClient;
  expect(client).toMatchObject({ id, permissions });
  expect(await statusesOf(client)).toEqual([statuses, statuses]);
});

it('shows people the secret on a line of its own', async () => {
  const { stdout } = await inHouse(house, ['clients', 'add', 'billing', '--permission', 'revoke']);
  expect(stdout).toMatch(
    /^added the client billing, which may revoke\nsecret, shown this once: [0-9A-Za-z]{43}\n$/,
  );
});

it('refuses an id that is taken, and leaves the first its secret', async () => {
  const client = (await jsonInHouse(house, ['clients', 'add', 'taken'])) as TestClient;
  expect(await inHouse(house, ['clients', 'add', 'taken', '--json'])).toEqual({
    status: 1,
    stdout: '',
    stderr:
      'gatehouse: there is a client taken already, or was one: an id is never given again, so choose another one\n',
  });
  expect(await statusesOf(client)).toEqual([
    [200, 403],
    [200, 403],
  ]);
});

it.each([
  ['an id with a space', ['a b']],
  ['an id with a colon', ['a:b']],
  ['an id that begins with a dot', ['.a']],
  ['an empty id', ['']],
  ['an id of 101 characters', ['a'.repeat(101)]],
  ['an unknown permission', ['fine', '--permission', 'everything']],
  ['a permission in capitals', ['fine', '--permission', 'INTROSPECT']],
  ['an audience with a space', ['fine', '--audience', 'a b']],
  ['21 audiences', ['fine', ...Array.from({ length: 21 }, (_, place) => ['--audience', `a${place}`]).flat()]],
])('refuses %s as wrong usage', async (_, args) => {
  const { status, stdout, stderr } = await inHouse(house, ['clients', 'add', ...args, '--json']);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toMatch(/^gatehouse: .* is invalid/);
});

it('lists all clients without their secrets', async () => {
  const own = await openHouse();
  try {
    expect(await jsonInHouse(own, ['clients', 'list'])).toEqual([]);
    expect((await inHouse(own, ['clients', 'list'])).stdout).toBe('no clients\n');
    await jsonInHouse(own, [
      'clients',
      'add',
      'second',
      '--permission',
      'introspect',
      '--permission',
      'revoke',
      '--audience',
      'orders',
      '--audience=stock',
    ]);
    await jsonInHouse(own, ['clients', 'add', 'first']);
    const created_at = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]{12}Z$/) as string;
    expect(await jsonInHouse(own, ['clients', 'list'])).toEqual([
      { id: 'first', permissions: ['introspect'], audiences: [], created_at },
      { id: 'second', permissions: ['introspect', 'revoke'], audiences: ['orders', 'stock'], created_at },
    ]);
    expect((await inHouse(own, ['clients', 'list'])).stdout).toMatch(
      /^ID +PERMISSIONS +AUDIENCES +CREATED AT\nfirst +introspect +- +\S+\nsecond +introspect revoke +orders stock +\S+\n$/,
    );
  } finally {
    await own.close();
  }
});

it('removes a client, and the next request on every replica is refused', async () => {
  const client = (await jsonInHouse(house, ['clients', 'add', 'leaver'])) as TestClient;
  const [replica] = replicas;
  if (replica === undefined) throw new Error('no replica');
  const { access_token: token } = await login(replica, await house.user());
  expect((await postForm(replica, '/introspect', client, { token })).json()).toMatchObject({ active: true });

  expect(await jsonInHouse(house, ['clients', 'remove', 'leaver'])).toEqual({ id: 'leaver' });
  for (const each of replicas) {
    const answer = await postForm(each, '/introspect', client, { token });
    expect([answer.statusCode, answer.json<{ error: string }>().error]).toEqual([401, 'invalid_client']);
  }
  expect(await inHouse(house, ['clients', 'remove', 'leaver', '--json'])).toEqual({
    status: 1,
    stdout: '',
    stderr: 'gatehouse: there is no client leaver: see `gatehouse clients list`\n',
  });
});

interface Shown {
  id: string;
  permissions: string[];
  secrets: { id: string; created_at: string }[];
}

async function show(id: string): Promise<Shown> {
  return (await jsonInHouse(house, ['clients', 'show', id])) as Shown;
}

it('shows a client with the ids of its secrets', async () => {
  await jsonInHouse(house, ['clients', 'add', 'shown']);
  const created_at = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]{12}Z$/) as string;
  const id = expect.stringMatching(/^[0-9a-f-]{36}$/) as string;
  expect(await show('shown')).toEqual({
    id: 'shown',
    permissions: ['introspect'],
    audiences: [],
    created_at,
    secrets: [{ id, created_at }],
  });
  expect((await inHouse(house, ['clients', 'show', 'shown'])).stdout).toMatch(
    /^the client shown may introspect\nSECRET +CREATED AT\n[0-9a-f-]{36} +\S+\n$/,
  );
  expect(await inHouse(house, ['clients', 'show', 'nobody'])).toEqual({
    status: 1,
    stdout: '',
    stderr: 'gatehouse: there is no client nobody: see `gatehouse clients list`\n',
  });
});

it('changes the audiences of a client, and leaves what is not named', async () => {
  await jsonInHouse(house, ['clients', 'add', 'limited', '--audience', 'orders']);
  const change = ['clients', 'change', 'limited'];
  expect(await jsonInHouse(house, [...change, '--audience', 'stock', '--audience', 'mail'])).toMatchObject({
    permissions: ['introspect'],
    audiences: ['stock', 'mail'],
  });
  expect((await inHouse(house, [...change, '--no-permissions'])).stdout).toBe(
    'the client limited may do nothing, for stock and mail alone\n',
  );
  expect(await jsonInHouse(house, [...change, '--no-audiences'])).toMatchObject({
    permissions: [],
    audiences: [],
  });
});

it('changes what a client may do, at once on every replica', async () => {
  const client = (await jsonInHouse(house, ['clients', 'add', 'changing'])) as TestClient;
  const change = ['clients', 'change', 'changing'];
  const { secrets } = await show('changing');
  expect(await jsonInHouse(house, [...change, '--permission', 'revoke'])).toMatchObject({
    id: 'changing',
    permissions: ['revoke'],
    secrets,
  });
  expect(await statusesOf(client)).toEqual([
    [403, 200],
    [403, 200],
  ]);
  expect((await inHouse(house, [...change, '--no-permissions'])).stdout).toBe(
    'the client changing may do nothing\n',
  );
  expect(await statusesOf(client)).toEqual([
    [403, 403],
    [403, 403],
  ]);
  for (const wrong of [
    [],
    ['--permission', 'revoke', '--no-permissions'],
    ['--audience', 'orders', '--no-audiences'],
  ])
    expect((await inHouse(house, [...change, ...wrong])).status).toBe(2);
  expect((await inHouse(house, ['clients', 'change', 'nobody', '--no-permissions'])).status).toBe(1);
});

it('replaces a secret without an outage', async () => {
  const first = (await jsonInHouse(house, ['clients', 'add', 'rotating'])) as TestClient;
  const [old] = (await show('rotating')).secrets;
  const added = (await jsonInHouse(house, ['clients', 'secrets', 'add', 'rotating'])) as TestClient;
  const second = { id: 'rotating', secret: added.secret };
  const both = [await statusesOf(first), await statusesOf(second)];
  expect(both).toEqual([1, 2].map(() => [1, 2].map(() => [200, 403])));
  expect((await inHouse(house, ['clients', 'secrets', 'add', 'rotating'])).stderr).toMatch(
    /^gatehouse: the client rotating has two secrets already: /,
  );
  const removal = ['clients', 'secrets', 'remove', 'rotating', old?.id ?? ''];
  expect(await jsonInHouse(house, removal)).toEqual({ id: old?.id });
  expect(await statusesOf(first)).toEqual([1, 2].map(() => [401, 401]));
  expect(await statusesOf(second)).toEqual([1, 2].map(() => [200, 403]));
  expect((await show('rotating')).secrets.map(({ id }) => id)).toEqual([added.id]);
  expect(await inHouse(house, removal)).toMatchObject({ status: 1, stdout: '' });
  // The secret itself in the place of its id is not repeated.
  const { status, stderr } = await inHouse(house, ['clients', 'secrets', 'remove', 'rotating', added.secret]);
  expect(status).toBe(1);
  expect(stderr).not.toContain(added.secret);
  expect((await inHouse(house, ['clients', 'secrets', 'add', 'nobody'])).status).toBe(1);
});
