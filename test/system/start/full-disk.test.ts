// The disk is full at the first start: the one line that the service ends with says so.
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';

import { createOwnCluster, type OwnCluster } from '../../support/own-cluster.js';
import { createWorkshop, environmentFor } from '../../support/service.js';
import { findObstacle, mountSmallDisk, type SmallDisk } from '../../support/small-disk.js';

const obstacle = await findObstacle();
const isExpected = process.env['CI'] !== undefined && process.getuid?.() === 0;
if (obstacle !== undefined) console.warn(`SKIPPED unless CI runs it as root: no disk to fill, ${obstacle}`);

describe.skipIf(obstacle !== undefined && !isExpected)('a first start on a full disk', () => {
  const workshop = createWorkshop();
  let disk: SmallDisk | undefined;
  let cluster: OwnCluster | undefined;

  afterEach(async () => {
    await disk?.free();
    await workshop.clear();
    await cluster?.remove();
    await disk?.remove();
    [disk, cluster] = [undefined, undefined];
  });

  async function refusal(environment: Record<string, string>): Promise<string> {
    const service = await workshop.spawn(environment);
    expect(await service.exited).toMatchObject({ code: 1 });
    const { stderr } = service.output;
    expect(stderr.trimEnd()).not.toContain('\n');
    return stderr;
  }

  // Less than the write-ahead log, than the catalogs, and than the database with what it takes to finish it.
  it.each([1, 20, 44])('of %i MiB, with the embedded database', async (sizeMib) => {
    disk = await mountSmallDisk(sizeMib);
    expect(await refusal({ DATA_DIR: join(disk.path, 'data') })).toMatch(
      /could not be set up in .*: could not .*\. The disk is full: make room there/,
    );
  });

  it('of the database in DATABASE_URL', async () => {
    disk = await mountSmallDisk(96);
    cluster = await createOwnCluster({ place: disk.path });
    await disk.fill();
    expect(await refusal(environmentFor(cluster.url))).toMatch(
      /has no room left on its disk \(53100\)\. Make room there, and start again/,
    );
  });
});
