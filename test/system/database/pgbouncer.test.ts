// PgBouncer in front of PostgreSQL: in session mode all works; in the other modes nothing starts, and nothing is ready.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { migrate } from '../../../src/database/migrate.js';
import { openDatabase } from '../../../src/database/prisma.js';
import { gatehouse } from '../../support/command.js';
import { createEmptyDatabase, type EmptyDatabase } from '../../support/empty-database.js';
import { AMPLE_MS, SECRET } from '../../support/house.js';
import { isPgBouncerHere, startPgBouncer, type PgBouncer } from '../../support/pgbouncer.js';
import { retryOn503 } from '../../support/retry.js';
import { ask, createWorkshop, environmentFor, untilReady, type Service } from '../../support/service.js';
import { findFreePort } from '../../../packages/lab/shared/ports.js';

const REFUSAL =
  /is behind a pooler that lends a connection for one transaction .* point DATABASE_URL at PostgreSQL itself/;

describe.skipIf(!isPgBouncerHere)('behind PgBouncer', () => {
  const workshop = createWorkshop();
  let database: EmptyDatabase;
  let pooler: PgBouncer | undefined;

  const open = async (settings: Record<string, string>, port?: number) =>
    (pooler = await startPgBouncer(database.url, port ?? (await findFreePort()), settings));

  beforeAll(async () => {
    database = await createEmptyDatabase();
    await migrate(database.url);
  });
  afterEach(async () => {
    await workshop.clear();
    await pooler?.stop();
    pooler = undefined;
  });
  afterAll(() => database.drop());

  const LENDING = [
    { pool_mode: 'transaction' },
    { pool_mode: 'transaction', default_pool_size: '1' },
    { pool_mode: 'transaction', default_pool_size: '2', min_pool_size: '2' },
    { pool_mode: 'transaction', server_round_robin: '1' },
    { pool_mode: 'transaction', server_round_robin: '1', default_pool_size: '2', min_pool_size: '2' },
    { pool_mode: 'transaction', server_reset_query_always: '1' },
    { pool_mode: 'statement' },
  ].map((settings) => [JSON.stringify(settings), settings] as const);

  it.each(LENDING)('the start and the command line are refused: %s', async (_name, settings) => {
    const { url } = await open(settings);
    await expect(migrate(url)).rejects.toThrow(REFUSAL);
    const environment = { DATABASE_URL: url, AUTH_SECRET: SECRET };
    const { status, stderr } = await gatehouse(['users', 'list'], { environment });
    expect(status).toBe(1);
    expect(stderr).toMatch(REFUSAL);
  });

  it.each(LENDING)('a pool that is open by now notices it: %s', async (_name, settings) => {
    const { url } = await open(settings);
    const pool = openDatabase(url, { connections: 4, deadlineMs: AMPLE_MS });
    const used = () => pool.query({ n: 'int4' })`SELECT 1::int4 AS n`;
    await Promise.allSettled([used(), used(), used()]);
    const kept = await pool.keepsSettings().catch(() => false);
    await pool.close();
    expect(kept).toBe(false);
  });

  it('a service ends with one line that says so', async () => {
    const { url } = await open({ pool_mode: 'transaction' });
    const service = await workshop.spawn(environmentFor(url));
    const { code } = await service.exited;
    expect(code).toBe(1);
    expect(service.output.stderr.trimEnd()).toMatch(REFUSAL);
    expect(service.output.stderr.trimEnd()).not.toContain('\n');
  });

  it('in session mode a service starts and answers, and is not ready once the mode has changed', async () => {
    const port = await findFreePort();
    const session = { pool_mode: 'session', default_pool_size: '50' };
    const { url } = await open(session, port);
    const service = await workshop.start(environmentFor(url));
    const login = { username: 'nobody', password: 'quite wrong' };
    const answer = await retryOn503(() => ask(service, 'POST', '/login', { body: login }));
    expect(answer.status).toBe(401);

    await pooler?.stop();
    await open({ pool_mode: 'transaction' }, port);
    const details = await untilNotReady(service);
    expect(details).toMatch(REFUSAL);

    await pooler?.stop();
    await open(session, port);
    await untilReady(service);
  });

  async function untilNotReady(service: Service): Promise<string> {
    for (;;) {
      const answer = await ask(service, 'GET', '/ready');
      const { detail = '' } = answer.json<{ detail?: string }>();
      if (answer.status === 503 && REFUSAL.test(detail)) return detail;
    }
  }
});

it('connections to PostgreSQL itself keep what they are told', async () => {
  const database = await createEmptyDatabase();
  const pool = openDatabase(database.url, { deadlineMs: AMPLE_MS });
  expect(await Promise.all([pool.keepsSettings(), pool.keepsSettings(), pool.keepsSettings()])).toEqual([
    true,
    true,
    true,
  ]);
  await pool.close();
  await database.drop();
});
