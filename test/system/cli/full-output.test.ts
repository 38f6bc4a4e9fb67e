// A command whose output cannot be written, by a disk that is full for instance: it fails, and says so.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';

const PROGRAM = resolve('dist/cli/gatehouse.js');

it.runIf(existsSync('/dev/full'))('a command says in a line that its output cannot be written', async () => {
  const full = await open('/dev/full', 'w');
  const child = spawn(process.execPath, [PROGRAM, '--help'], { stdio: ['ignore', full.fd, 'pipe'] });
  if (child.stderr === null) throw new Error('a pipe was asked for');
  const [said] = await Promise.all([text(child.stderr), once(child, 'close')]);
  await full.close();
  expect(child.exitCode).toBe(1);
  expect(said).toMatch(/^gatehouse: the output cannot be written \(ENOSPC\).*: make room.*\n$/);
});
