// What `npm start` builds: at first all, then only what a change makes stale, and it says which part.
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { createClone, type Clone } from '../support/clone.js';

/** Passes for the compiler: leaves a file where the real one would leave many. */
const TSC = `
  const { existsSync, mkdirSync, writeFileSync } = require('node:fs');
  const { dirname, join } = require('node:path');
  const project = process.argv[3];
  if (existsSync('src/broken.ts')) { console.log('src/broken.ts(1,1): error TS1005'); process.exit(2); }
  const folder = dirname(project);
  const target = folder === 'src' ? 'dist' : join(folder, 'dist');
  mkdirSync(target, { recursive: true });
  for (const name of ['index.js', 'index.d.ts']) writeFileSync(join(target, name), '');`;

const PRISMA = `
  const { mkdirSync, writeFileSync } = require('node:fs');
  mkdirSync('src/database/generated', { recursive: true });
  writeFileSync('src/database/generated/client.ts', '');`;

const ROLLDOWN = `
  const { writeFileSync } = require('node:fs');
  exports.rolldown = async () => ({ write: async ({ file }) => writeFileSync(file, ''), close: async () => undefined });`;

const ALL = [
  'prisma client',
  'protocol',
  'local-postgres',
  'service',
  'resource-server',
  'backend',
  'browser',
  'account-page',
];

let clone: Clone;

beforeAll(async () => {
  clone = await createClone();
  const { dependencies, optionalDependencies } = clone.described;
  await clone.install(...Object.keys({ ...dependencies, ...optionalDependencies }));
  await clone.install('typescript', 'prisma', 'rolldown', '@types/node', '@types/pg', '@types/ms');
  await clone.write('node_modules/typescript/bin/tsc', TSC);
  await clone.write('node_modules/prisma/build/index.js', PRISMA);
  await clone.write('node_modules/rolldown/index.js', ROLLDOWN);
  await clone.write('node_modules/@node-rs/argon2/index.js', '');
  await clone.write('src/main.ts', '');
  // The command line, which runs after its build.
  await clone.write('dist/cli/gatehouse.js', '');
});
afterAll(() => clone.remove());

/** Builds; the parts that it says it builds. */
async function build(script = 'scripts/build.js'): Promise<string[]> {
  const { code, stdout, stderr } = await clone.run(script);
  expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
  const lines = stderr.split('\n').filter((line) => line !== '');
  return lines.map((line) => /^build: (.+)$/.exec(line)?.[1] ?? `not a step: ${line}`);
}

/** Of every file that was made, when it was written. */
async function readDates(): Promise<Map<string, bigint>> {
  const dates = new Map<string, bigint>();
  for (const file of await readdir(clone.root, { recursive: true })) {
    if (!/(?:^|[\\/])(?:dist|generated)[\\/]/.test(file) || file.includes('node_modules')) continue;
    dates.set(file, (await stat(join(clone.root, file), { bigint: true })).mtimeNs);
  }
  return dates;
}

/** The parts that a build has written anew. */
async function findWritten(before: Map<string, bigint>): Promise<string[]> {
  const after = await readDates();
  const changed = [...after].filter(([file, date]) => before.get(file) !== date).map(([file]) => file);
  const parts = changed.map((file) => {
    if (file.includes('generated')) return 'prisma client';
    return /^packages[\\/]([^\\/]+)/.exec(file)?.[1] ?? /^dist[\\/]\.(.+)/.exec(file)?.[1] ?? 'service';
  });
  return ALL.filter((part) => parts.includes(part));
}

it('the first build makes everything, in this order', async () => {
  expect(await build()).toEqual(ALL);
});

it('the second build writes no file and says nothing, also when the command line asks for it', async () => {
  const before = await readDates();
  expect(before.size).toBeGreaterThan(10);
  expect(await build()).toEqual([]);
  expect(await build('bin/gatehouse.js')).toEqual([]);
  expect(await readDates()).toEqual(before);
});

it.each([
  ['src/main.ts', ['service']],
  ['prisma/schema.prisma', ['prisma client', 'service']],
  ['packages/resource-server/src/cache.ts', ['resource-server']],
  ['packages/backend/src/wire.ts', ['backend']],
  ['packages/account-page/src/account.css', ['account-page']],
  ['packages/browser/src/tabs.ts', ['browser', 'account-page']],
  ['packages/local-postgres/src/lock-connection.ts', ['local-postgres', 'service']],
  ['packages/protocol/src/scope.ts', ALL.slice(1).filter((part) => part !== 'local-postgres')],
  ['tsconfig.json', ALL.slice(1)],
])('a change of %s builds %s, and nothing else', async (path, parts) => {
  await clone.write(path, path.endsWith('.json') ? '{ }' : '/* changed */');
  const before = await readDates();
  expect(await build()).toEqual(parts);
  expect(await findWritten(before)).toEqual(parts);
  expect(await build()).toEqual([]);
});

it('a part that does not compile is named after its errors, and is built again once it is mended', async () => {
  await clone.write('src/broken.ts', '');
  const { code, stderr } = await clone.run('scripts/build.js');
  expect(code).not.toBe(0);
  expect(stderr).toMatch(/^build: service\nsrc\/broken\.ts\(1,1\): error TS1005\n[^]*failed/);
  await rm(join(clone.root, 'src/broken.ts'));
  expect(await build()).toEqual(['service']);
});
