// Ctrl-C on a command that has started the embedded database: it is stopped, too, and whole afterwards.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { gatehouse } from '../../support/command.js';
import { placeMadeDatabase } from '../../support/made-database.js';
import { isRunning } from '../../support/processes.js';

const COMMAND = fileURLToPath(new URL('../../../dist/cli/gatehouse.js', import.meta.url));

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-interrupted-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function start(...args: string[]) {
  const child = spawn(process.execPath, [COMMAND, ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = Promise.all([text(child.stdout), text(child.stderr)]);
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  return { child, said, closed };
}

function pidFile(): string {
  return join(folder, 'data', 'postgres', 'postmaster.pid');
}

/**
 * Starts one, and waits until it has got so far with its PostgreSQL; starts another where it was over before anybody saw
 * that.
 */
async function startUntil(isTime: (pidFile: string) => Promise<boolean>, { isMade = true } = {}) {
  for (;;) {
    if (isMade) await placeMadeDatabase(join(folder, 'data'));
    const command = start('migrate');
    while (command.child.exitCode === null) {
      const content = await readFile(pidFile(), 'utf8').catch(() => '');
      if (await isTime(content)) return { ...command, postgres: Number(content.split('\n')[0]) };
      await sleep(2);
    }
    await command.closed;
    await rm(join(folder, 'data'), { recursive: true });
  }
}

/** The next command finds its database; run in this process, which makes no difference to the database. */
async function expectWhole(): Promise<void> {
  const again = await gatehouse(['users', 'list', '--json'], {
    environment: { DATA_DIR: join(folder, 'data') },
  });
  expect(again).toEqual({ status: 0, stdout: '[]\n', stderr: '' });
  expect(existsSync(pidFile())).toBe(false);
}

describe.each(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const)('%s', (signal) => {
  it.each([
    ['while its database starts', 'starting'],
    ['while it works', 'ready'],
  ])('%s ends a command and its database', async (_, line) => {
    // One of them makes its database, the others find theirs.
    const { child, said, closed, postgres } = await startUntil(
      (file) => Promise.resolve(file.includes(line)),
      { isMade: signal !== 'SIGINT' },
    );
    child.kill(signal);
    expect(await closed).toEqual([null, signal]);
    expect((await said)[1]).toMatch(/^(gatehouse: made a new database in .+\n)?$/);
    expect(existsSync(pidFile())).toBe(false);
    await expect.poll(() => isRunning(postgres)).toBe(false);

    await expectWhole();
  });
});

it('a signal waits for the migrations that are under way, which nobody could take back', async () => {
  const { child, closed } = await startUntil(hasBegunToMigrate);
  child.kill('SIGINT');
  expect(await closed).toEqual([null, 'SIGINT']);
  expect(existsSync(pidFile())).toBe(false);
  const again = start('users', 'list', '--json');
  expect(await again.said).toEqual(['[]\n', '']);
});

it('a terminal that closes tells of it again and again, and the database is stopped all the same', async () => {
  const { child, closed, postgres } = await startUntil((file) => Promise.resolve(file.includes('ready')));
  while (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGHUP');
    await setImmediate();
  }
  expect(await closed).toEqual([null, 'SIGHUP']);
  expect(existsSync(pidFile())).toBe(false);
  await expect.poll(() => isRunning(postgres)).toBe(false);
});

async function hasBegunToMigrate(content: string): Promise<boolean> {
  if (!content.includes('ready')) return false;
  const directory = join(folder, 'data', 'postgres');
  const password = (await readFile(`${directory}.password`, 'utf8')).trim();
  const client = new pg.Client({ host: directory, user: 'gatehouse', password, database: 'gatehouse' });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query(`SELECT WHERE to_regclass('public._prisma_migrations') IS NOT NULL`);
    return rows.length > 0;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
