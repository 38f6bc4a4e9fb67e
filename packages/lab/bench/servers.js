// Starts the servers that are compared, each as a process of its own, and waits until it answers.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { findFreePort } from '../shared/ports.js';
import { childrenOf, findPostmaster, onCores, SERVER_CORE } from './machine.js';
import { SECRET } from './world.js';

/** For a machine that is busy with other things, too. */
const START_MS = 60_000;

/** Awaits servers that are being started, and notes in `stops` how each is stopped. */
export function createStarter(stops) {
  return async (starting) => {
    const server = await starting;
    stops.push(() => server.stop());
    return server;
  };
}

/**
 * @param options.cores where it may run, as taskset writes it; null for everywhere
 * @param options.environment besides what makes it start
 * @param options.nodeOptions such as `--cpu-prof`
 * @param options.pollMs how often it is asked whether it is ready
 * @returns {Promise<{port: number, pids: number[], readyAfterMs: number, stop: () => Promise<void>}>} `pids`: all of its processes, workers included
 */
export async function startServer(
  file,
  { cores = String(SERVER_CORE), environment = {}, nodeOptions = [], pollMs = 50 } = {},
) {
  const port = await findFreePort();
  const [program, ...rest] = onCores(cores, [
    process.execPath,
    ...nodeOptions,
    fileURLToPath(new URL(file, import.meta.url)),
  ]);
  const spawnedAt = performance.now();
  const child = spawn(program, rest, {
    env: { PATH: process.env.PATH, NODE_ENV: 'production', PORT: String(port), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = [];
  child.stdout.on('data', (bytes) => output.push(bytes));
  child.stderr.on('data', (bytes) => output.push(bytes));
  const exited = once(child, 'exit');
  await untilAnswering(port, child, output, pollMs);
  const readyAfterMs = performance.now() - spawnedAt;
  return {
    port,
    pids: [child.pid, ...(await workersOf(child, Number(environment.WORKERS ?? 1)))],
    readyAfterMs,
    stop: async () => {
      child.kill('SIGINT');
      await exited;
    },
  };
}

/** The service itself, as its users start it; it also names the first process of its PostgreSQL. */
export async function startGatehouse(
  world,
  { environment = {}, main = '../../../dist/main.js', ...options } = {},
) {
  const server = await startServer(main, {
    ...options,
    environment: {
      DATABASE_URL: world.url,
      AUTH_SECRET: SECRET,
      ISSUER: world.rules.issuer,
      // Every request tells an address of its own, so that limits per network do not answer in the place of the service.
      TRUST_PROXY: '127.0.0.1',
      LOG_LEVEL: 'info',
      ...environment,
    },
  });
  return { ...server, postgresPid: await findPostmaster(world.pool) };
}

/** The first worker that is ready answers for all of them: waits until there are as many as there should be. */
async function workersOf(child, count) {
  if (count === 1) return [];
  const giveUpAt = performance.now() + START_MS;
  for (;;) {
    const workers = await childrenOf(child.pid);
    if (workers.length === count) return workers;
    if (performance.now() > giveUpAt) throw new Error(`${workers.length} of ${count} workers started`);
    await sleep(50);
  }
}

async function untilAnswering(port, child, output, pollMs) {
  const giveUpAt = performance.now() + START_MS;
  for (;;) {
    if (child.exitCode !== null || performance.now() > giveUpAt)
      throw new Error(`a server did not start:\n${Buffer.concat(output).toString()}`);
    const answer = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer !== undefined && answer.status !== 503) return;
    await sleep(pollMs);
  }
}
