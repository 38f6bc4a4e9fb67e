// @ts-check
// The rules of .oxlintrc.json with the types of everything, and Prettier, side by side.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';

const { resolve } = createRequire(import.meta.url);

/** @type {[name: string, program: string, ...args: string[]][]} */
const CHECKS = [
  ['oxlint', 'bin/oxlint'],
  ['prettier', 'bin/prettier.cjs', '--check', '.'],
];

/** What one of them says comes in one piece. @param {typeof CHECKS[number]} check @returns {Promise<boolean>} */
async function run([name, program, ...args]) {
  const file = join(dirname(resolve(`${name}/package.json`)), program);
  const colours = process.stdout.isTTY ? { FORCE_COLOR: '1' } : {};
  const child = spawn(process.execPath, [file, ...args], {
    env: { ...process.env, ...colours },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  process.stdout.write(`${name}: ${status === 0 ? 'good' : `failed (${status})`}\n${stdout}${stderr}`);
  return status === 0;
}

const results = await Promise.all(CHECKS.map(run));
if (results.includes(false)) process.exitCode = 1;
