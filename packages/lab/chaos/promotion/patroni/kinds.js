// @ts-check
// The kinds of round: how a primary is lost, and what brings the old one back.
import { setTimeout as sleep } from 'node:timers/promises';

/** PostgreSQL may wake before Patroni does, which would stop it: so long the old primary has nobody to tell it. */
const UNGUARDED_MS = 2000;

/**
 * @typedef {object} Blow
 * @property {import('./server.js').Server} leader
 * @property {import('./network.js').Network} network
 * @property {number} number of the round among those of its kind, from 1
 */

/**
 * @typedef {object} Kind
 * @property {string} fault
 * @property {boolean} isKill whether something lost its memory
 * @property {boolean=} needsNetwork whether servers must be in namespaces
 * @property {(blow: Blow) => Promise<unknown>} strike
 * @property {(blow: Blow) => Promise<unknown>} mend once another server leads
 */

/** @satisfies {Record<string, Kind>} */
const ALL = {
  switchover: {
    fault: 'switchover',
    isKill: false,
    strike: ({ leader }) => leader.switchOver(),
    mend: async () => undefined,
  },
  kill: {
    fault: 'primary killed',
    isKill: true,
    strike: ({ leader }) => leader.kill(),
    mend: ({ leader }) => leader.start(),
  },
  freeze: {
    fault: 'primary frozen',
    isKill: false,
    strike: ({ leader }) => leader.freeze(),
    // The odd ones are the worse: the old primary answers each client that still reaches it, and nothing stops it yet.
    mend: async ({ leader, number }) => {
      await leader.thawPostgres();
      if (number % 2 === 1) await sleep(UNGUARDED_MS);
      await leader.thawPatroni();
    },
  },
  partition: {
    fault: 'primary cut off',
    isKill: false,
    needsNetwork: true,
    // The odd ones are the worse: HAProxy, and the replicas through it, still reach the old primary.
    strike: async ({ leader, network, number }) => {
      await network.cut(leader.name, 'members');
      if (number % 2 === 0) await network.cut(leader.name, 'users');
    },
    mend: ({ network }) => network.heal(),
  },
  orphan: {
    fault: 'Patroni of the primary killed',
    isKill: false,
    strike: ({ leader }) => leader.killPatroni(),
    mend: ({ leader }) => leader.start(),
  },
};

/** @typedef {keyof typeof ALL} KindName */

/** @type {Record<KindName, Kind>} */
export const KINDS = ALL;

/** `orphan` is beside them: only a watchdog stops such a primary. @type {KindName[]} */
export const DEFAULT_KINDS = ['switchover', 'kill', 'freeze', 'partition'];
