// `npm run dev`, over a small tree of its own: a build that copies, and a service that says which text it was built from.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { isRunning } from '../support/processes.js';

const BUILD = `
  import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
  if (readFileSync('src/main.js', 'utf8').includes('broken')) {
    console.error('src/main.js(1,1): error TS1005');
    process.exit(1);
  }
  mkdirSync('dist', { recursive: true });
  copyFileSync('src/main.js', 'dist/main.js');`;

const serviceOf = (text: string) => `
  const timer = setInterval(() => undefined, 1000);
  process.once('SIGTERM', () => { console.log('ended ${text}'); clearInterval(timer); });
  console.log('serving ${text} ' + process.pid);`;

let directory: string;
let dev: ChildProcess;
let output = '';

beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'gatehouse-dev-')));
  for (const name of ['src', 'prisma', 'scripts']) await mkdir(join(directory, name));
  await cp('scripts/dev.js', join(directory, 'scripts/dev.js'));
  await writeFile(join(directory, 'package.json'), '{ "type": "module" }');
  await writeFile(join(directory, 'scripts/build.js'), BUILD);
  await save(serviceOf('one'));
  output = '';
  dev = spawn(process.execPath, ['scripts/dev.js'], { cwd: directory });
  for (const stream of [dev.stdout, dev.stderr]) stream?.on('data', (text) => (output += String(text)));
});

afterEach(async () => {
  if (dev.exitCode === null) {
    const ended = once(dev, 'exit');
    dev.kill('SIGTERM');
    await ended;
  }
  await rm(directory, { recursive: true });
});

async function save(text: string): Promise<void> {
  await writeFile(join(directory, 'src/main.js'), text);
}

async function seen(text: RegExp): Promise<RegExpExecArray> {
  await expect.poll(() => output, { timeout: 120_000 }).toMatch(text);
  return text.exec(output) as RegExpExecArray;
}

it('serves what was saved, after the service before has ended', async () => {
  await seen(/serving one/);
  await save(serviceOf('two'));
  await seen(/ended one\n[^]*serving two/);
});

it('says what does not compile, keeps the service, and goes on after the next change', async () => {
  const [, pid] = await seen(/serving one (\d+)/);
  await save('broken');
  await seen(/error TS1005\n[^]*dev: not built: the service before goes on/);
  expect(isRunning(Number(pid))).toBe(true);
  await save(serviceOf('three'));
  await seen(/ended one\n[^]*serving three/);
});

it('waits for a change when the service has failed', async () => {
  await seen(/serving one/);
  await save(`console.error('no start'); process.exitCode = 1;`);
  await seen(/no start\n[^]*dev: the service has ended/);
  await save(serviceOf('four'));
  await seen(/serving four/);
});

it.each(['SIGINT', 'SIGTERM'] as const)('ends with the service at %s', async (signal) => {
  const [, pid] = await seen(/serving one (\d+)/);
  const ended = once(dev, 'exit');
  dev.kill(signal);
  expect(await ended).toEqual([0, null]);
  expect(isRunning(Number(pid))).toBe(false);
  await expect.poll(() => output).toContain('ended one');
});
