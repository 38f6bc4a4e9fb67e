// Commits that do not end, as with a synchronous standby that is away: writes are 503, reads go on as if nothing were.
import pino from 'pino';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';

import { buildApp } from '../../../src/app.js';
import { openDatabase, type Database } from '../../../src/database/prisma.js';
import { createGatehouse } from '../../../src/domain/gatehouse.js';
import { createTokenCodec } from '../../../src/http/jwt.js';
import {
  DEFAULTS,
  introspect,
  login,
  openHouse,
  refresh,
  SECRET,
  type House,
  type Replica,
} from '../../support/house.js';
import { retryOn503, retryStart } from '../../support/retry.js';
import { stallCommits } from '../../support/stalled-commits.js';

const WRITERS = 10;
const READERS = 4;

let house: House;
let pools: [Database, Database];
let replica: Replica;

beforeAll(async () => {
  house = await openHouse();
  pools = [
    openDatabase(house.database.url, { connections: WRITERS }),
    openDatabase(house.database.url, { connections: READERS, readsOnly: true }),
  ];
  const [database, reader] = pools;
  const gatehouse = await retryStart(() =>
    createGatehouse({
      database,
      reader,
      hasher: house.hasher,
      createCodec: createTokenCodec,
      rules: DEFAULTS,
      jwtAlgorithm: 'EdDSA',
      secrets: [SECRET],
    }),
  );
  replica = {
    gatehouse,
    database,
    app: await buildApp({ gatehouse, config: DEFAULTS, logger: pino({ level: 'silent' }) }),
  };
});
afterAll(async () => {
  await replica.app.close();
  await Promise.all(pools.map((pool) => pool.close()));
  await house.close();
});

async function countConnections(): Promise<number> {
  const { rows } = await house.database.admin.query<{ count: number }>(
    `SELECT count(*)::int4 FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'gatehouse'`,
  );
  return rows[0]?.count ?? 0;
}

it('answers 503 to writes, the truth to reads, and opens no connection beyond its own', async () => {
  const client = await house.client();
  // Each a user of their own: on a busy machine logins of one user that are answered 503 count as guesses at the account.
  const logInAnew = async () => login(replica, await house.user());
  const spectator = await logInAnew();
  const read = () => retryOn503(() => introspect(replica, client, spectator.access_token));
  const sessions = await Promise.all(Array.from({ length: 8 }, logInAnew));
  const before = await countConnections();
  onTestFinished((await stallCommits(house.database, 'sessions')).end);

  // Twice, so that whatever gave up its connection the first time opens another.
  for (let wave = 0; wave < 2; wave += 1) {
    const started = performance.now();
    const stalled = [1, 2, 3, 4].flatMap(() => sessions.map((pair) => refresh(replica, pair.refresh_token)));
    for (let turn = 0; turn < 10; turn += 1) {
      expect((await read()).json()).toMatchObject({ active: true });
    }
    for (const { statusCode } of await Promise.all(stalled)) expect(statusCode).toBe(503);
    expect(performance.now() - started).toBeLessThan(7500);
  }
  expect((await read()).json()).toMatchObject({ active: true });
  expect(await countConnections()).toBeLessThanOrEqual(Math.max(before, WRITERS + READERS) + 2);
});
