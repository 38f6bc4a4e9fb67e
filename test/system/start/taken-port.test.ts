// A start that cannot listen finds it out first: nothing has been made or changed when it says so.
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';

import { createEmptyDatabase, type EmptyDatabase } from '../../support/empty-database.js';
import { placeMadeDatabase } from '../../support/made-database.js';
import { createWorkshop, environmentFor, isAlive } from '../../support/service.js';

/** Processes take their time on a busy machine. */
const PATIENT = { timeout: 20_000 };

const workshop = createWorkshop();
let database: EmptyDatabase;

beforeAll(async () => {
  database = await createEmptyDatabase();
});
afterEach(() => workshop.clear());
afterAll(() => database.drop());

async function squat(): Promise<string> {
  const squatter = createServer().listen(0, '127.0.0.1');
  await once(squatter, 'listening');
  onTestFinished(() => void squatter.close());
  return String((squatter.address() as AddressInfo).port);
}

const HINDRANCES: [string, () => Promise<Record<string, string>>, RegExp][] = [
  [
    'a taken port',
    async () => ({ PORT: await squat() }),
    /^gatehouse: port \d+ is taken: stop what listens there, or set PORT$/,
  ],
  [
    'another’s address',
    () => Promise.resolve({ HOST: '203.0.113.1' }),
    /^gatehouse: HOST is not an address of this machine/,
  ],
  [
    'an unknown name',
    () => Promise.resolve({ HOST: 'gatehouse.invalid' }),
    /^gatehouse: HOST is not an address of this machine/,
  ],
];

describe.each(HINDRANCES)('%s', (_what, hinder, line) => {
  /** It ends as a whole, with one line. */
  async function expectRefusal(environment: Record<string, string>): Promise<void> {
    const change = await hinder();
    const service = await workshop.spawn({ ...environment, ...change }, { ownGroup: true });
    expect(await service.exited).toEqual({ code: 1, signal: null });
    await expect.poll(() => isAlive(service), PATIENT).toBe(false);
    expect(service.output.stdout).not.toContain('listening');
    const lines = service.output.stderr.trimEnd().split('\n');
    expect(lines).toEqual([expect.stringMatching(line)]);
    const { PORT } = change;
    if (PORT !== undefined) expect(lines.join()).toContain(`port ${PORT} is`);
  }

  it.each(['1', '2'])('leaves no DATA_DIR behind, with WORKERS=%s', async (workers) => {
    const folder = await workshop.directory();
    await expectRefusal({ WORKERS: workers, DATA_DIR: join(folder, 'data') });
    expect(await readdir(folder)).toEqual([]);
  });

  it('leaves no table in a database, with WORKERS=2', async () => {
    await expectRefusal({ ...environmentFor(database.url), WORKERS: '2' });
    expect(await database.query(`SELECT FROM pg_tables WHERE schemaname = 'public'`)).toEqual([]);
  });
});

it('demo.txt leads to where the service listens now, and names no other place', async () => {
  const dataDir = join(await workshop.directory(), 'data');
  await placeMadeDatabase(dataDir);
  const file = join(dataDir, 'demo.txt');
  const readOrigins = async () => new Set((await readFile(file, 'utf8')).match(/https?:\/\/[^\s/]+/g));
  const first = await workshop.start({ DATA_DIR: dataDir, ISSUER: 'https://login.example.com' });
  await expect.poll(readOrigins).toEqual(new Set([`http://127.0.0.1:${first.port}`]));
  const before = await readFile(file, 'utf8');
  await first.stop('SIGINT');

  // A start that fails changes nothing; the next one that serves does, whatever an older version has written.
  const refused = await workshop.spawn({ DATA_DIR: dataDir, PORT: await squat() });
  expect((await refused.exited).code).toBe(1);
  expect(await readFile(file, 'utf8')).toBe(before);
  await writeFile(file, before.replaceAll(`http://127.0.0.1:${first.port}`, 'http://localhost:3000'));
  const second = await workshop.start({ DATA_DIR: dataDir, HOST: 'localhost' });
  await expect.poll(readOrigins).toEqual(new Set([`http://127.0.0.1:${second.port}`]));
  expect(await readFile(file, 'utf8')).toBe(before.replaceAll(`:${first.port}/`, `:${second.port}/`));
  await expect.poll(() => second.output.stdout).toContain('demo.txt');
  expect(second.output.stdout).not.toContain('PASSWORD');
});
