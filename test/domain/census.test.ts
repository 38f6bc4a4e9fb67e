// The census: what it tells of connections and of the key that signs, also to a role that may see little.
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { openDatabase, type Database } from '../../src/database/prisma.js';
import { listKeys } from '../../src/domain/keys/keys.js';
import { resetKeys } from '../../src/domain/keys/retirement.js';
import { takeCensus } from '../../src/domain/reports/census.js';
import { onServer } from '../support/database.js';
import { AMPLE_MS, openHouse, SECRET, type House } from '../support/house.js';

const ROLE = `guest_${randomBytes(8).toString('hex')}`;

let house: House;
let asGuest: Database;

beforeAll(async () => {
  house = await openHouse();
  await house.replica();
  await onServer(`CREATE ROLE ${ROLE} LOGIN PASSWORD 'guest-secret'`);
  for (const grant of ['USAGE ON SCHEMA test_clock', 'SELECT ON ALL TABLES IN SCHEMA public, test_clock'])
    await house.database.admin.query(`GRANT ${grant} TO ${ROLE}`);
  const url = new URL(house.database.url);
  url.username = ROLE;
  url.password = 'guest-secret';
  asGuest = openDatabase(url.href, { connections: 1, readsOnly: true, deadlineMs: AMPLE_MS });
});
afterAll(async () => {
  await asGuest.close();
  await house.database.admin.query(`DROP OWNED BY ${ROLE}`);
  await house.close();
  await onServer(`DROP ROLE ${ROLE}`);
});

async function settingOf(name: string): Promise<number> {
  const { rows } = await house.database.admin.query<{ value: string | null }>(
    'SELECT current_setting($1, true) AS value',
    [name],
  );
  return Number(rows[0]?.value);
}

it('counts connections of all roles, and those that the server takes', async () => {
  const others = Array.from({ length: 3 }, () => new pg.Client({ connectionString: house.database.url }));
  await Promise.all(others.map((client) => client.connect()));
  const { connections } = await takeCensus(asGuest);
  await Promise.all(others.map((client) => client.end()));
  // Three of another role, and its own. Other tests have more on this server.
  expect(connections.open).toBeGreaterThanOrEqual(4);
  const reserved = await Promise.all(
    ['superuser_reserved_connections', 'reserved_connections'].map(settingOf),
  );
  const most = await settingOf('max_connections');
  expect(connections.limit).toBe(reserved.reduce((left, each) => left - each, most));
});

it('names the key that signs, until another one does', async () => {
  const { database } = await house.replica();
  const nameSigning = async () => (await listKeys(database)).find(({ state }) => state === 'signing')?.kid;
  const first = await nameSigning();
  expect(first).toMatch(/^[0-9a-f]{16}$/);
  expect((await takeCensus(asGuest)).signingKid).toBe(first);
  await resetKeys(database, 'EdDSA', SECRET);
  const second = await nameSigning();
  expect(second).not.toBe(first);
  expect((await takeCensus(asGuest)).signingKid).toBe(second);
});
