// @ts-check
// The one command of the failover drill: PostgreSQL with a synchronous standby, killed and promoted under load.
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';

import { enterRunDirectory } from '../bench/run-directory.js';
import { findPrograms } from './promotion/binaries.js';
import { runDrill } from './promotion/drill.js';
import { describe, summarise } from './promotion/report.js';
import { openStage } from './promotion/stage.js';

const USAGE = 2;

const options = new Command('promotion')
  .description(
    'Kills the primary under load and promotes a standby, again and again. Progress on standard error, findings on standard output.',
  )
  .option('--promotions <n>', 'how many', readCount, 20)
  .option('--standbys <n>', 'how many stand by; a commit waits for one of them', readStandbys, 1)
  .option('--callers <n>', 'how many users are at work', readCount, 16)
  .option('--seed <n>', 'of what callers do', readCount, 1)
  .option('--pg-bin <directory>', 'programs of a PostgreSQL 15 or newer (default: /usr/lib/postgresql/*/bin)')
  .option('--dist <directory>', 'the built service', fileURLToPath(new URL('../../../dist', import.meta.url)))
  .option('--no-haproxy', 'a switch of our own in front, even where there is a HAProxy')
  .option('--json', 'prints one JSON value instead of lines', false)
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : USAGE))
  .parse()
  .opts();

const programs = await findPrograms(options['pgBin']);
if (programs === null) {
  const where = options['pgBin'] ?? '/usr/lib/postgresql';
  process.stderr.write(
    `No PostgreSQL 15 or newer with pg_basebackup and pg_rewind in ${where}. Install one (Debian: postgresql-15), or name the directory of its programs with --pg-bin.\n`,
  );
  process.exit(USAGE);
}
enterRunDirectory();
const findings = await run(programs);
process.stdout.write(
  options['json'] === true ? `${JSON.stringify(findings, null, 2)}\n` : describe(findings),
);
process.exitCode = findings.violations.length === 0 ? 0 : 1;

/** @param {import('./promotion/binaries.js').Programs} postgres */
async function run(postgres) {
  const startedAt = performance.now();
  const stage = await openStage({
    dist: options['dist'],
    programs: postgres,
    standbys: options['standbys'],
    useHaproxy: options['haproxy'],
    callers: options['callers'],
    seed: options['seed'],
    log,
  });
  try {
    log(
      `${stage.replicas.length} replicas, ${options['standbys'] + 1} PostgreSQL, ${stage.front.name} between them`,
    );
    const course = await runDrill(stage, { promotions: options['promotions'], seed: options['seed'], log });
    return await summarise(stage, course, performance.now() - startedAt);
  } finally {
    await stage.close();
  }
}

/** @param {string} text */
function readCount(text) {
  if (!/^[1-9][0-9]{0,4}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1 on.');
  return Number(text);
}

/** @param {string} text */
function readStandbys(text) {
  if (!/^[1-3]$/.test(text)) throw new InvalidArgumentError('It must be 1, 2 or 3.');
  return Number(text);
}

/** @param {string} text */
function log(text) {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
}
