// Ctrl-C on a command that has started the embedded database: it is stopped, too, and whole afterwards.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { isRunning } from '../support/processes.js';

const COMMAND = fileURLToPath(new URL('../../dist/cli/gatehouse.js', import.meta.url));

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

/** Once its PostgreSQL is on its way, or takes connections. */
async function untilStarted(line: string): Promise<number> {
  return await vi.waitFor(
    async () => {
      const content = await readFile(pidFile(), 'utf8');
      expect(content).toContain(line);
      return Number(content.split('\n')[0]);
    },
    { timeout: 60_000, interval: 5 },
  );
}

describe.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s', (signal) => {
  it.each([
    ['while its database starts', 'starting'],
    ['while it works', 'ready'],
  ])('%s ends a command and its database', async (_, line) => {
    const { child, said, closed } = start('migrate');
    const postgres = await untilStarted(line);
    child.kill(signal);
    expect(await closed).toEqual([null, signal]);
    expect((await said)[1]).toMatch(/^(gatehouse: made a new database in .+\n)?$/);
    expect(existsSync(pidFile())).toBe(false);
    await expect.poll(() => isRunning(postgres)).toBe(false);

    const again = start('users', 'list', '--json');
    expect(await again.closed).toEqual([0, null]);
    expect(await again.said).toEqual(['[]\n', '']);
    expect(existsSync(pidFile())).toBe(false);
  });
});
