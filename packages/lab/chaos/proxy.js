// @ts-check
// Stands between one replica and PostgreSQL, and does to their connections what networks do.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

import { createLane } from './lane.js';
import { createConversation } from './messages.js';

/** @typedef {import('./messages.js').Direction} Direction */
/** @typedef {Awaited<ReturnType<typeof createProxy>>} Proxy */
/** @typedef {{ lanes: Record<Direction, import('./lane.js').Lane>, cut: () => void }} Connection */

/** @type {readonly Direction[]} */
const BOTH = ['up', 'down'];

/**
 * @param {{ host?: string, port: number }} target
 */
export async function createProxy({ host = '127.0.0.1', port }) {
  /** @type {import('./lane.js').Weather} */
  const weather = { delays: { up: null, down: null }, holes: { up: false, down: false }, hook: null };
  /** @type {Set<Connection>} */
  const connections = new Set();
  let count = 0;

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = connect({ host, port, allowHalfOpen: true, noDelay: true });
    const connection = join(near, far, count++, weather);
    connections.add(connection);
    let open = 2;
    for (const socket of [near, far])
      socket.once('close', () => --open === 0 && connections.delete(connection));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  function resume() {
    for (const { lanes } of connections) for (const direction of BOTH) lanes[direction].resume();
  }

  return {
    port: /** @type {import('node:net').AddressInfo} */ (server.address()).port,
    /**
     * From now on every piece takes so much longer; the order stays.
     *
     * @param {Direction} direction
     * @param {number | (() => number)} ms
     */
    delay: (direction, ms) => {
      weather.delays[direction] = typeof ms === 'number' ? () => ms : ms;
    },
    /** Breaks all connections as a reset does; new ones are welcome. */
    cut: () => {
      for (const { cut } of connections) cut();
    },
    /**
     * Everything is taken, new connections too, and nothing passed on, the ends of connections neither.
     *
     * @param {Direction=} direction both unless given
     */
    blackHole: (direction) => {
      for (const each of direction === undefined ? BOTH : [direction]) weather.holes[each] = true;
    },
    /**
     * All connections of this moment end in this direction alone.
     *
     * @param {Direction} direction
     */
    halfClose: (direction) => {
      for (const { lanes } of connections) lanes[direction].finish();
    },
    /** Passes everything on again, what was held back first. The hook stays. */
    heal: () => {
      for (const direction of BOTH) {
        weather.delays[direction] = null;
        weather.holes[direction] = false;
      }
      resume();
    },
    /** @param {import('./lane.js').Hook | null} hook is asked about each message before it is passed on */
    onMessage: (hook) => {
      weather.hook = hook;
    },
    connections: () => connections.size,
    close: async () => {
      for (const { cut } of connections) cut();
      server.close();
      await once(server, 'close');
    },
  };
}

/**
 * @param {import('node:net').Socket} near
 * @param {import('node:net').Socket} far
 * @param {number} connection
 * @param {import('./lane.js').Weather} weather
 * @returns {Connection}
 */
function join(near, far, connection, weather) {
  const conversation = createConversation();
  function cut() {
    near.resetAndDestroy();
    far.resetAndDestroy();
  }
  // Broken connections are this program's business; each side hears of it by the end of the other.
  near.on('error', () => undefined);
  far.on('error', () => undefined);
  // Where PostgreSQL is not there to refuse a connection, a reset comes nearest.
  let isReached = false;
  far.once('connect', () => (isReached = true));
  far.once('close', () => isReached || near.resetAndDestroy());
  const shared = { connection, conversation, weather, cut };
  return {
    cut,
    lanes: {
      up: createLane({ ...shared, direction: 'up', from: near, to: far }),
      down: createLane({ ...shared, direction: 'down', from: far, to: near }),
    },
  };
}
