#!/usr/bin/env node
// Starts the command line; in a checkout it first builds what is stale, as `npm start` does.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** A path inside this package; a link to this file, as in the container image, leads here too. */
function inPackage(path) {
  return fileURLToPath(new URL(`../${path}`, import.meta.url));
}

/** Whether a package that we need is installed. */
function has(name) {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** Sources, and a compiler: without either there is nothing to build, only to run. What cannot run is told so by the build. */
function isToBeBuilt() {
  if (!existsSync(inPackage('src'))) return false;
  return has('typescript') || !has('commander') || !existsSync(inPackage('dist/cli/gatehouse.js'));
}

/** Standard input stays untouched, for `--password-stdin`, and so does standard output, for `--json`: steps go to standard error. */
function build() {
  const { status, stdout, error } = spawnSync(process.execPath, [inPackage('scripts/build.js')], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  if (status === 0) return;
  process.stderr.write(`${stdout ?? ''}${error ? `${error.message}\n` : ''}`);
  process.exit(1);
}

process.setSourceMapsEnabled(true);
if (isToBeBuilt()) build();
await import('../dist/cli/gatehouse.js');
