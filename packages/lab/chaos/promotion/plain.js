// @ts-check
// The plain form of the drill: PostgreSQL servers that the drill itself kills and promotes, behind HAProxy or a switch.
import { findPrograms } from './binaries.js';
import { runDrill } from './drill.js';
import { openGroup } from './group.js';
import { findHaproxy, openHaproxy } from './haproxy.js';
import { describe, summarise } from './report.js';
import { openStage } from './stage.js';
import { openSwitch } from './switch.js';

/** @typedef {import('./stage.js').StageOf<Databases>} PlainStage */

/**
 * @typedef {object} Databases
 * @property {import('./group.js').Group} group
 * @property {import('./switch.js').Front} front
 */

/**
 * @param {Record<string, any>} options of the command line
 * @param {(line: string) => void} log
 * @returns {Promise<import('./stage.js').Form | string>} a string says what is missing
 */
export async function preparePlain(options, log) {
  const postgres = await findPrograms(options['pgBin']);
  if (postgres === null)
    return `No PostgreSQL 15 or newer with pg_basebackup and pg_rewind in ${options['pgBin'] ?? '/usr/lib/postgresql'}. Install one (Debian: postgresql-15), or name the directory of its programs with --pg-bin.`;
  const { standbys, promotions, seed } = options;

  /** @param {{ directory: string, closers: (() => unknown)[] }} place */
  const openDatabases = async ({ directory, closers }) => {
    const group = await openGroup({ programs: postgres, directory, standbys, closers });
    const haproxy = options['haproxy'] === true ? await findHaproxy() : null;
    const front =
      haproxy === null
        ? await openSwitch()
        : await openHaproxy({ program: haproxy, directory, nodes: group.nodes });
    closers.push(front.close);
    await front.follow(group.primary());
    const url = `postgresql://owner:${group.password}@127.0.0.1:${front.port}/gatehouse`;
    return { urls: /** @type {[string, string]} */ ([url, url]), databases: { group, front } };
  };

  return {
    run: async (shared) => {
      const startedAt = performance.now();
      const stage = await openStage({ ...shared, openDatabases });
      try {
        const { replicas, front } = stage;
        log(`${replicas.length} replicas, ${standbys + 1} PostgreSQL, ${front.name} between them`);
        const course = await runDrill(stage, { promotions, seed, log });
        const findings = await summarise(stage, course, performance.now() - startedAt);
        return { findings, text: describe(findings) };
      } finally {
        await stage.close();
      }
    },
  };
}
