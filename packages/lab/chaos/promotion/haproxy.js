// @ts-check
// HAProxy in front of PostgreSQL: its health check asks each server whether it is the primary.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { findFreePort } from '../../shared/ports.js';
import { isRunnable } from './binaries.js';
import { listRunning, tellHaproxy } from './haproxy-socket.js';

const CANDIDATES = ['/usr/sbin/haproxy', '/usr/local/sbin/haproxy'];
const POLL_MS = 20;
const CHECK_MS = 1000;
const TURNS_WITHIN_MS = 15_000;

/** @returns {Promise<string | null>} */
export async function findHaproxy() {
  for (const path of CANDIDATES) if (await isRunnable(path)) return path;
  return null;
}

/**
 * @param {object} options
 * @param {string} options.program
 * @param {string} options.directory
 * @param {import('./node.js').Node[]} options.nodes
 * @returns {Promise<import('./switch.js').Front>}
 */
export async function openHaproxy({ program, directory, nodes }) {
  const port = await findFreePort();
  const socket = join(directory, 'haproxy.sock');
  const file = join(directory, 'haproxy.cfg');
  await writeFile(file, configure({ port, socket, nodes }));
  const child = spawn(program, ['-db', '-q', '-f', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (said = (said + text).slice(-4000)));
  const exited = once(child, 'exit');

  /** @param {string} command */
  async function tell(command) {
    if (child.exitCode !== null) throw new Error(`HAProxy ended: ${said}`);
    return await tellHaproxy(socket, command);
  }

  /** Only this one takes connections. @param {import('./node.js').Node} node */
  async function untilAlone(node) {
    const giveUpAt = performance.now() + TURNS_WITHIN_MS;
    for (;;) {
      const state = await tell('show servers state primary').catch(() => '');
      const running = listRunning(state);
      if (running.length === 1 && running[0] === node.name) return;
      if (performance.now() > giveUpAt)
        throw new Error(`HAProxy does not lead to ${node.name}: ${state}${said}`);
      await sleep(POLL_MS);
    }
  }

  /** It has its configuration, and a socket to be told more. */
  async function untilListening() {
    const giveUpAt = performance.now() + TURNS_WITHIN_MS;
    while (!(await tell('show info').catch(() => '')).includes('Version')) {
      if (child.exitCode !== null || performance.now() > giveUpAt)
        throw new Error(`HAProxy did not start: ${said}`);
      await sleep(POLL_MS);
    }
  }

  await untilListening();
  return {
    name: 'HAProxy',
    port,
    follow: async (primary) => {
      for (const { name } of nodes)
        await tell(`set server primary/${name} state ready; enable health primary/${name}`);
      await untilAlone(primary);
    },
    misdirect: async (standby) => {
      for (const { name } of nodes) await tell(`disable health primary/${name}`);
      // A check that was under way would have the last word.
      await sleep(CHECK_MS);
      for (const { name } of nodes) {
        await tell(
          name === standby.name
            ? `set server primary/${name} health up`
            : `set server primary/${name} state maint; shutdown sessions server primary/${name}`,
        );
      }
      await untilAlone(standby);
    },
    close: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** @param {{ port: number, socket: string, nodes: import('./node.js').Node[] }} options */
function configure({ port, socket, nodes }) {
  return `global
  stats socket unix@${socket} mode 600 level admin
defaults
  mode tcp
  # A connection that fails is to fail at once: the service asks again by itself.
  retries 0
  timeout connect 1s
  timeout check ${CHECK_MS}ms
  timeout client 1h
  timeout server 1h
listen primary
  bind 127.0.0.1:${port}
  option tcp-check
  tcp-check connect
  tcp-check send-binary ${startUp('watcher', 'postgres')}
  # ReadyForQuery
  tcp-check expect binary 5a0000000549
  tcp-check send-binary ${simpleQuery('SELECT pg_is_in_recovery()')}
  # DataRow with one column, "f"
  tcp-check expect binary 440000000b00010000000166
  default-server check inter 200ms fall 1 rise 1 on-marked-down shutdown-sessions
${nodes.map(({ name, port: nodePort }) => `  server ${name} 127.0.0.1:${nodePort}`).join('\n')}
`;
}

/**
 * @param {string} user
 * @param {string} database
 * @returns {string} hexadecimal, as `tcp-check` takes it
 */
function startUp(user, database) {
  const body = Buffer.concat([
    Buffer.from([0, 3, 0, 0]),
    Buffer.from(`user\0${user}\0database\0${database}\0\0`),
  ]);
  return Buffer.concat([length(body), body]).toString('hex');
}

/** @param {string} text */
function simpleQuery(text) {
  const body = Buffer.from(`${text}\0`);
  return Buffer.concat([Buffer.from('Q'), length(body), body]).toString('hex');
}

/** It counts its own four bytes. @param {Buffer} body */
function length(body) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(body.length + 4);
  return bytes;
}
