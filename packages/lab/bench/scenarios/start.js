// How long it takes from the start of the process to the first 200 of /ready, and how much memory it has taken by then.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { median } from '../numbers.js';
import { usageOf } from '../machine.js';
import { startServer } from '../servers.js';
import { fill, openWorld, SECRET } from '../world.js';

/** How often it is asked whether it is ready: as finely as the time is told. */
const POLL_MS = 10;

/** {empty, external, embeddedFirst, embeddedRestarted}, each {readyMs, slowestMs, residentMb}: medians, and the slowest. */
export async function start({ quick, log }) {
  const times = quick ? 1 : 7;
  const rows = quick ? 10_000 : 100_000;
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-bench-start-'));
  const stops = [() => rm(directory, { recursive: true, force: true })];
  try {
    log(`start: ${times} times each`);
    const empty = await openWorld();
    stops.push(() => empty.close());
    const world = await openWorld();
    stops.push(() => world.close());
    await fill(world, 1000, rows);
    const seen = { empty: [], external: [], embeddedFirst: [], embeddedRestarted: [] };
    for (let time = 0; time < times; time += 1) {
      seen.empty.push(await startOnce(onDatabase(empty.url)));
      seen.external.push(await startOnce(onDatabase(world.url)));
      const environment = { DATA_DIR: join(directory, String(time)) };
      seen.embeddedFirst.push(await startOnce(environment));
      seen.embeddedRestarted.push(await startOnce(environment));
    }
    return {
      times,
      rows,
      ...Object.fromEntries(Object.entries(seen).map(([name, starts]) => [name, summary(starts)])),
    };
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

function onDatabase(url) {
  return { DATABASE_URL: url, AUTH_SECRET: SECRET };
}

/** On all cores, since its PostgreSQL may be among what it starts. */
async function startOnce(environment) {
  const server = await startServer('../../../dist/main.js', { cores: null, environment, pollMs: POLL_MS });
  try {
    const { residentBytes } = await usageOf(server.pids);
    return { readyMs: server.readyAfterMs, residentMb: residentBytes / 2 ** 20 };
  } finally {
    await server.stop();
  }
}

function summary(starts) {
  return {
    readyMs: median(starts.map(({ readyMs }) => readyMs)),
    slowestMs: Math.max(...starts.map(({ readyMs }) => readyMs)),
    residentMb: median(starts.map(({ residentMb }) => residentMb)),
  };
}
