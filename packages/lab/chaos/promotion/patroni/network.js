// @ts-check
// Where the servers of a drill stand: all on loopback, or each in a network namespace of its own that can be cut off.
import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { promisify } from 'node:util';

import { findFreePort } from '../../../shared/ports.js';

/** @typedef {import('./configuration.js').Place} Place */
/** @typedef {Place & { prefix: string[] }} Site `prefix`: words before a command that is to run there */
/** @typedef {'members' | 'users'} Side the network of the servers and etcd, and the one of HAProxy */

/**
 * @typedef {object} Network
 * @property {Record<Side, string>} here our own address on each side
 * @property {Site[]} sites
 * @property {(name: string, side: Side) => Promise<unknown>} cut as if the cable was pulled: packets go nowhere, and nobody is told
 * @property {() => Promise<void>} heal
 */

const LOOPBACK = '127.0.0.1';

/** The first host of a server on each network; ours is 1. */
const FIRST_HOST = 11;

/** RFC 2544 sets these aside for tests of network devices. */
const NETWORKS = { members: '198.18', users: '198.19' };
const SIDES = /** @type {const} */ (['members', 'users']);

/** @param {string[]} words */
const ip = (...words) => promisify(execFile)('ip', words);

/**
 * Whether this process may make network namespaces.
 *
 * @returns {Promise<string | null>} what the system says against it
 */
export async function whyNoNamespaces() {
  const name = `gatehouse-${randomInt(1e9)}`;
  try {
    await ip('netns', 'add', name);
    await ip('netns', 'delete', name);
    return null;
  } catch (error) {
    return String(/** @type {{ stderr?: string }} */ (error).stderr ?? error).trim();
  }
}

/** @param {string[]} names @returns {Promise<Network>} */
export async function openLoopback(names) {
  const sites = [];
  for (const name of names) {
    const ports = { port: await findFreePort(), restPort: await findFreePort() };
    sites.push({ name, members: LOOPBACK, users: LOOPBACK, listen: [LOOPBACK], ...ports, prefix: [] });
  }
  return {
    here: { members: LOOPBACK, users: LOOPBACK },
    sites,
    cut: () => Promise.reject(new Error('servers on loopback cannot be cut off')),
    heal: async () => undefined,
  };
}

/**
 * Each server gets two interfaces: one to the other servers and etcd, one to HAProxy. So one can be cut and the other not.
 *
 * @param {string[]} names
 * @param {(() => unknown)[]} closers
 * @returns {Promise<Network>}
 */
export async function openNamespaces(names, closers) {
  const tag = randomInt(1, 255);
  /** @param {Side} side @param {string | number} end */
  const linkOf = (side, end) => `gh${tag}${side[0]}-${end}`;
  /** @param {Side} side @param {number} host */
  const addressOf = (side, host) => `${NETWORKS[side]}.${tag}.${host}`;

  for (const side of SIDES) {
    const bridge = linkOf(side, 'br');
    await ip('link', 'add', bridge, 'type', 'bridge');
    closers.push(() => ip('link', 'delete', bridge));
    await ip('address', 'add', `${addressOf(side, 1)}/24`, 'dev', bridge);
    await ip('link', 'set', bridge, 'up');
  }
  /** @type {Site[]} */
  const sites = [];
  for (const [index, name] of names.entries()) {
    const namespace = `gh${tag}-${name}`;
    await ip('netns', 'add', namespace);
    // Takes its ends of the two cables along.
    closers.push(() => ip('netns', 'delete', namespace));
    await ip('-n', namespace, 'link', 'set', 'lo', 'up');
    for (const side of SIDES) {
      const address = addressOf(side, FIRST_HOST + index);
      await ip('link', 'add', linkOf(side, name), 'type', 'veth', 'peer', 'name', side, 'netns', namespace);
      await ip('link', 'set', linkOf(side, name), 'master', linkOf(side, 'br'), 'up');
      await ip('-n', namespace, 'address', 'add', `${address}/24`, 'dev', side);
      await ip('-n', namespace, 'link', 'set', side, 'up');
    }
    const members = addressOf('members', FIRST_HOST + index);
    const users = addressOf('users', FIRST_HOST + index);
    sites.push({
      name,
      members,
      users,
      listen: [LOOPBACK, members, users],
      port: await findFreePort(),
      restPort: await findFreePort(),
      prefix: ['ip', 'netns', 'exec', namespace],
    });
  }
  return {
    here: { members: addressOf('members', 1), users: addressOf('users', 1) },
    sites,
    cut: (name, side) => ip('link', 'set', linkOf(side, name), 'down'),
    heal: async () => {
      for (const { name } of sites)
        for (const side of SIDES) await ip('link', 'set', linkOf(side, name), 'up');
    },
  };
}
