// One process against two: what an introspection costs all of them together, and how many more there are.
import { compare } from '../contest.js';
import { createStarter, startGatehouse } from '../servers.js';
import { fill, openWorld } from '../world.js';
import { prepareTraffic } from './introspect.js';

const CONNECTIONS = 64;

/** Few enough for every process to have seen all of them before it counts. */
const TOKENS = 2000;

/** {one, two, ratio: {requestsPerSecond, cpuUs}}: the servers use all cores, which they share with the load and PostgreSQL. */
export async function workers({ quick, log }) {
  const rows = quick ? 10_000 : 100_000;
  const world = await openWorld();
  const stops = [() => world.close()];
  const start = createStarter(stops);
  const startWith = (count) =>
    start(startGatehouse(world, { cores: null, environment: { WORKERS: String(count) } }));
  try {
    log('workers: one process and two');
    await fill(world, 10_000, rows);
    const { seen } = await prepareTraffic(world, TOKENS);
    const job = () => ({ requests: seen });
    const { one, two } = await compare(
      { one: { server: await startWith(1), job }, two: { server: await startWith(2), job } },
      { rounds: quick ? 1 : 5, durationMs: quick ? 250 : 4000, connections: CONNECTIONS },
    );
    const ratio = {
      requestsPerSecond: two.requestsPerSecond / one.requestsPerSecond,
      cpuUs: two.cpuUs / one.cpuUs,
    };
    return { rows, connections: CONNECTIONS, one, two, ratio };
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}
