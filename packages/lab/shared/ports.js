// @ts-check
// Ports on loopback for what is killed and started again: they must still be free the next time.
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below those of the embedded PostgreSQL, and below those that systems give to outgoing connections. */
const [FIRST, LAST] = [12_000, 20_000];

const ATTEMPTS = 50;

/** @returns {Promise<number>} that no other caller gets while this process lives, also in other processes */
export async function findFreePort() {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(FIRST, LAST);
    if ((await reserve(port)) && (await isFree(port))) return port;
  }
  throw new Error(`no free port between ${FIRST} and ${LAST}`);
}

/** The UDP port of the same number says that it is taken: what listens on the TCP port starts later. @param {number} port */
async function reserve(port) {
  const socket = createSocket('udp4').unref();
  try {
    const listening = once(socket, 'listening');
    socket.bind({ port, address: '127.0.0.1', exclusive: true });
    await listening;
    return true;
  } catch {
    socket.close();
    return false;
  }
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
