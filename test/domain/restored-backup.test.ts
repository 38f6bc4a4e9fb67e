// What a replica remembers when the database goes back in time under it, and then on another way.
import { afterAll, beforeAll, expect, it } from 'vitest';

import { removeClient } from '../../src/domain/clients.js';
import { rotateKeys } from '../../src/domain/keys/lifecycle.js';
import { retireKey } from '../../src/domain/keys/retirement.js';
import { listKeys } from '../../src/domain/keys/keys.js';
import { introspect, login, openHouse, SECRET, type House, type Replica } from '../support/house.js';

let house: House;
let replica: Replica;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
});
afterAll(() => house.close());

/** Copies the tables that a replica remembers; the returned function puts them back. */
async function backUp(): Promise<() => Promise<void>> {
  const { admin } = house.database;
  const tables = ['service', 'clients', 'signing_keys'];
  for (const table of tables) await admin.query(`CREATE TABLE backup_${table} AS TABLE ${table}`);
  return async () => {
    for (const table of tables) {
      await admin.query(
        `DELETE FROM ${table}; INSERT INTO ${table} TABLE backup_${table}; DROP TABLE backup_${table}`,
      );
    }
  };
}

it('does not take a removed client for a known one', async () => {
  const client = await house.client();
  const restore = await backUp();
  const { access_token } = await login(replica, await house.user());
  await house.client();
  expect((await introspect(replica, client, access_token)).statusCode).toBe(200);
  await restore();
  await removeClient(replica.database, client.id);
  expect((await introspect(replica, client, access_token)).statusCode).toBe(401);
});

it('does not go on with a retired key', async () => {
  const { database } = replica;
  const client = await house.client();
  const user = await house.user();
  const [leaked] = await listKeys(database);
  const restore = await backUp();
  await rotateKeys(database, 'EdDSA', SECRET);
  const { access_token } = await login(replica, user);
  await restore();
  await retireKey(database, leaked?.kid ?? '', 'EdDSA', SECRET);
  expect((await introspect(replica, client, access_token)).body).toBe('{"active":false}');
  const { access_token: fresh } = await login(replica, user);
  const other = await house.replica();
  expect((await introspect(other, client, fresh)).json()).toMatchObject({ active: true });
});
