// Logins against hashing alone: what the service adds to a hash.
import { compare } from '../contest.js';
import { createLogins, openWorldOfLogins, startArgon2, VERIFY } from '../logins.js';
import { startGatehouse } from '../servers.js';

/** More than hash at once, and fewer than the service lets in. */
const CONNECTIONS = 8;

/** More logins than any machine hashes in a second; none is sent twice. */
const MOST_PER_SECOND = 500;

export async function login({ quick, log }) {
  const world = await openWorldOfLogins(quick ? 5000 : 100_000);
  const stops = [() => world.close()];
  try {
    const gatehouse = await startGatehouse(world, { cores: null });
    stops.push(() => gatehouse.stop());
    const argon2 = await startArgon2(world, { cores: null });
    stops.push(() => argon2.stop());
    const durationMs = quick ? 500 : 5000;
    const nextLogins = createLogins();
    const figures = await compare(
      {
        argon2: { server: argon2, job: () => ({ requests: [VERIFY] }) },
        login: {
          server: gatehouse,
          job: () => ({ requests: nextLogins((MOST_PER_SECOND * durationMs) / 1000), once: true }),
        },
      },
      { rounds: quick ? 1 : 5, durationMs, connections: CONNECTIONS },
    );
    const result = {
      ...figures,
      rateRatio: figures.login.requestsPerSecond / figures.argon2.requestsPerSecond,
      cpuRatio: figures.login.cpuUs / figures.argon2.cpuUs,
    };
    log(JSON.stringify(result));
    return result;
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}
