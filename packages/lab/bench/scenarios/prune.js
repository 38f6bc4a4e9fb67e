// Whether requests feel that a million expired rows are being pruned.
import { prune as pruneExpired } from '../../../../dist/domain/sessions/revocations.js';
import { measure } from '../contest.js';
import { median } from '../numbers.js';
import { startGatehouse } from '../servers.js';
import { addRevocations, addSessions, addUsers, openWorld, settle } from '../world.js';
import { prepareTraffic } from './introspect.js';

const RATE_PER_SECOND = 2000;
const CONNECTIONS = 64;
const TOKENS = 1000;

/** Besides the rows that expire, so many live. */
const LIVING = 1_000_000;

export async function prune({ quick, log }) {
  const expired = quick ? 10_000 : 1_000_000;
  const world = await openWorld();
  try {
    log(`prune: ${expired} expired rows among ${quick ? expired : LIVING} living ones`);
    await fillWithExpired(world, expired, quick ? expired : LIVING);
    const server = await startGatehouse(world);
    try {
      return await contest(world, server, { expired, sliceMs: quick ? 250 : 2000, log });
    } finally {
      await server.stop();
    }
  } finally {
    await world.close();
  }
}

/** Half of the rows are sessions and half revocations; what has expired is as old as the table, as it would be. */
async function fillWithExpired(world, expired, living) {
  await addUsers(world, 10_000);
  for (const add of [addSessions, addRevocations]) {
    await add(world, expired / 2, { from: 0, to: 0.5, lifetimeDays: 90 });
    await add(world, living / 2, { from: 0.5, to: 1 });
  }
  await settle(world);
}

/** Load in slices of time, with and without pruning in turns: what else the machine does meanwhile disturbs both alike. */
async function contest(world, server, { expired, sliceMs, log }) {
  const { seen: requests } = await prepareTraffic(world, TOKENS);
  let seed = 1;
  const slice = () =>
    measure(server, {
      connections: CONNECTIONS,
      ratePerSecond: RATE_PER_SECOND,
      seed: seed++,
      durationMs: sliceMs,
      requests,
    });
  await slice();
  const calm = [await slice()];
  const pruning = [];
  const work = { rows: 0, tookMs: 0 };
  for (;;) {
    const stopping = new AbortController();
    const batches = pruneFor(world, stopping.signal, work);
    const measured = await slice();
    stopping.abort();
    // A slice in which the work came to its end is a calm one in part, and counts only when there is no other.
    const isLast = await batches;
    if (!isLast || pruning.length === 0) pruning.push(measured);
    calm.push(await slice());
    if (isLast) break;
  }
  const rowsPerSecond = (work.rows * 1000) / work.tookMs;
  log(`prune: ${work.rows} rows, ${Math.round(rowsPerSecond)} a second`);
  const [during, without] = [summary(pruning), summary(calm)];
  return {
    expired,
    pruned: work.rows,
    left: await countExpired(world),
    rowsPerSecond,
    requestsPerSecond: RATE_PER_SECOND,
    pruning: during,
    calm: without,
    waitsMs: { worst: during.max - without.max, usualWorst: during.usualMax - without.usualMax },
  };
}

/** Prunes until told to stop, and notes in `work` how much and how long; true when nothing is left. */
async function pruneFor({ database }, signal, work) {
  const startedAt = performance.now();
  work.rows += await pruneExpired(database, { waitTurn: true, signal });
  work.tookMs += performance.now() - startedAt;
  return !signal.aborted;
}

async function countExpired({ pool }) {
  const { rows } = await pool.query(
    `SELECT (SELECT count(*) FROM sessions WHERE expires_at <= now() - interval '6 minutes')::int
          + (SELECT count(*) FROM revocations WHERE kept_until <= now())::int AS count`,
  );
  return rows[0].count;
}

/** `max`: the worst of all answers; `usualMax`: the worst of a slice, by its median. */
function summary(slices) {
  return {
    p50: median(slices.map(({ p50 }) => p50)),
    p99: median(slices.map(({ p99 }) => p99)),
    usualMax: median(slices.map(({ max }) => max)),
    max: Math.max(...slices.map(({ max }) => max)),
    errors: slices.reduce((sum, { errors }) => sum + errors, 0),
    slices: slices.length,
  };
}
