// Replicas that start together on an empty database: one migrates, one makes the key, all serve.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { createPasswordHasher } from '../../../src/domain/passwords/hasher.js';
import { openDatabase } from '../../../src/database/prisma.js';
import { addUser } from '../../../src/domain/users/users.js';
import { bearer, type TokenPair } from '../../support/house.js';
import { createEmptyDatabase, type EmptyDatabase } from '../../support/empty-database.js';
import { retryOn503 } from '../../support/retry.js';
import { ask, createWorkshop, environmentFor } from '../../support/service.js';

const workshop = createWorkshop();
let database: EmptyDatabase;

beforeAll(async () => {
  database = await createEmptyDatabase();
});
afterAll(async () => {
  await workshop.clear();
  await database.drop();
});

it('become ready, all three, with one first key and no demo', async () => {
  const dataDir = join(await workshop.directory(), 'data');
  const environment = { ...environmentFor(database.url), DATA_DIR: dataDir };
  const services = await Promise.all([1, 2, 3].map(() => workshop.start(environment)));

  const keys = await database.query('SELECT kid FROM signing_keys');
  expect(keys).toHaveLength(1);
  const published = await Promise.all(
    services.map((service) => ask(service, 'GET', '/.well-known/jwks.json')),
  );
  for (const { body } of published) {
    expect((JSON.parse(body) as { keys: unknown[] }).keys).toEqual([expect.objectContaining(keys[0])]);
  }
  expect(await database.query('SELECT FROM users')).toEqual([]);
  expect(await database.query('SELECT FROM clients')).toEqual([]);
  expect(existsSync(dataDir)).toBe(false);

  const pool = openDatabase(database.url, { connections: 1 });
  const passwordHash = await createPasswordHasher().hash('a password for everybody');
  await addUser(pool, { username: 'everybody', passwordHash, scope: '' });
  await pool.close();
  for (const issuer of services) {
    const body = { username: 'everybody', password: 'a password for everybody' };
    const login = await retryOn503(() => ask(issuer, 'POST', '/login', { body }));
    const { access_token: access } = login.json<TokenPair>();
    const answers = await Promise.all(
      services.map((service) =>
        retryOn503(() => ask(service, 'GET', '/session', { headers: bearer(access) })),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  }
});
