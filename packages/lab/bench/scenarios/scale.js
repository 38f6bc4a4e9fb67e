// Whether introspection notices how many sessions and revocations there are.
//
// The largest world takes about five minutes and 5 GB of disk (below the system's temporary directory) while it is open.
import { compare } from '../contest.js';
import { startGatehouse } from '../servers.js';
import { fill, openWorld } from '../world.js';
import { prepareTraffic } from './introspect.js';

const CONNECTIONS = 64;

/** As many distinct tokens for every world: what differs is what they are looked up among. */
const TOKENS = 1000;

const USERS = 100_000;

/** {at: [{rows, ratio: {requestsPerSecond, p99}, …figures}]}; ratios are to the smallest world of the same run. */
export async function scale({ quick, log }) {
  const sizes = quick ? [1000, 20_000] : [1_000, 100_000, 1_000_000, 10_000_000];
  const opened = [];
  try {
    for (const rows of sizes) opened.push(await openContestant(rows, log));
    const contestants = Object.fromEntries(
      opened.map(({ rows, server, requests }) => [rows, { server, job: () => ({ requests }) }]),
    );
    const figures = await compare(contestants, {
      rounds: quick ? 1 : 9,
      durationMs: quick ? 250 : 3000,
      connections: CONNECTIONS,
    });
    return { at: sizes.map((rows) => compareWith(figures[sizes[0]], rows, figures[rows])) };
  } finally {
    for (const { close } of opened) await close();
  }
}

async function openContestant(rows, log) {
  const startedAt = performance.now();
  const world = await openWorld();
  try {
    await fill(world, Math.min(rows, USERS), rows);
    const { seen: requests } = await prepareTraffic(world, TOKENS);
    const server = await startGatehouse(world);
    log(
      `scale: ${rows} sessions and revocations after ${Math.round((performance.now() - startedAt) / 1000)} s`,
    );
    return {
      rows,
      server,
      requests,
      close: async () => {
        await server.stop();
        await world.close();
      },
    };
  } catch (error) {
    await world.close();
    throw error;
  }
}

function compareWith(smallest, rows, figures) {
  return {
    rows,
    ...figures,
    ratio: {
      requestsPerSecond: figures.requestsPerSecond / smallest.requestsPerSecond,
      p99: figures.p99 / smallest.p99,
    },
  };
}
