// @ts-check
// The etcd in which Patroni keeps who leads, and what is read from it.
import { join } from 'node:path';

import { findFreePort } from '../../../shared/ports.js';
import { startDaemon } from './daemon.js';

/**
 * One is enough here: what is on trial is Patroni and Gatehouse, and etcd stays up.
 *
 * @param {{ programs: import('./programs.js').Programs, directory: string, host: string, closers: (() => unknown)[] }} options
 * @returns {Promise<string>} where it listens
 */
export async function startEtcd({ programs, directory, host, closers }) {
  const [port, peerPort] = [await findFreePort(), await findFreePort()];
  const url = `http://${host}:${port}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  const settings = {
    name: 'etcd',
    'data-dir': join(directory, 'etcd'),
    'listen-client-urls': url,
    'advertise-client-urls': url,
    'listen-peer-urls': peer,
    'initial-advertise-peer-urls': peer,
    'initial-cluster': `etcd=${peer}`,
    // Its disk is as busy as this machine.
    'heartbeat-interval': '500',
    'election-timeout': '5000',
  };
  const words = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
  const etcd = await startDaemon({
    name: 'etcd',
    command: [programs.etcd, ...words],
    log: join(directory, 'etcd.log'),
    listens: { host, port },
  });
  closers.push(etcd.kill);
  return `${host}:${port}`;
}

/**
 * @param {string} etcd
 * @param {string} key
 * @returns {Promise<string | null>}
 */
export async function readEtcd(etcd, key) {
  const answer = await fetch(`http://${etcd}/v3/kv/range`, {
    method: 'POST',
    body: JSON.stringify({ key: Buffer.from(key).toString('base64') }),
  });
  const [pair] = /** @type {any} */ (await answer.json()).kvs ?? [];
  return pair === undefined ? null : Buffer.from(pair.value ?? '', 'base64').toString();
}
