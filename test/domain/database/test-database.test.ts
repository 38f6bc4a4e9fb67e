import { PrismaPg } from '@prisma/adapter-pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PrismaClient } from '../../../src/database/generated/client.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';

describe('a test database', () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createTestDatabase();
  });
  afterEach(() => database.drop());

  async function readNow(): Promise<number> {
    const { rows } = await database.admin.query<{ now: string }>(
      'SELECT extract(epoch from clock_timestamp()) AS now',
    );
    return Number(rows[0]?.now);
  }

  /** By this machine's clock, before and after. */
  async function expectNow(shiftSeconds: number): Promise<void> {
    const before = Date.now() / 1_000;
    const passed = (await readNow()) - shiftSeconds;
    expect(passed).toBeGreaterThan(before - 0.1);
    expect(passed).toBeLessThan(Date.now() / 1_000 + 0.1);
  }

  it('shifts, freezes and releases the clock that statements see', async () => {
    await database.clock.set(3_600);
    await expectNow(3_600);
    await database.clock.freeze(1_700_000_000);
    expect(await readNow()).toBe(1_700_000_000);
    await database.clock.advance(0.5);
    expect(await readNow()).toBe(1_700_000_000.5);
    await database.clock.freeze(new Date('2030-01-01T00:00:00Z'));
    expect(await readNow()).toBe(1_893_456_000);
    await database.clock.release();
    await expectNow(3_600.5);
  });

  it('shows the same clock and tables to Prisma', async () => {
    const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: database.url }) });
    await database.clock.freeze(1_700_000_000);
    const rows = await prisma.$queryRaw`SELECT clock_timestamp() AS now, epoch FROM service`;
    expect(rows).toEqual([{ now: new Date(1_700_000_000_000), epoch: 0n }]);
    const service = await prisma.service.findFirst();
    expect(service?.id).toBe(true);
    await prisma.$disconnect();
  });

  it('has its own data and its own clock', async () => {
    const other = await createTestDatabase();
    await other.clock.freeze(0);
    await other.admin.query('UPDATE service SET epoch = 7');
    const { rows } = await database.admin.query('SELECT epoch FROM service');
    expect(rows).toEqual([{ epoch: '0' }]);
    expect(await readNow()).toBeGreaterThan(1_700_000_000);
    await other.drop();
  });
});
