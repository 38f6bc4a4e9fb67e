// A build without what it needs says in one line what to do, and starts nothing.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { isAtLeast } from '../../scripts/installed.js';
import { createClone, readPackage, type Clone } from '../support/clone.js';

let clone: Clone;

beforeEach(async () => {
  clone = await createClone();
});
afterEach(() => clone.remove());

/** Passes for what the build would make, made just now. */
async function passForBuilt(): Promise<void> {
  for (const name of [
    'src/database/generated/client.ts',
    ...['protocol', 'local-postgres', 'service', 'resource-server', 'backend', 'browser', 'account-page'].map(
      (what) => `dist/.${what}`,
    ),
  ]) {
    await clone.write(name, '');
  }
}

describe.each(['scripts/build.js', 'bin/gatehouse.js'])('%s', (script) => {
  it('asks for `npm ci` where nothing is installed', async () => {
    const count = Object.keys(clone.described.dependencies).length;
    expect(await clone.run(script)).toEqual({
      code: 1,
      stdout: '',
      stderr: `Packages are missing, @fastify/cors and ${count - 1} more: run \`npm ci\` first\n`,
    });
  });

  it('asks for the compiler where only that is missing', async () => {
    await clone.install(...Object.keys(clone.described.dependencies));
    expect(await clone.run(script)).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'Gatehouse is not built, and typescript, which the build needs, is not installed: run `npm ci --include=dev`, then the same again\n',
    });
  });

  it('asks for a newer Node', async () => {
    await clone.write('package.json', JSON.stringify({ ...clone.described, engines: { node: '>=99.1' } }));
    expect(await clone.run(script)).toEqual({
      code: 1,
      stdout: '',
      stderr: `Gatehouse needs Node 99.1 or newer, and this is ${process.versions.node}: install a newer one\n`,
    });
  });
});

describe('the build', () => {
  it('names the one package that is missing', async () => {
    await clone.install(...Object.keys(clone.described.dependencies).filter((name) => name !== 'pg'));
    expect((await clone.run('scripts/build.js')).stderr).toBe(
      'Packages are missing, pg: run `npm ci` first\n',
    );
  });

  it('does not take away what was built when it cannot build anew', async () => {
    await clone.install(...Object.keys(clone.described.dependencies));
    await passForBuilt();
    expect((await clone.run('scripts/build.js', '--all')).stderr).toMatch(
      /^Gatehouse is not built, and typescript/,
    );
    expect(await readFile(join(clone.root, 'dist/.service'), 'utf8')).toBe('');
  });

  it('asks for the native part of a package, of another machine or left out', async () => {
    await clone.install(...Object.keys(clone.described.dependencies));
    await passForBuilt();
    expect(await clone.run('scripts/build.js')).toEqual({
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
  const { engines } = await readPackage();
  expect(isAtLeast(version, engines.node.replace('>=', ''))).toBe(expected);
});

it('installs what it is built with whatever NODE_ENV says: .npmrc takes the default of `omit` away', async () => {
  expect(await readFile('.npmrc', 'utf8')).toMatch(/^omit=null$/m);
});
