// @ts-check
// A Prometheus of a run: it asks the replicas, evaluates our rules, and answers what the dashboard would ask it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { findFreePort } from '../shared/ports.js';

const RULES = fileURLToPath(new URL('../../../deploy/prometheus/gatehouse.rules.yml', import.meta.url));

export const SCRAPE_SECONDS = 5;

/** @typedef {{ metric: Record<string, string>, values: [number, string][] }} Line */

/** @param {string[]} targets as `host:port` */
export async function startPrometheus(targets) {
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-prometheus-'));
  const config = {
    global: { scrape_interval: `${SCRAPE_SECONDS}s`, evaluation_interval: `${SCRAPE_SECONDS}s` },
    rule_files: [RULES],
    scrape_configs: [{ job_name: 'gatehouse', static_configs: [{ targets }] }],
  };
  // JSON is YAML, too.
  await writeFile(join(directory, 'prometheus.yml'), JSON.stringify(config));
  const url = `http://127.0.0.1:${await findFreePort()}`;
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(directory, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=${url.slice('http://'.length)}`,
      '--log.level=warn',
    ],
    { stdio: 'inherit' },
  );
  const ended = once(child, 'exit');
  for (;;) {
    if (child.exitCode !== null) throw new Error(`prometheus ended with ${child.exitCode}`);
    if ((await fetch(`${url}/-/ready`).catch(() => undefined))?.ok === true) break;
    await sleep(100);
  }

  /** @param {string} path @param {Record<string, string>} parameters */
  async function query(path, parameters) {
    const response = await fetch(`${url}/api/v1/${path}`, {
      method: 'POST',
      body: new URLSearchParams(parameters),
    });
    const { status, data, error } = /** @type {any} */ (await response.json());
    if (status !== 'success') throw new Error(`${parameters['query'] ?? ''}: ${error}`);
    return data.result;
  }

  return {
    /** @param {string} expr @param {number} from @param {number} to both in seconds since 1970 @returns {Promise<Line[]>} */
    range: (expr, from, to) =>
      query('query_range', { query: expr, start: `${from}`, end: `${to}`, step: `${SCRAPE_SECONDS}` }),
    /** @param {string} expr @param {number} at @returns {Promise<Line[]>} each with one value */
    instant: async (expr, at) => {
      /** @type {{ metric: Record<string, string>, value: [number, string] }[]} */
      const found = await query('query', { query: expr, time: `${at}` });
      return found.map(({ metric, value }) => ({ metric, values: [value] }));
    },
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
      await rm(directory, { recursive: true, force: true });
    },
  };
}
