// @ts-check
// The one command of the failover drill: PostgreSQL with synchronous standbys, lost and replaced under load.
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';

import { enterRunDirectory } from '../bench/run-directory.js';
import { DEFAULT_KINDS, KINDS } from './promotion/patroni/kinds.js';
import { preparePatroni } from './promotion/patroni/form.js';
import { preparePlain } from './promotion/plain.js';

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
  .option('--patroni', 'three PostgreSQL under Patroni, which decides who leads', false)
  .option('--kinds <list>', `with --patroni: kinds of round (${Object.keys(KINDS).join(', ')})`, readKinds, [
    ...DEFAULT_KINDS,
  ])
  .option('--rounds <n>', 'with --patroni: how many of each kind', readCount, 5)
  .option('--patroni-program <file>', 'with --patroni: another Patroni than the one that is installed')
  .option('--json', 'prints one JSON value instead of lines', false)
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : USAGE))
  .parse()
  .opts();

const prepare = options['patroni'] === true ? preparePatroni : preparePlain;
const form = await prepare(options, log);
if (typeof form === 'string') {
  process.stderr.write(`${form}\n`);
  process.exit(USAGE);
}
/** @type {(() => Promise<void>)[]} */
const closes = [];
enterRunDirectory(() => Promise.all(closes.map((close) => close())));
const { dist, callers, seed, json } = options;
const { findings, text } = await form.run({ dist, callers, seed, log, closes });
process.stdout.write(json === true ? `${JSON.stringify(findings, null, 2)}\n` : text);
process.exitCode = findings.violations.length === 0 ? 0 : 1;

/** @param {string} text */
function readCount(text) {
  if (!/^[1-9][0-9]{0,4}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1 on.');
  return Number(text);
}

/** @param {string} text */
function readKinds(text) {
  const kinds = text.split(',');
  if (!kinds.every((kind) => Object.hasOwn(KINDS, kind)))
    throw new InvalidArgumentError(
      `Name one or more of ${Object.keys(KINDS).join(', ')}, with commas between them.`,
    );
  return kinds;
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
