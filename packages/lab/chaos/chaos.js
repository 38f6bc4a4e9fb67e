// @ts-check
// The one command of the proof under faults: real replicas on a real PostgreSQL, everything that can go wrong, and a checker.
import { randomInt } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';

import { enterRunDirectory } from '../bench/run-directory.js';
import { createRandom } from '../shared/random.js';
import { FAULT_NAMES } from './faults.js';
import { LONG_FROM_MINUTES } from './floors.js';
import { huntAll, MUTANTS } from './mutants.js';
import { pictureText } from './picture.js';
import { reportText } from './report.js';
import { PHASES, runAgainst, RULES } from './run.js';
import { targetsOf } from './targets.js';

/** @typedef {import('./report.js').Findings} Findings */

const USAGE = 2;

const STAY_MS = 1000;

/** Beside what happens to one cluster: mutants, and the service as it is, hunted in the same ways. */
const ALL_PHASES = [...PHASES, 'mutants', 'control'];

/** Done in long runs alone. */
const LONG_PHASES = ['sweep', 'control'];

/** @type {{ minutes: number, seed?: number, faults?: string[], only?: string[], mutant?: string[], hunts?: number, list?: true, keep?: true, out?: string, picture?: string, dist?: string }} */
const options = new Command('chaos')
  .description(
    'Proves the promise under faults, or breaks it. Progress on standard error, findings on standard output.',
  )
  .option('--minutes <n>', 'how long clients and faults are at work', readMinutes, 2)
  .option('--seed <n>', 'of all that is left to chance (default: another one each time)', readSeed)
  .option('--only <phases>', `some of ${ALL_PHASES.join(', ')}`, readOneOf(ALL_PHASES))
  .option('--faults <names>', 'these faults alone, separated by commas', readOneOf(FAULT_NAMES))
  .option(
    '--mutant <names>',
    'these mutants alone, and no other phase',
    readOneOf(MUTANTS.map(({ name }) => name)),
  )
  .option('--hunts <n>', 'hunts so many of the mutants, which the seed chooses (default: all)', readHunts)
  .option('--list', 'prints the names of phases, faults and mutants')
  .option('--keep', 'keeps history and logs even where nothing was found')
  .option('--out <file>', 'writes the findings as JSON')
  .option('--picture <file>', 'draws the most telling session of the run, as SVG')
  .option('--dist <directory>', 'the built service')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : USAGE))
  .parse()
  .opts();

if (options.list === true) process.stdout.write(`${listText()}\n`);
else {
  // Deadlines and the processes of PostgreSQL keep nobody alive: with all replicas killed, Node could find nothing to wait for.
  setInterval(() => undefined, STAY_MS);
  // Not by itself: Node's clean-up waits for ever for some sockets that were reset while half closed.
  process.exit(await prove());
}

async function prove() {
  const startedAt = performance.now();
  const seed = options.seed ?? randomInt(2 ** 31);
  log(`seed ${seed}`);
  const { minutes } = options;
  const phases = choosePhases();
  /** @type {Findings} */
  const findings = {
    seed,
    minutes,
    phases,
    faults: options.faults ?? null,
    takenAt: new Date().toISOString(),
    seconds: 0,
    run: null,
    mutants: null,
    control: null,
  };
  // What is kept outlives the directory of the run.
  const keepIn = tmpdir();
  enterRunDirectory();
  /** @type {{ text: string | null }} */
  const picture = { text: null };
  /** @param {import('./history.js').History} history */
  const draw = (history) => {
    picture.text = pictureText(history);
  };
  const onHistory = options.picture === undefined ? undefined : draw;
  if (phases.some((phase) => PHASES.includes(phase)))
    findings.run = await runAgainst({ ...options, seed, phases, keepIn, onHistory, log });
  if (phases.includes('mutants')) findings.mutants = await hunt(seed, false);
  if (phases.includes('control')) findings.control = await hunt(seed, true);
  findings.seconds = (performance.now() - startedAt) / 1000;
  process.stdout.write(reportText(findings));
  if (options.out !== undefined) await writeFile(options.out, `${JSON.stringify(findings, null, 2)}\n`);
  if (options.picture !== undefined) await keepPicture(options.picture, picture.text);
  return targetsOf(findings).every(({ isReached }) => isReached) ? 0 : 1;
}

/** @param {string} file @param {string | null} text */
async function keepPicture(file, text) {
  if (text === null) log('no picture: no session ended before the eyes of all replicas');
  else await writeFile(file, text);
}

function choosePhases() {
  if (options.only !== undefined) return options.only;
  if (options.mutant !== undefined) return ['mutants'];
  const isLong = options.minutes >= LONG_FROM_MINUTES;
  return ALL_PHASES.filter((phase) => isLong || !LONG_PHASES.includes(phase));
}

/** @param {number} seed @param {boolean} isControl */
function hunt(seed, isControl) {
  return huntAll({
    seed,
    isControl,
    rules: RULES,
    mutants: chooseMutants(seed),
    onCatch: ({ name, isCaught, caughtBy, afterOperations }) =>
      log(
        isControl
          ? `hunted as ${name}: ${caughtBy === '' ? 'nothing' : caughtBy} in ${afterOperations} operations`
          : `mutant ${name}: ${isCaught ? `caught by ${caughtBy} after ${afterOperations} operations` : 'NOT CAUGHT'}`,
      ),
  });
}

/** @param {number} seed */
function chooseMutants(seed) {
  const { mutant: wanted, hunts = MUTANTS.length } = options;
  if (wanted !== undefined) return MUTANTS.filter(({ name }) => wanted.includes(name));
  const random = createRandom(seed);
  const left = [...MUTANTS];
  while (left.length > hunts) left.splice(Math.floor(random() * left.length), 1);
  return left;
}

function listText() {
  return [
    `phases: ${ALL_PHASES.join(', ')}`,
    `faults: ${FAULT_NAMES.join(', ')}`,
    ...MUTANTS.map(({ name, sentence }) => `mutant ${name}: ${sentence}`),
  ].join('\n');
}

/** @param {string} text */
function readMinutes(text) {
  const minutes = Number(text);
  if (!(minutes > 0 && minutes <= 1440))
    throw new InvalidArgumentError('It must be a number of minutes, at most a day.');
  return minutes;
}

/** @param {string} text */
function readHunts(text) {
  const hunts = Number(text);
  if (!Number.isInteger(hunts) || hunts < 1 || hunts > MUTANTS.length)
    throw new InvalidArgumentError(`It must be a number from 1 to ${MUTANTS.length}.`);
  return hunts;
}

/** @param {string} text */
function readSeed(text) {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

/** @param {string[]} known */
function readOneOf(known) {
  return (/** @type {string} */ text) => {
    const names = text.split(',');
    const unknown = names.filter((name) => !known.includes(name));
    if (unknown.length > 0) throw new InvalidArgumentError(`There is no ${unknown.join(', ')}: see --list.`);
    return names;
  };
}

/** @param {string} line */
function log(line) {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
}
