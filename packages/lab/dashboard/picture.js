// Draws the dashboard once, of a run of some minutes: node packages/lab/dashboard/picture.js. It needs Prometheus and a build.
import { readFile, writeFile } from 'node:fs/promises';

import { openWorldOfLogins } from '../bench/logins.js';
import { startGatehouse } from '../bench/servers.js';
import { findFreePort } from '../shared/ports.js';
import { drawDashboard } from './draw.js';
import { SCRAPE_SECONDS, startPrometheus } from './prometheus.js';
import { liveIn } from './town.js';

const ROOT = new URL('../../../', import.meta.url);
const DASHBOARD = new URL('deploy/grafana/gatehouse.json', ROOT);
const PICTURE = new URL('docs/images/dashboard.svg', ROOT);

/** Rows of sessions that are there before. */
const SESSIONS = 2000;

/** What Grafana puts in the place of its variables: four scrapes, as it does. */
const VARIABLES = { $__rate_interval: `${4 * SCRAPE_SECONDS}s`, $job: 'gatehouse' };

/** @param {string} expr */
function fillIn(expr) {
  return Object.entries(VARIABLES).reduce((text, [name, value]) => text.replaceAll(name, value), expr);
}

/** @param {string} legend @param {Record<string, string>} metric */
function nameOf(legend, metric) {
  return legend.replace(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? '');
}

/** @type {(() => Promise<unknown>)[]} */
const closers = [];
try {
  const world = await openWorldOfLogins(SESSIONS);
  closers.push(world.close);
  const replicas = [];
  for (let n = 0; n < 2; n += 1) {
    const address = `127.0.0.1:${await findFreePort()}`;
    const environment = {
      METRICS_ADDRESS: address,
      ACCESS_TOKEN_TTL: '30s',
      REFRESH_REPLAY_WINDOW: '3s',
      LOG_LEVEL: 'error',
    };
    const { port, stop } = await startGatehouse(world, { cores: null, environment });
    closers.push(stop);
    replicas.push({ address, url: `http://127.0.0.1:${port}` });
  }
  const prometheus = await startPrometheus(replicas.map(({ address }) => address));
  closers.push(prometheus.stop);

  const from = Date.now() / 1000;
  await liveIn(
    world,
    replicas.map(({ url }) => url),
  );
  const to = Date.now() / 1000;

  const dashboard = JSON.parse(await readFile(DASHBOARD, 'utf8'));
  const panels = [];
  for (const { targets = [], ...panel } of dashboard.panels) {
    const lines = [];
    for (const { expr, legendFormat, instant } of targets) {
      const query = fillIn(expr);
      const found = instant ? await prometheus.instant(query, to) : await prometheus.range(query, from, to);
      for (const { metric, values } of found)
        lines.push({
          name: nameOf(legendFormat, metric),
          points: values.map(([at, value]) => [at - from, Number(value)]),
        });
    }
    panels.push({ ...panel, lines });
  }
  await writeFile(PICTURE, drawDashboard(dashboard.title, panels, to - from));
} finally {
  for (const close of closers.reverse()) await close();
}
