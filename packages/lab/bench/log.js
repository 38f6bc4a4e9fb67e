// What the lines of the log cost: CPU of the service for each request with LOG_LEVEL=info and with warn, in turn.
// Usage: npm run bench:log [-- ROUNDS]. Each figure is the median of the rounds; both services have one database.
import { compare } from './contest.js';
import { createLogins, openWorldOfLogins } from './logins.js';
import { leaveServerCore } from './machine.js';
import { number } from './numbers.js';
import { enterRunDirectory } from './run-directory.js';
import { chainOfRefreshes } from './scenarios/endpoints.js';
import { introspectText } from './scenarios/introspect.js';
import { startGatehouse } from './servers.js';
import { mintTokens, pickSessions } from './world.js';

const LEVELS = ['info', 'warn'];
const SESSIONS = 20_000;
const CONNECTIONS = 8;
const DURATION_MS = 3000;

/** Of a login nearly all is the hash: few are enough to see that, and each takes some 20 ms. */
const LOGINS_PER_ROUND = 200;

const rounds = Number(process.argv[2] ?? 7);

leaveServerCore();
enterRunDirectory();
const stops = [];
try {
  const world = await openWorldOfLogins(SESSIONS);
  stops.push(world.close);
  const servers = [];
  for (const level of LEVELS) {
    const server = await startGatehouse(world, { environment: { LOG_LEVEL: level } });
    stops.push(server.stop);
    servers.push([level, server]);
  }

  const tokens = mintTokens(world, await pickSessions(world, 500), 500);
  const questions = tokens.map((token) => introspectText(world.client.id, world.client.secret, token));
  const makeLogins = createLogins();
  let chains = 0;
  const jobs = {
    '/login': () => ({ requests: makeLogins(LOGINS_PER_ROUND), once: true, durationMs: 60_000 }),
    '/refresh': () => chainOfRefreshes(world, CONNECTIONS, (chains += 1)),
    '/introspect': () => ({ requests: questions }),
  };
  for (const [route, job] of Object.entries(jobs)) {
    const contestants = Object.fromEntries(servers.map(([level, server]) => [level, { server, job }]));
    const { info, warn } = await compare(contestants, {
      rounds,
      durationMs: DURATION_MS,
      connections: route === '/login' ? 1 : CONNECTIONS,
    });
    for (const { errors } of [info, warn])
      if (errors > 0) throw new Error(`${route}: ${errors} requests were not answered 200`);
    const [more, less] = [info.cpuUs, warn.cpuUs];
    process.stdout.write(
      `${route}: ${number(more)} µs at info, ${number(less)} µs at warn, ${number(more - less)} µs more\n`,
    );
  }
} finally {
  for (const stop of stops.reverse()) await stop();
}
// The processes that sent the requests wait for more.
process.exit();
