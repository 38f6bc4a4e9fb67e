// @ts-check
// The form of the drill in which Patroni decides who leads.
import { openStage } from '../stage.js';
import { openCluster } from './cluster.js';
import { runPatroniDrill } from './drill.js';
import { KINDS } from './kinds.js';
import { whyNoNamespaces } from './network.js';
import { findPatroniPrograms } from './programs.js';
import { describePatroni, summarisePatroni } from './report.js';

/** Who logs in to see whether one can. */
const OTHERS = 40;

/** Longer than any run: what was ended hours ago is still asked about as a token that has not expired. */
const ACCESS_TTL_SECONDS = 6 * 3600;

/**
 * @param {Record<string, any>} options of the command line
 * @param {(line: string) => void} log
 * @returns {Promise<import('../stage.js').Form | string>} a string says what is missing
 */
export async function preparePatroni(options, log) {
  const { pgBin, patroniProgram: patroni, rounds, seed } = options;
  /** @type {import('./kinds.js').KindName[]} */
  const kinds = options['kinds'];
  const { programs, missing } = await findPatroniPrograms({ pgBin, patroni });
  if (missing.length > 0)
    return `The drill under Patroni needs programs that are not here. Install them: ${missing.join('; ')}.`;
  const canBeCut = kinds.some((kind) => KINDS[kind].needsNetwork);
  const objection = canBeCut ? await whyNoNamespaces() : null;
  if (objection !== null)
    return `Rounds of the kind partition need network namespaces, which only root can make, and \`ip netns add\` (Debian: iproute2) says: ${objection}. Run the drill as root, or name other kinds with --kinds.`;

  /** @param {{ directory: string, closers: (() => unknown)[] }} place */
  async function openDatabases({ directory, closers }) {
    const cluster = await openCluster({ programs, directory, canBeCut, log, closers });
    return { urls: cluster.urls, databases: { cluster } };
  }

  return {
    run: async (shared) => {
      const startedAt = performance.now();
      const stage = await openStage({
        ...shared,
        openDatabases,
        others: OTHERS,
        accessTtl: ACCESS_TTL_SECONDS,
      });
      try {
        log(`${stage.replicas.length} replicas, the second one behind PgBouncer`);
        const course = await runPatroniDrill(stage, { kinds, rounds, seed, log });
        const findings = await summarisePatroni(stage, course, performance.now() - startedAt);
        return { findings, text: describePatroni(findings) };
      } finally {
        await stage.close();
      }
    },
  };
}
