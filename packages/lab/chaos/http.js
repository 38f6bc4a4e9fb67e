// @ts-check
// Sends one request over a kept connection, and tells what came back and when.
import { Agent, request } from 'node:http';

import { createStandstill } from './standstill.js';

/** Every answer comes within 2.5 s: whoever waits this long is not going to get one. */
const PATIENCE_MS = 9000;

/** The contract allows 2.5 s. The rest is for the cores that we, replicas and PostgreSQL wait for, up to seconds on a busy machine. */
const LATE_MS = 6000;

/**
 * @typedef {object} Answer
 * @property {number | null} status null where none came
 * @property {import('node:http').IncomingHttpHeaders} headers
 * @property {string} body
 * @property {boolean} isBroken whether the connection broke, and not at our hand
 * @property {number} start
 * @property {number} end
 */

/**
 * @typedef {object} Ask
 * @property {number} port
 * @property {string} method
 * @property {string} path
 * @property {Record<string, string>} headers
 * @property {string=} body
 * @property {number=} dropAfterMs goes away so long after the request was written, if nothing has come by then
 */

/** @typedef {ReturnType<typeof createHttp>} Http */

/** @param {() => number} now the clock that all times are by, in milliseconds */
export function createHttp(now) {
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 256, scheduling: 'fifo' });
  const counts = { late: 0, silent: 0 };
  const standstill = createStandstill(now);

  /**
   * @param {Ask} ask
   * @returns {Promise<Answer>}
   */
  function send({ port, method, path, headers, body = '', dropAfterMs }) {
    return new Promise((resolve) => {
      const start = now();
      const stoodMs = standstill.totalMs();
      /** What this process stood still itself is taken off. */
      const waitedMs = () => now() - start - (standstill.totalMs() - stoodMs);
      let isSettled = false;
      /** @type {NodeJS.Timeout | undefined} */
      let dropping;

      /** @param {Partial<Answer>} came */
      const settle = (came) => {
        if (isSettled) return;
        isSettled = true;
        clearTimeout(patience);
        clearTimeout(dropping);
        if (came.status !== undefined && waitedMs() > LATE_MS) counts.late += 1;
        resolve({ status: null, headers: {}, body: '', isBroken: false, start, end: now(), ...came });
      };

      const giveUp = () => {
        const leftMs = PATIENCE_MS - waitedMs();
        if (leftMs > 0) {
          patience = setTimeout(giveUp, leftMs);
          return;
        }
        counts.silent += 1;
        settle({});
        outgoing.destroy();
      };

      const outgoing = request({ agent, host: '127.0.0.1', port, method, path, headers }, (incoming) => {
        incoming.setEncoding('utf8');
        let text = '';
        incoming.on('data', (chunk) => (text += chunk));
        incoming.on('end', () =>
          settle({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: text }),
        );
        // A status without the rest of its answer tells nothing.
        incoming.on('error', () => settle({ isBroken: true }));
      });
      let patience = setTimeout(giveUp, PATIENCE_MS);
      outgoing.on('error', () => settle({ isBroken: true }));
      outgoing.end(body, () => {
        if (dropAfterMs === undefined || isSettled) return;
        dropping = setTimeout(() => {
          settle({});
          outgoing.destroy();
        }, dropAfterMs);
      });
    });
  }

  return {
    send,
    counts,
    close: () => {
      standstill.close();
      agent.destroy();
    },
  };
}
