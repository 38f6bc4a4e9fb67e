// @ts-check
// Three PostgreSQL under Patroni, one etcd, HAProxy before them, and PgBouncer before that for one of two replicas.
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { findFreePort } from '../../../shared/ports.js';
import { listRunning, tellHaproxy } from '../haproxy-socket.js';
import { findAccount } from './account.js';
import { configureHaproxy, configurePgBouncer, SCOPE } from './configuration.js';
import { startDaemon } from './daemon.js';
import { readEtcd, startEtcd } from './etcd.js';
import { openLoopback, openNamespaces } from './network.js';
import { createServer } from './server.js';

const NAMES = ['a', 'b', 'c'];
const POLL_MS = 100;
const WHOLE_WITHIN_MS = 300_000;
const LED_WITHIN_MS = 120_000;

/** @typedef {Awaited<ReturnType<typeof openCluster>>} Cluster */

/**
 * @param {object} options
 * @param {import('./programs.js').Programs} options.programs
 * @param {string} options.directory
 * @param {boolean} options.canBeCut
 * @param {(line: string) => void} options.log
 * @param {(() => unknown)[]} options.closers where it is noted how what was started is stopped
 */
export async function openCluster({ programs, directory, canBeCut, log, closers }) {
  const network = canBeCut ? await openNamespaces(NAMES, closers) : await openLoopback(NAMES);
  const password = randomBytes(16).toString('hex');
  const account = await findAccount(programs.postgres, directory);
  const etcd = await startEtcd({ programs, directory, host: network.here.members, closers });
  /** @type {import('./server.js').Server[]} */
  const servers = [];
  for (const site of network.sites)
    servers.push(await createServer({ programs, site, etcd, account, directory, password }));
  closers.push(() => Promise.all(servers.map((server) => server.kill())));

  /** Who has the lease, by etcd's word: members that are cut off know no better than they did. */
  async function leaderName() {
    return await readEtcd(etcd, `/service/${SCOPE}/leader`);
  }

  /** @param {string | null} name */
  const find = (name) => servers.find((server) => server.name === name) ?? null;

  /**
   * Waits until a server has the lease and says that it is a primary.
   *
   * @param {import('./server.js').Server=} other not this one
   */
  async function untilLed(other) {
    const giveUpAt = performance.now() + LED_WITHIN_MS;
    for (;;) {
      const leader = find(await leaderName());
      if (leader !== null && leader !== other && (await leader.isPrimary()) === true) return leader;
      if (performance.now() > giveUpAt) throw new Error(`nobody leads after ${LED_WITHIN_MS / 1000} s`);
      await sleep(POLL_MS);
    }
  }

  /** Waits until both standbys follow and one of them is synchronous, for PostgreSQL and for Patroni. */
  async function untilWhole() {
    const giveUpAt = performance.now() + WHOLE_WITHIN_MS;
    for (;;) {
      const leader = await untilLed();
      const rows = await leader
        .query(
          `SELECT application_name AS name, sync_state FROM pg_stat_replication WHERE state = 'streaming'`,
        )
        .catch(() => []);
      const synchronous = rows.find(({ sync_state: state }) => state === 'sync')?.name;
      const sync = JSON.parse((await readEtcd(etcd, `/service/${SCOPE}/sync`)) ?? '{}');
      const isWhole =
        rows.length === servers.length - 1 &&
        synchronous !== undefined &&
        sync.leader === leader.name &&
        sync.sync_standby === synchronous;
      if (isWhole) return leader;
      if (performance.now() > giveUpAt)
        throw new Error(
          `after ${WHOLE_WITHIN_MS / 1000} s the standbys of ${leader.name} are ${JSON.stringify(rows)}, and Patroni's ${JSON.stringify(sync)}`,
        );
      await sleep(POLL_MS);
    }
  }

  for (const server of servers) {
    await server.start();
    await untilLed();
    log(`Patroni ${server.name} runs`);
  }
  const first = await untilWhole();
  await first.query(`CREATE ROLE owner LOGIN PASSWORD '${password}'`);
  await first.query('CREATE DATABASE gatehouse OWNER owner');
  const { sites, here } = network;
  const front = await startHaproxy({
    programs,
    directory,
    host: here.users,
    sites,
    leader: first.name,
    closers,
  });
  const bouncer = await startPgBouncer({ programs, account, directory, password, database: front, closers });
  /** @param {{ host: string, port: number }} way */
  const urlBy = ({ host, port }) => `postgresql://owner:${password}@${host}:${port}/gatehouse`;
  return {
    servers,
    network,
    urls: /** @type {[string, string]} */ ([urlBy(front), urlBy(bouncer)]),
    leader: () => untilLed(),
    untilLed,
    untilWhole,
  };
}

/**
 * @param {{ programs: import('./programs.js').Programs, directory: string, host: string, sites: import('./network.js').Site[],
 *   leader: string, closers: (() => unknown)[] }} options
 */
async function startHaproxy({ programs, directory, host, sites, leader, closers }) {
  const front = { host, port: await findFreePort() };
  const file = join(directory, 'haproxy.cfg');
  const socket = join(directory, 'haproxy.sock');
  await writeFile(file, configureHaproxy({ bind: `${host}:${front.port}`, socket, places: sites }));
  const haproxy = await startDaemon({
    name: 'HAProxy',
    command: [programs.haproxy, '-db', '-f', file],
    log: join(directory, 'haproxy.log'),
    listens: front,
  });
  closers.push(haproxy.kill);
  // It takes each server for up until its first check.
  const giveUpAt = performance.now() + LED_WITHIN_MS;
  while (String(listRunning(await tellHaproxy(socket, 'show servers state primary'))) !== leader) {
    if (performance.now() > giveUpAt) throw new Error(`HAProxy does not lead to ${leader}`);
    await sleep(POLL_MS);
  }
  return front;
}

/**
 * @param {{ programs: import('./programs.js').Programs, account: import('./account.js').Account, directory: string, password: string,
 *   database: { host: string, port: number }, closers: (() => unknown)[] }} options
 */
async function startPgBouncer({ programs, account, directory, password, database, closers }) {
  const way = { host: '127.0.0.1', port: await findFreePort() };
  const home = join(directory, 'pgbouncer');
  await mkdir(home);
  const usersFile = join(home, 'users.txt');
  const file = join(home, 'pgbouncer.ini');
  await writeFile(usersFile, `"owner" "${password}"\n`, { mode: 0o600 });
  await writeFile(file, configurePgBouncer({ port: way.port, database, usersFile }));
  for (const path of [home, usersFile, file]) await account.own(path);
  const bouncer = await startDaemon({
    name: 'PgBouncer',
    command: [...account.prefix, programs.pgbouncer, '-q', file],
    log: join(directory, 'pgbouncer.log'),
    listens: way,
  });
  closers.push(bouncer.kill);
  return way;
}
