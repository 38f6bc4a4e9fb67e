// @ts-check
// A switch of our own in front of PostgreSQL, where there is no HAProxy: it leads where it is told, right or wrong.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/**
 * @typedef {object} Front what the service takes for its PostgreSQL
 * @property {string} name
 * @property {number} port
 * @property {(primary: import('./node.js').Node) => Promise<void>} follow leads to the primary; resolves once it does
 * @property {(standby: import('./node.js').Node) => Promise<void>} misdirect leads to a standby, and cuts what led elsewhere
 * @property {() => Promise<void>} close
 */

/** @returns {Promise<Front>} */
export async function openSwitch() {
  let target = 0;
  /** @type {Set<import('node:net').Socket>} */
  const sockets = new Set();
  const server = createServer((client) => {
    const upstream = connect({ host: '127.0.0.1', port: target, noDelay: true });
    client.setNoDelay(true);
    join(client, upstream);
    join(upstream, client);
    client.pipe(upstream).pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  /**
   * What ends or breaks one side ends the other.
   *
   * @param {import('node:net').Socket} one
   * @param {import('node:net').Socket} other
   */
  function join(one, other) {
    sockets.add(one);
    one.on('error', () => undefined);
    one.on('close', () => {
      sockets.delete(one);
      other.destroy();
    });
  }

  /** @param {import('./node.js').Node} node */
  async function pointTo(node) {
    target = node.port;
    for (const socket of sockets) socket.destroy();
  }

  return {
    name: 'a switch of our own',
    port: /** @type {import('node:net').AddressInfo} */ (server.address()).port,
    follow: pointTo,
    misdirect: pointTo,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
