// A build without what it needs says in one line what to do, and starts nothing.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { isAtLeast } from '../../scripts/installed.js';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

interface Package {
  engines: { node: string };
  dependencies: Record<string, string>;
}

let root: string;
let described: Package;

/** A fresh clone, as far as the build looks at it before it compiles. */
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'gatehouse-clone-'));
  for (const name of [
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'scripts',
    'bin',
    'packages',
    'prisma/schema.prisma',
  ]) {
    await cp(join(REPOSITORY, name), join(root, name), {
      recursive: true,
      filter: (path) => !/[\\/](?:dist|node_modules)$/.test(path),
    });
  }
  await mkdir(join(root, 'src'));
  described = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Package;
});
afterEach(() => rm(root, { recursive: true }));

async function install(...names: string[]): Promise<void> {
  for (const name of names) {
    const directory = join(root, 'node_modules', name);
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, 'package.json'), JSON.stringify({ name, main: 'index.js' }));
    // As a package with a native part does that does not find it.
    await writeFile(join(directory, 'index.js'), 'throw new Error("Cannot find native binding.")');
  }
}

/** Passes for what the build would make, made just now. */
async function passForBuilt(): Promise<void> {
  for (const name of [
    'src/database/generated/client.ts',
    ...['protocol', 'local-postgres', 'service', 'resource-server', 'browser', 'account-page'].map(
      (what) => `dist/.${what}`,
    ),
  ]) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), '');
  }
}

async function run(
  script: string,
  ...args: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [join(root, script), ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number]>,
  ]);
  return { code, stdout, stderr };
}

describe.each(['scripts/build.js', 'bin/gatehouse.js'])('%s', (script) => {
  it('asks for `npm ci` where nothing is installed', async () => {
    const count = Object.keys(described.dependencies).length;
    expect(await run(script)).toEqual({
      code: 1,
      stdout: '',
      stderr: `Packages are missing, @fastify/cors and ${count - 1} more: run \`npm ci\` first\n`,
    });
  });

  it('asks for the compiler where only that is missing', async () => {
    await install(...Object.keys(described.dependencies));
    expect(await run(script)).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'Gatehouse is not built, and typescript, which the build needs, is not installed: run `npm ci --include=dev`, then the same again\n',
    });
  });

  it('asks for a newer Node', async () => {
    await writeFile(
      join(root, 'package.json'),
      JSON.stringify({ ...described, engines: { node: '>=99.1' } }),
    );
    expect(await run(script)).toEqual({
      code: 1,
      stdout: '',
      stderr: `Gatehouse needs Node 99.1 or newer, and this is ${process.versions.node}: install a newer one\n`,
    });
  });
});

describe('the build', () => {
  it('names the one package that is missing', async () => {
    await install(...Object.keys(described.dependencies).filter((name) => name !== 'pg'));
    expect((await run('scripts/build.js')).stderr).toBe('Packages are missing, pg: run `npm ci` first\n');
  });

  it('does not take away what was built when it cannot build anew', async () => {
    await install(...Object.keys(described.dependencies));
    await passForBuilt();
    expect((await run('scripts/build.js', '--all')).stderr).toMatch(
      /^Gatehouse is not built, and typescript/,
    );
    expect(await readFile(join(root, 'dist/.service'), 'utf8')).toBe('');
  });

  it('asks for the native part of a package, of another machine or left out', async () => {
    await install(...Object.keys(described.dependencies));
    await passForBuilt();
    expect(await run('scripts/build.js')).toEqual({
      code: 1,
      stdout: '',
      stderr: `@node-rs/argon2 cannot be loaded, it may lack its part for ${process.platform}-${process.arch}: run \`npm ci --include=optional\` on this machine\n`,
    });
  });
});

it.each([
  ['20.20.0', true],
  ['20.20.2', true],
  ['21.0.0', true],
  ['24.1.0', true],
  ['20.19.9', false],
  ['20.2.0', false],
  ['18.99.0', false],
  ['9.9.9', false],
])('takes Node %s for new enough: %s', async (version, expected) => {
  const { engines } = JSON.parse(await readFile(join(REPOSITORY, 'package.json'), 'utf8')) as Package;
  expect(isAtLeast(version, engines.node.replace('>=', ''))).toBe(expected);
});

it('installs what it is built with whatever NODE_ENV says: .npmrc takes the default of `omit` away', async () => {
  expect(await readFile(join(REPOSITORY, '.npmrc'), 'utf8')).toMatch(/^omit=null$/m);
});
