// Whether logins and introspections feel that ten million events are being pruned, and whether a statement comes near its deadline.
import { createEventPruning } from '../../../../dist/domain/events/kept.js';
import { measure } from '../contest.js';
import { createLogins, openWorldOfLogins } from '../logins.js';
import { median } from '../numbers.js';
import { startGatehouse } from '../servers.js';
import { addEvents } from '../world.js';
import { prepareTraffic } from './introspect.js';

/** Much less than fits, so that a machine that does other things too does not answer late by itself. */
const INTROSPECTS_PER_SECOND = 500;
const LOGINS_PER_SECOND = 4;
const TOKENS = 1000;

/** As long as the default. */
const RETENTION_DAYS = 90;

/** Besides those that are over, so many stay. */
const LIVING = 1_000_000;

export async function events({ quick, log }) {
  const expired = quick ? 20_000 : 10_000_000;
  const living = quick ? expired : LIVING;
  const world = await openWorldOfLogins(quick ? 1000 : 100_000);
  try {
    log(`events: making ${expired} that are over, and ${living} that are not`);
    await addEvents(world, [
      { count: expired, fromDaysAgo: 2 * RETENTION_DAYS, toDaysAgo: RETENTION_DAYS },
      { count: living, fromDaysAgo: RETENTION_DAYS - 1, toDaysAgo: 0 },
    ]);
    // The housekeeping of the server must leave them to us.
    const server = await startGatehouse(world, { environment: { EVENTS_RETENTION: '3650d' } });
    try {
      return await contest(world, server, { expired, sliceMs: quick ? 250 : 8000, log });
    } finally {
      await server.stop();
    }
  } finally {
    await world.close();
  }
}

/** Load in slices of time, with and without pruning in turns: what else the machine does meanwhile disturbs both alike. */
async function contest(world, server, { expired, sliceMs, log }) {
  const { seen } = await prepareTraffic(world, TOKENS);
  const nextLogins = createLogins();
  let seed = 1;
  const slice = async () => {
    const load = { seed: seed++, durationMs: sliceMs };
    const logins = nextLogins(Math.ceil((3 * LOGINS_PER_SECOND * sliceMs) / 1000));
    const [introspect, login] = await Promise.all([
      measure(server, { ...load, connections: 64, ratePerSecond: INTROSPECTS_PER_SECOND, requests: seen }),
      measure(server, { ...load, connections: 16, ratePerSecond: LOGINS_PER_SECOND, requests: logins }),
    ]);
    return { introspect, login };
  };
  await slice();
  const calm = [await slice()];
  const pruning = [];
  const work = createWork(world);
  for (let isOver = false; !isOver;) {
    const stopping = new AbortController();
    const pruned = work.prune(stopping.signal);
    const measured = await slice();
    stopping.abort();
    isOver = await pruned;
    // A slice in which the work came to its end is a calm one in part, and counts only when there is no other.
    if (!isOver || pruning.length === 0) pruning.push(measured);
    calm.push(await slice());
    log(`events: ${work.figures().rows} pruned, the slowest statement ${Math.round(work.figures().max)} ms`);
  }
  return {
    expired,
    left: await countExpired(world),
    sliceMs,
    perSecond: { introspect: INTROSPECTS_PER_SECOND, login: LOGINS_PER_SECOND },
    statements: work.figures(),
    // A replica that starts now looks from the beginning on: at what VACUUM has not yet taken out of the index.
    firstAfterRestartMs: await timeOf(() => createEventPruning(world.database, RETENTION_DAYS * 86_400)()),
    pruning: summary(pruning),
    calm: summary(calm),
  };
}

/** One replica's pruning, round after round without the pauses between rounds; stops when it is told to. */
function createWork({ database }) {
  const times = [];
  let rows = 0;
  let tookMs = 0;
  const timing =
    (ask) =>
    async (template, ...values) => {
      const startedAt = performance.now();
      const answer = await ask(template, ...values);
      times.push(performance.now() - startedAt);
      return answer;
    };
  const pruneRound = createEventPruning(
    { ...database, query: (columns) => timing(database.query(columns)) },
    RETENTION_DAYS * 86_400,
  );
  return {
    /** True when nothing is left. */
    prune: async (signal) => {
      const startedAt = performance.now();
      let gone = 1;
      while (gone > 0 && !signal.aborted) {
        gone = await pruneRound(signal);
        rows += gone;
      }
      tookMs += performance.now() - startedAt;
      return gone === 0;
    },
    figures: () => {
      const sorted = times.toSorted((a, b) => a - b);
      return {
        rows,
        rowsPerSecond: (rows * 1000) / tookMs,
        p50: median(sorted),
        p99: sorted[Math.floor(sorted.length * 0.99)],
        max: sorted.at(-1),
      };
    },
  };
}

async function timeOf(work) {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

async function countExpired({ pool }) {
  const { rows } = await pool.query(
    `SELECT count(*)::int AS count FROM events
     WHERE id < (lpad(to_hex((extract(epoch FROM now() - make_interval(days => $1)) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid`,
    [RETENTION_DAYS],
  );
  return rows[0].count;
}

function summary(slices) {
  return Object.fromEntries(
    ['introspect', 'login'].map((name) => {
      const figures = slices.map((slice) => slice[name]);
      return [
        name,
        {
          p50: median(figures.map(({ p50 }) => p50)),
          p99: median(figures.map(({ p99 }) => p99)),
          usualMax: median(figures.map(({ max }) => max)),
          max: Math.max(...figures.map(({ max }) => max)),
          errors: figures.reduce((sum, { errors }) => sum + errors, 0),
          slices: figures.length,
        },
      ];
    }),
  );
}
