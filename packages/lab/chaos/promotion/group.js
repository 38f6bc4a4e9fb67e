// @ts-check
// A primary and its synchronous standbys: who is who, and how the next one takes over.
import { randomBytes } from 'node:crypto';
import { chown, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findLauncher } from '@gatehouse/local-postgres';

import { findFreePort } from '../../shared/ports.js';
import { createNode } from './node.js';

const POLL_MS = 20;
const IN_STEP_WITHIN_MS = 30_000;

/** @typedef {import('./node.js').Node} Node */
/** @typedef {Awaited<ReturnType<typeof openGroup>>} Group */

/**
 * @param {object} options
 * @param {import('./binaries.js').Programs} options.programs
 * @param {string} options.directory
 * @param {number} options.standbys how many stand by; a commit waits for one of them
 * @param {(() => unknown)[]} options.closers where it is noted how what was started is stopped
 */
export async function openGroup({ programs, directory, standbys, closers }) {
  const names = ['a', 'b', 'c', 'd'].slice(0, standbys + 1);
  const password = randomBytes(16).toString('hex');
  const shared = {
    programs,
    password,
    passwordFile: await writePassword(directory, password, programs),
    settings: settingsFor(names),
  };
  const nodes = await Promise.all(
    names.map(async (name) =>
      createNode({ ...shared, name, directory: join(directory, name), port: await findFreePort() }),
    ),
  );
  closers.push(() => Promise.all(nodes.map((node) => node.stop())));
  let [primary, ...others] = /** @type {[Node, ...Node[]]} */ (nodes);

  await primary.initialise(
    [
      `CREATE ROLE admin SUPERUSER REPLICATION LOGIN PASSWORD '${password}';`,
      `CREATE ROLE owner LOGIN PASSWORD '${password}';`,
      'CREATE ROLE watcher LOGIN;',
      'CREATE DATABASE gatehouse OWNER owner;',
      '',
    ].join('\n'),
  );
  await primary.start();
  for (const node of others) {
    await node.copyFrom(primary);
    await node.start();
  }
  await untilInStep();

  /** Waits until every standby has all that the primary wrote, and commits wait for one of them. */
  async function untilInStep() {
    const giveUpAt = performance.now() + IN_STEP_WITHIN_MS;
    for (;;) {
      const [row] = await primary.query(
        `SELECT count(*)::int4 AS count FROM pg_stat_replication
         WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum')`,
      );
      if (row?.count === others.length) return;
      if (performance.now() > giveUpAt) throw new Error(`${row?.count} of ${others.length} standbys follow`);
      await sleep(POLL_MS);
    }
  }

  return {
    nodes,
    password,
    primary: () => primary,
    /** @returns {Node[]} */
    standbys: () => [...others],
    untilInStep,
    /**
     * Promotes the standby that has most, once the primary is dead. With several, of which a commit waits for one, any
     * other may lack what was acknowledged.
     *
     * @returns {Promise<Node>} the old primary, which follows nobody yet
     */
    promote: async () => {
      const old = primary;
      const positions = await Promise.all(others.map(receivedBy));
      const most = positions.reduce((best, position) => (position > best ? position : best));
      primary = /** @type {Node} */ (others[positions.indexOf(most)]);
      others = others.filter((node) => node !== primary);
      await primary.promote();
      for (const node of others) await follow(node, primary);
      return old;
    },
    /**
     * @param {Node} node a dead one, which comes back as a standby
     * @param {'rewind' | 'copy'} how
     */
    rejoin: async (node, how) => {
      await (how === 'rewind' ? node.rewindTo(primary) : node.copyFrom(primary));
      await node.start();
      others.push(node);
      await untilInStep();
    },
  };
}

/** @param {string[]} names */
function settingsFor(names) {
  return {
    synchronous_standby_names: `ANY 1 (${names.join(', ')})`,
    // So that whatever is kept is kept by what the service sets for itself.
    synchronous_commit: 'local',
    // As long as nobody needs an archive to follow or to rewind.
    wal_keep_size: '1GB',
    max_connections: '200',
    log_connections: 'on',
  };
}

/**
 * @param {string} directory
 * @param {string} password
 * @param {import('./binaries.js').Programs} programs
 */
async function writePassword(directory, password, programs) {
  const { owner } = await findLauncher(programs, directory);
  const file = join(directory, 'passwords');
  await writeFile(file, `127.0.0.1:*:*:admin:${password}\n`, { mode: 0o600 });
  if (owner !== undefined) await chown(file, owner.uid, owner.gid);
  return file;
}

/**
 * @param {Node} node
 * @returns {Promise<number>} how far it has the primary's log, in bytes
 */
async function receivedBy(node) {
  const [row] = await node.query(
    `SELECT (greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0')::float8 AS bytes`,
  );
  return Number(row?.bytes);
}

/**
 * @param {Node} node
 * @param {Node} primary
 */
async function follow(node, primary) {
  await node.query(
    `ALTER SYSTEM SET primary_conninfo = '${primary.connection} application_name=${node.name}'`,
  );
  await node.query('SELECT pg_reload_conf()');
}
