// The address of the database leads elsewhere: to a copy that was promoted while the old primary still runs, and to another
// cluster. Both are real servers, behind one address that a test points at either.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createFence, OVERTAKEN } from '../../../src/database/fence.js';
import { migrate } from '../../../src/database/migrate.js';
import { openDatabase, type Database } from '../../../src/database/prisma.js';
import { FOREIGN } from '../../../src/database/verify-connection.js';
import { acceptCluster, claimCluster } from '../../../src/domain/service/cluster.js';
import { look } from '../../../src/domain/liveness/lookout.js';
import { AMPLE_MS } from '../../support/house.js';
import { createOwnCluster, type OwnCluster } from '../../support/own-cluster.js';

interface Address {
  url: string;
  /** Where new connections go from now on; those that are open stay. */
  leadTo: (cluster: OwnCluster) => void;
  close: () => Promise<void>;
}

async function createAddress(first: OwnCluster): Promise<Address> {
  let target = Number(new URL(first.url).port);
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('error', () => undefined);
      from.on('close', () => to.destroy());
      from.pipe(to);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(first.url);
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    leadTo: (cluster) => (target = Number(new URL(cluster.url).port)),
    close: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}

let old: OwnCluster;
let promoted: OwnCluster;
let foreign: OwnCluster;

beforeAll(async () => {
  old = await createOwnCluster();
  await migrate(old.url);
  const database = openDatabase(old.url, { deadlineMs: AMPLE_MS });
  await claimCluster(database);
  await database.close();
  promoted = await old.promoteCopy();
  foreign = await createOwnCluster({ isForeign: true });
  await migrate(foreign.url);
}, 60_000);
afterAll(async () => {
  for (const cluster of [old, promoted, foreign]) await cluster.remove();
});

/** What a replica has of it, for one test. */
async function withAddress(
  use: (address: Address, database: Database, fresh: Database) => Promise<void>,
): Promise<void> {
  const address = await createAddress(old);
  const fence = createFence();
  const database = openDatabase(address.url, { fence, connections: 1, deadlineMs: AMPLE_MS });
  const fresh = openDatabase(address.url, { fence, connections: 1, isFresh: true, deadlineMs: AMPLE_MS });
  try {
    await use(address, database, fresh);
    expect(fence.isOn()).toBe(true);
  } finally {
    await Promise.all([database.close(), fresh.close()]);
    await address.close();
  }
}

async function timelineOf(database: Database): Promise<number | undefined> {
  const [row] = await database.query({ timeline: 'int4' })`
    SELECT timeline_id AS timeline FROM pg_control_checkpoint()`;
  return row?.timeline;
}

describe('an address that leads to a promoted copy while the old primary still runs', () => {
  it('ends what is under way on the old one as soon as one connection has heard of it, for an account that is no superuser', async () => {
    await withAddress(async (address, database, fresh) => {
      expect(await timelineOf(database)).toBe(1);
      const underWay = expect(database.query({})`SELECT FROM pg_sleep(600)`).rejects.toThrow(OVERTAKEN);
      address.leadTo(promoted);
      await look(fresh);
      await underWay;
      expect(await timelineOf(database)).toBe(2);
    });
  });

  it('and back again is refused, while connections to the promoted one live on', async () => {
    await withAddress(async (address, database, fresh) => {
      address.leadTo(promoted);
      expect(await timelineOf(database)).toBe(2);
      address.leadTo(old);
      await expect(look(fresh)).rejects.toThrow(OVERTAKEN);
      expect(await timelineOf(database)).toBe(2);
    });
  });
});

describe('an address that leads to another cluster', () => {
  it('is refused where the copy knows the cluster that it comes from, until that is accepted', async () => {
    await withAddress(async (address, database, fresh) => {
      const [stored] = await database.query({
        identifier: 'text',
      })`SELECT system_identifier AS identifier FROM service`;
      const operator = openDatabase(foreign.url, { acceptsForeign: true, deadlineMs: AMPLE_MS });
      // As a restored dump would have it.
      await operator.query({})`UPDATE service SET system_identifier = ${stored?.identifier}`;
      address.leadTo(foreign);
      await expect(look(fresh)).rejects.toThrow(FOREIGN);
      const [accepted] = await acceptCluster(operator);
      expect(accepted?.before).toBe(stored?.identifier);
      expect(accepted?.identifier).not.toBe(stored?.identifier);
      await look(fresh);
      await operator.close();
    });
  });
});
