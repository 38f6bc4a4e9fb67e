// A change of a backend's session while others change it: each is made to the claims that it has read, and none is told that a living
// session is gone.
import { afterAll, beforeAll, expect, it } from 'vitest';

import type { Columns } from '../../src/database/columns.js';
import { openDatabase, type Database } from '../../src/database/prisma.js';
import { changeOfClient } from '../../src/domain/backends/changing.js';
import type { Client } from '../../src/domain/clients.js';
import { claimsOf, DEFAULTS, openGatehouse, openHouse, type House } from '../support/house.js';

let house: House;
let database: Database;
let backend: Client;
let sid: string;

beforeAll(async () => {
  house = await openHouse();
  database = openDatabase(house.database.url);
  const gatehouse = await openGatehouse(database, house.hasher);
  const { id } = await house.client(['sessions:open']);
  backend = { id, permissions: ['sessions:open'], audiences: [] };
  const wanted = {
    externalId: 'customer-1',
    claims: { scope: 'read' },
    refreshes: false,
    ip: null,
    userAgent: null,
  };
  const { accessToken } = await gatehouse.backends.openSession(backend, wanted);
  ({ sid } = claimsOf(accessToken));
});
afterAll(async () => {
  await database.close();
  await house.close();
});

const say = (scope: string, through = database) => changeOfClient(through, backend, sid, { scope }, DEFAULTS);

/** The database, where something is done before each of its statements. */
function interrupted(before: (statement: number) => Promise<unknown>): Database {
  let statement = 0;
  return {
    ...database,
    query: <const C extends Columns>(columns: C) => {
      const ask = database.query(columns);
      return async (...asked) => {
        await before((statement += 1));
        return await ask(...asked);
      };
    },
  };
}

/** Each attempt reads, and then writes. */
const isWrite = (statement: number) => statement % 2 === 0;

it('finds the session where others have changed it and changed it back', async () => {
  const through = interrupted(async (statement) => {
    if (statement === 2) await say('write');
    if (statement === 3) await say('read');
  });
  const { claims } = await changeOfClient(through, backend, sid, { acr: 'strong' }, DEFAULTS);
  expect(JSON.parse(claims)).toMatchObject({ scope: 'read', acr: 'strong' });
});

it('says that it cannot know where somebody is always first', async () => {
  const through = interrupted(async (statement) => {
    if (isWrite(statement)) await say(`scope-${statement}`);
  });
  await expect(say('late', through)).rejects.toMatchObject({ code: 'temporarily_unavailable' });
});

it('says that it is not there where it has ended meanwhile', async () => {
  const through = interrupted(async (statement) => {
    if (statement === 2)
      await house.database.admin.query('UPDATE sessions SET ended_at = now() WHERE id = $1', [sid]);
  });
  await expect(say('late', through)).rejects.toMatchObject({ code: 'not_found' });
});
