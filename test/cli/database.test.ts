// `gatehouse database`: a database in another cluster is refused by everything else until it is accepted.
import { afterEach, beforeEach, expect, it } from 'vitest';

import { inHouse, jsonInHouse } from '../support/command.js';
import { login, openHouse, type House } from '../support/house.js';

let house: House;

beforeEach(async () => {
  house = await openHouse();
});
afterEach(() => house.close());

async function identifierOf(): Promise<string> {
  const { rows } = await house.database.admin.query<{ identifier: string }>(
    'SELECT system_identifier::text AS identifier FROM pg_control_system()',
  );
  return rows[0]?.identifier ?? '';
}

it('stores the cluster at the first start, which is then the right one', async () => {
  await house.replica();
  const identifier = await identifierOf();
  expect(await jsonInHouse(house, ['database', 'accept'])).toEqual({
    system_identifier: identifier,
    before: identifier,
  });
  expect((await inHouse(house, ['database', 'accept'])).stdout).toBe(
    `the cluster ${identifier} was the right one already\n`,
  );
});

it('refuses every other command on another cluster, says what to do, and goes on once it is accepted', async () => {
  const user = await house.user();
  await house.database.admin.query(`UPDATE service SET system_identifier = '7000000000000000001'`);
  const refused = await inHouse(house, ['keys', 'list']);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toMatch(/in another cluster.*run `gatehouse database accept`/);
  const identifier = await identifierOf();
  expect((await inHouse(house, ['database', 'accept'])).stdout).toBe(
    `the cluster ${identifier} is the right one from now on; before it was 7000000000000000001\n`,
  );
  await login(await house.replica(), user);
  expect((await inHouse(house, ['keys', 'list'])).status).toBe(0);
});

it('accepts a cluster before what is pending is applied, which is refused until then', async () => {
  const { admin } = house.database;
  await admin.query(`UPDATE service SET system_identifier = '7000000000000000001'`);
  const [last] = (
    await admin.query<{ migration_name: string }>(
      `DELETE FROM _prisma_migrations WHERE migration_name = (SELECT max(migration_name) FROM _prisma_migrations)
       RETURNING migration_name`,
    )
  ).rows;
  for (const command of [['migrate'], ['keys', 'list']]) {
    const refused = await inHouse(house, command);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/^gatehouse: the database is in another cluster/);
  }
  expect((await inHouse(house, ['database', 'accept'])).status).toBe(0);
  expect((await inHouse(house, ['keys', 'list'])).stderr).toContain(
    `lacks migrations (${last?.migration_name ?? ''}): run \`gatehouse migrate\` first`,
  );
});

it.each([
  ['no table', 'DROP TABLE service CASCADE'],
  ['no column', 'ALTER TABLE service DROP COLUMN system_identifier'],
])('says that migrations come first where %s holds the cluster', async (_what, sql) => {
  await house.database.admin.query(sql);
  expect(await inHouse(house, ['database', 'accept'])).toEqual({
    status: 1,
    stdout: '',
    stderr: 'gatehouse: this database belongs to no cluster yet: run `gatehouse migrate` first\n',
  });
});
