// The embedded database and the signals that end the service, whenever they come: PostgreSQL ends with it, and is whole.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pino from 'pino';
import { afterEach, expect, it } from 'vitest';

import { findFreePort } from '../../../packages/lab/shared/ports.js';
import { readConfig } from '../../../src/config/config.js';
import { enterEmbedded } from '../../../src/database/embedded.js';
import { listPending } from '../../../src/database/migrate.js';
import { readSecrets } from '../../../src/process/environment.js';
import { createReplica } from '../../../src/process/replica.js';
import { fill, placeMadeDatabase } from '../../support/made-database.js';
import { isRunning } from '../../support/processes.js';
import { HOSTILE_VARIABLES } from '../../support/pg-variables.js';
import { createWorkshop, isAlive, untilReady, type Service } from '../../support/service.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const PATIENT = { timeout: 60_000, interval: 20 };

const workshop = createWorkshop();
afterEach(() => workshop.clear());

/** The process of PostgreSQL, once its file says this of it; or that it is ready, where this was over before we looked. */
async function untilPostgres(dataDir: string, state: string): Promise<number> {
  for (;;) {
    const text = await readFile(join(dataDir, 'postgres/postmaster.pid'), 'utf8').catch(() => '');
    if (text.includes(state) || text.includes('ready')) return Number(text.split('\n')[0]);
    await sleep(2);
  }
}

async function expectGone(dataDir: string, postgres: number): Promise<void> {
  await expect.poll(() => isRunning(postgres), PATIENT).toBe(false);
  expect(existsSync(join(dataDir, 'postgres/postmaster.pid'))).toBe(false);
}

/**
 * A start on what an ended one has left behind, in this process: it does with DATA_DIR what the service does, step by step,
 * until it is ready.
 */
async function expectStart(dataDir: string): Promise<void> {
  const config = readConfig({ DATA_DIR: dataDir, PORT: String(await findFreePort()) });
  const entered = await enterEmbedded(dataDir, 'service');
  await fill(entered.url, dataDir);
  expect(await listPending(entered.url)).toEqual([]);
  const replica = createReplica(pino({ level: 'silent' }));
  const secrets = await readSecrets(config);
  const [address] = await replica.serve({ config, databaseUrl: entered.url, secrets });
  await expect.poll(async () => (await fetch(`${address}/ready`)).status).toBe(200);
  await replica.leave('SIGINT');
  expect(await entered.leave()).toBe(true);
}

/** With a database that is migrated and has the demo, unless what a first start makes is the point. */
async function findDataDir({ isMade = true, isMigrated = true } = {}): Promise<string> {
  const dataDir = join(await workshop.directory(), 'data');
  if (isMade) await placeMadeDatabase(dataDir, { isMigrated });
  return dataDir;
}

function tell(service: Service, signal: NodeJS.Signals): void {
  process.kill(-Number(service.process.pid), signal);
}

it.each([
  ['SIGHUP', '1', 'starting'],
  ['SIGHUP', '2', 'starting'],
  ['SIGHUP', '1', 'ready'],
  ['SIGHUP', '2', 'ready'],
  ['SIGTERM', '1', 'starting'],
  ['SIGTERM', '1', 'ready'],
  ['SIGINT', '2', 'ready'],
  ['SIGQUIT', '1', 'starting'],
] as const)('%s to all processes of WORKERS=%s, while PostgreSQL is %s', async (signal, workers, state) => {
  // What is ready is migrated next: the signal may come in the middle of that.
  const dataDir = await findDataDir({ isMigrated: state === 'starting' });
  const service = await workshop.spawn({ DATA_DIR: dataDir, WORKERS: workers }, { ownGroup: true });
  const postgres = await untilPostgres(dataDir, state);
  tell(service, signal);
  expect(await service.exited).toEqual({ code: 0, signal: null });
  expect(service.output.stderr).toBe('');
  await expectGone(dataDir, postgres);
  await expect.poll(() => isAlive(service), PATIENT).toBe(false);
  await expectStart(dataDir);
});

it('SIGHUP while the database is being made', async () => {
  const dataDir = await findDataDir({ isMade: false });
  const service = await workshop.spawn({ DATA_DIR: dataDir, WORKERS: '1' }, { ownGroup: true });
  while (!existsSync(dataDir)) await sleep(2);
  tell(service, 'SIGHUP');
  expect(await service.exited).toEqual({ code: 0, signal: null });
  expect(service.output.stderr).toBe('');
  expect(existsSync(join(dataDir, 'postgres/postmaster.pid'))).toBe(false);
  await expectStart(dataDir);
});

it('a hang-up that is told again and again, at once and later, does not hurry it', async () => {
  const dataDir = await findDataDir();
  const service = await workshop.start({ DATA_DIR: dataDir, WORKERS: '1' }, { ownGroup: true });
  const postgres = await untilPostgres(dataDir, 'ready');
  // Wherever it is in hearing of the first one, the next one comes.
  const untilMs = performance.now() + 300;
  while (performance.now() < untilMs) tell(service, 'SIGHUP');
  // PostgreSQL is the last thing that it stops. Afterwards it ends, and Node takes its listeners away before that.
  const again = setInterval(() => isAlive(service) && isRunning(postgres) && tell(service, 'SIGHUP'), 100);
  const exit = await service.exited;
  clearInterval(again);
  expect(exit).toEqual({ code: 0, signal: null });
  await expectGone(dataDir, postgres);
});

it.each(['1', '2'])('a terminal that is closed on `npm start` with WORKERS=%s', async (workers) => {
  const dataDir = await findDataDir();
  const port = await findFreePort();
  // `script` gives it a terminal, which closes when `script` dies.
  const terminal = spawn('script', ['--quiet', '--command', 'npm start', '/dev/null'], {
    cwd: ROOT,
    env: {
      PATH: process.env['PATH'],
      HOME: await workshop.directory(),
      DATA_DIR: dataDir,
      PORT: String(port),
      WORKERS: workers,
    },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const postgres = await untilPostgres(dataDir, 'ready');
  const url = `http://127.0.0.1:${port}`;
  await untilReady({ url, process: terminal, output: { stdout: '', stderr: '' } } as Service);
  terminal.kill('SIGKILL');
  await once(terminal, 'exit');
  await expectGone(dataDir, postgres);
  await expect
    .poll(
      () =>
        fetch(`${url}/health`).then(
          () => 'answers',
          () => 'gone',
        ),
      PATIENT,
    )
    .toBe('gone');
  await expectStart(dataDir);
});

it('PG* variables of every kind, to service and workers, which start and serve as ever and name them', async () => {
  const dataDir = await findDataDir();
  const variables = Object.fromEntries(HOSTILE_VARIABLES);
  const service = await workshop.start({ ...variables, DATA_DIR: dataDir, WORKERS: '2' });
  await expect.poll(() => service.output.stdout, PATIENT).toContain('demo.txt');
  expect(service.output.stdout).toContain('not read: PGAPPNAME, ');
  expect(service.output.stdout).not.toContain(variables['PGPASSWORD']);
  expect(await service.stop('SIGINT')).toEqual({ code: 0, signal: null });
  expect(existsSync(join(dataDir, 'postgres/postmaster.pid'))).toBe(false);
});
