// WORKERS: several processes behind one port, each a replica; one that dies is replaced, one that cannot start ends all.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { openConnections, linesOf } from '../../support/connections.js';
import { openHouse, type House } from '../../support/house.js';
import { findFreePort } from '../../../packages/lab/shared/ports.js';
import { createWorkshop, environmentFor, isAlive, type Service } from '../../support/service.js';

/** Processes take their time on a busy machine. */
const PATIENT = { timeout: 20_000 };

const workshop = createWorkshop();
let house: House;
let environment: Record<string, string>;

beforeAll(async () => {
  house = await openHouse();
  environment = { ...environmentFor(house.database.url), WORKERS: '2', LOG_LEVEL: 'debug' };
});
afterEach(() => workshop.clear());
afterAll(() => house.close());

function messagesOf(service: Service, beginning: string): Record<string, unknown>[] {
  return linesOf(service).filter(({ msg }) => String(msg).startsWith(beginning));
}

async function workersOf(service: Service): Promise<number[]> {
  const connections = await openConnections(service, 8);
  return [...new Set(connections.map(({ pid }) => pid))];
}

it('leave a service of one process as it was: no other process, and none named', async () => {
  const service = await workshop.start({ ...environment, WORKERS: '1' });
  await expect.poll(() => messagesOf(service, 'listening'), PATIENT).toHaveLength(1);
  for (const line of linesOf(service)) expect(line).not.toHaveProperty('pid');
});

it('serve both, say so once, and are replaced when they die, ever more slowly, while the others go on', async () => {
  const service = await workshop.start(environment);
  const pids = await workersOf(service);
  expect(pids).toHaveLength(2);
  expect(pids).not.toContain(service.process.pid);
  expect(messagesOf(service, 'listening')).toEqual([
    expect.objectContaining({
      msg: `listening on http://127.0.0.1:${service.port}`,
      pid: service.process.pid,
    }),
  ]);
  expect(service.output.stderr).toBe('');

  const [staying, ...others] = await openConnections(service, 8);
  let dying = others.find(({ pid }) => pid !== staying?.pid)?.pid;

  for (const round of [1, 2, 3]) {
    process.kill(Number(dying), 'SIGKILL');
    await expect
      .poll(async () => {
        expect((await staying?.ask('GET', '/ready'))?.status).toBe(200);
        return messagesOf(service, 'a worker took its place').length;
      }, PATIENT)
      .toBe(round);
    dying = Number(messagesOf(service, 'a worker took its place').at(-1)?.['worker']);
    expect(new Set(await workersOf(service))).toEqual(new Set([staying?.pid, dying]));
  }

  const ends = messagesOf(service, 'a worker ended');
  expect(ends.map(({ signal, delayMs }) => [signal, delayMs])).toEqual([
    ['SIGKILL', 100],
    ['SIGKILL', 200],
    ['SIGKILL', 400],
  ]);
  expect(await service.stop('SIGINT')).toEqual({ code: 0, signal: null });
  expect(service.output.stderr).toBe('');
});

it('come back after all have died, are tried again when one cannot start, and do not outlive the first process', async () => {
  const service = await workshop.start(environment, { ownGroup: true });
  const former = await workersOf(service);
  for (const pid of former) process.kill(pid, 'SIGKILL');
  await expect.poll(() => messagesOf(service, 'a worker took its place'), PATIENT).toHaveLength(2);
  const pids = await workersOf(service);
  expect(pids).toHaveLength(2);
  expect(pids.filter((pid) => former.includes(pid))).toEqual([]);

  const endsOf = () => messagesOf(service, 'a worker ended').slice(former.length);
  const giveBack = await spoilKeys();
  process.kill(Number(pids[0]), 'SIGKILL');
  try {
    await expect.poll(() => endsOf().length, PATIENT).toBeGreaterThan(2);
  } finally {
    await giveBack();
  }
  await expect.poll(() => messagesOf(service, 'a worker took its place'), PATIENT).toHaveLength(3);
  expect(endsOf()[1]).toMatchObject({
    code: 1,
    failure: expect.stringMatching(/^AUTH_SECRET does not open the signing keys/) as string,
  });
  expect(service.output.stderr).toBe('');

  service.process.kill('SIGKILL');
  await expect.poll(() => isAlive(service), PATIENT).toBe(false);
});

/** No worker that starts now can open them. */
async function spoilKeys(): Promise<() => Promise<void>> {
  const { admin } = house.database;
  const put = (key: Buffer | undefined) =>
    admin.query('UPDATE signing_keys SET encrypted_private_key = $1', [key]);
  const { rows } = await admin.query<{ key: Buffer }>(
    'SELECT encrypted_private_key AS key FROM signing_keys',
  );
  await put(Buffer.alloc(64));
  return async () => {
    await put(rows[0]?.key);
  };
}

describe('that cannot start', () => {
  /** How the start ends, which leaves no process behind. */
  async function refusalOf(change: Record<string, string>): Promise<string[]> {
    const service = await workshop.spawn({ ...environment, ...change }, { ownGroup: true });
    expect(await service.exited).toEqual({ code: 1, signal: null });
    await expect.poll(() => isAlive(service), PATIENT).toBe(false);
    expect(service.output.stdout).not.toContain('listening');
    return service.output.stderr.trimEnd().split('\n');
  }

  it('end the whole, with one line: the secret is another', async () => {
    // A replica makes the first key, by the secret of all others.
    await house.replica();
    expect(await refusalOf({ AUTH_SECRET: 'another-secret-of-more-than-32-bytes-in-length' })).toEqual([
      expect.stringMatching(/^gatehouse: AUTH_SECRET does not open the signing keys/),
    ]);
  });

  it('are never told to: the database cannot be reached', async () => {
    const url = new URL(house.database.url);
    url.port = String(await findFreePort());
    expect(await refusalOf({ DATABASE_URL: url.href })).toEqual([
      expect.stringMatching(/^gatehouse: The database \S+ at 127\.0\.0\.1:\d+ cannot be reached/),
    ]);
  });

  it('are never made: the configuration is wrong', async () => {
    const lines = await refusalOf({ WORKERS: '65', ACCESS_TOKEN_TTL: '5s' });
    expect(lines).toEqual([
      'gatehouse: the configuration is wrong, see .env.example:',
      '  WORKERS must be a whole number from 1 to 64',
      '  ACCESS_TOKEN_TTL must be at least 30s',
    ]);
  });
});
