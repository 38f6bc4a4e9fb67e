// Serves what is in src/, and again after each change: builds what is stale, then starts the service anew.
// Usage: npm run dev. Ctrl-C ends it. What does not compile is said, and the service before goes on.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const WATCHED = ['src', 'prisma'].map((name) => join(root, name));

/** Editors save one file in several steps, and `git switch` many files. */
const SETTLE_MS = 100;

const say = (text) => process.stderr.write(`dev: ${text}\n`);

/** @type {import('node:child_process').ChildProcess | undefined} */
let service;
/** @type {import('node:child_process').ChildProcess | undefined} */
let build;
let hasChanged = true;
let isStopping = false;
let wake = () => undefined;

/** In a group of its own: Ctrl-C reaches this process alone, which passes it on as one SIGTERM. */
function start(...args) {
  return spawn(process.execPath, args, {
    cwd: process.cwd(),
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  });
}

const isRunning = (child) => child !== undefined && child.exitCode === null && child.signalCode === null;

async function stopService() {
  if (!isRunning(service)) return;
  const ended = once(service, 'exit');
  service.kill('SIGTERM');
  await ended;
}

function startService() {
  service = start('--enable-source-maps', join(root, 'dist/main.js'));
  service.on('exit', (status, signal) => {
    if (!isStopping && !hasChanged && status !== 0 && signal !== 'SIGTERM')
      say('the service has ended; it starts again after a change in src');
  });
}

/** Builds what is stale; the build says itself what is wrong. */
async function isBuilt() {
  build = start(join(root, 'scripts/build.js'));
  const [status] = await once(build, 'exit');
  return status === 0;
}

for (const folder of WATCHED) {
  watch(folder, { recursive: true }, (_, name) => {
    // The build writes the client of Prisma into src.
    if (name?.replaceAll('\\', '/').startsWith('database/generated') === true) return;
    hasChanged = true;
    wake();
  });
}
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    if (isStopping) service?.kill('SIGTERM');
    isStopping = true;
    build?.kill();
    wake();
  });
}

while (!isStopping) {
  if (!hasChanged) {
    await new Promise((resolve) => (wake = resolve));
    continue;
  }
  await sleep(SETTLE_MS);
  hasChanged = false;
  if (!(await isBuilt())) {
    if (!isStopping) say(`not built${isRunning(service) ? ': the service before goes on' : ''}`);
    continue;
  }
  if (hasChanged || isStopping) continue;
  await stopService();
  if (!isStopping) startService();
}
await stopService();
process.exit(0);
