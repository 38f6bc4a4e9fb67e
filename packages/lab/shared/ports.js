// @ts-check
// Ports on loopback for what is killed and started again: they must still be free the next time.
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below those of the embedded PostgreSQL, and below those that systems give to outgoing connections. */
const [FIRST, LAST] = [12_000, 20_000];

const ATTEMPTS = 50;

/** @returns {Promise<number>} */
export async function findFreePort() {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(FIRST, LAST);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port between ${FIRST} and ${LAST}`);
}

/** @param {number} port */
async function isFree(port) {
  const server = createServer();
  try {
    const listening = once(server, 'listening');
    server.listen(port, '127.0.0.1');
    await listening;
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
