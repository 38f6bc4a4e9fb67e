/** The table of contents of the command line, and what becomes of its results and failures. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';

import { readConfig, type Config } from '../config.js';
import { openDatabase, type Database } from '../database/prisma.js';
import { explainFailure } from '../environment.js';
import { defineClients } from './clients.js';
import { defineKeys } from './keys.js';
import { defineMigrate } from './migrate.js';
import { Refusal, toJson } from './output.js';
import { defineRevocations } from './revocations.js';
import { defineSessions } from './sessions.js';
import { defineUsers } from './users.js';
import { visit, type VisitOptions } from './visit.js';

/** What a command reads and writes; a process has all of it. */
export interface Surroundings {
  environment: Record<string, string | undefined>;
  stdin: AsyncIterable<Uint8Array | string> & { isTTY?: boolean };
  stdout: { write: (text: string) => unknown };
  stderr: { write: (text: string) => unknown };
  /** Has a signal that ends the process wait until this is done; what it returns takes that back. */
  beforeSignals: (leave: () => Promise<unknown>) => () => void;
}

/** What the commands share. */
export interface Shell {
  stdin: Surroundings['stdin'];
  /** @throws {ConfigError} */
  config: () => Readonly<Config>;
  /** Lends the service's database. */
  withDatabase: <T>(work: (database: Database) => Promise<T>, options?: VisitOptions) => Promise<T>;
  /** Lends its address, migrated or not. */
  withUrl: <T>(work: (url: string) => Promise<T>) => Promise<T>;
  /** The result of a command: with `--json` the value, otherwise the text. */
  print: (value: unknown, text: string) => void;
}

/** An operator waits longer than a caller, and may ask about millions of rows. */
const DEADLINE_MS = 30_000;

const FAILED = 1;
const WRONG_USAGE = 2;

/**
 * Runs one command line.
 *
 * @param argv what was typed after `gatehouse`
 * @returns the exit status: 0 when it is done, 1 when it failed, 2 when it was called wrongly
 */
export async function run(argv: readonly string[], surroundings: Surroundings): Promise<number> {
  try {
    await createProgram(surroundings).parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has said what it has to say; asked for help or the version, it also comes this way.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE;
    if (error instanceof Refusal) {
      surroundings.stderr.write(`gatehouse: ${error.message}\n`);
      return error.isWrongUsage ? WRONG_USAGE : FAILED;
    }
    surroundings.stderr.write(`${explainFailure(error)}\n`);
    return FAILED;
  }
}

function createProgram(surroundings: Surroundings): Command {
  const { stdout, stderr } = surroundings;
  const program = new Command('gatehouse')
    .description('Users, clients, sessions and keys of Gatehouse, on the database that the service uses.')
    .version(readVersion(), '--version', 'print the version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      outputError: (text, write) => write(withoutValues(text.replace(/^error: /, 'gatehouse: '))),
    })
    // Every command takes options; to say so on every line would help nobody.
    .configureHelp({ subcommandTerm: termOf })
    .helpOption('--help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .showHelpAfterError('Add --help to see how it is used.')
    // So that a value that looks like `--json` or `--version` reaches the option that it is meant for.
    .enablePositionalOptions();
  const shell = createShell(program, surroundings);
  defineUsers(program, shell);
  defineClients(program, shell);
  defineSessions(program, shell);
  defineRevocations(program, shell);
  defineKeys(program, shell);
  defineMigrate(program, shell);
  takeJsonEverywhere(program);
  return program.addHelpText(
    'after',
    `
It reads the same environment variables and .env file as the service: DATABASE_URL, or else DATA_DIR for the
embedded database, which it starts for as long as it needs when the service does not run.

Exit status: 0 done, 1 failed, 2 called wrongly. Errors go to standard error.`,
  );
}

function createShell(program: Command, surroundings: Surroundings): Shell {
  const { stdin, stdout, stderr, beforeSignals } = surroundings;
  let wantsJson = false;
  program.hook('preAction', (_, command) => {
    wantsJson = command.optsWithGlobals<{ json?: true }>().json === true;
  });
  const config = () => readConfig(surroundings.environment);
  const tell = (line: string) => stderr.write(`gatehouse: ${line}\n`);
  const visitor = { tell, beforeSignals };
  return {
    stdin,
    config,
    withUrl: (work) => visit(config(), { mayCreate: true, mayBeOutdated: true, ...visitor }, work),
    withDatabase: (work, options = {}) =>
      visit(config(), { ...options, ...visitor }, async (url) => {
        const database = openDatabase(url, { connections: 1, deadlineMs: DEADLINE_MS });
        try {
          return await work(database);
        } finally {
          await database.close();
        }
      }),
    print: (value, text) => stdout.write(`${wantsJson ? toJson(value) : text}\n`),
  };
}

/**
 * People type passwords where none belong, as in `--password=…` or `users hunter2`, and what is said on standard error may
 * be kept: nothing that was typed is repeated.
 */
function withoutValues(text: string): string {
  return text
    .replace(/(unknown (?:option|command)) '[^]*'(?=\n\(Did you mean |\n*$)/, '$1')
    .replace(/(argument|value) '[^]*' is invalid/, '$1 is invalid');
}

/** `--json` is understood wherever it stands: before the noun, before the verb and after it. */
function takeJsonEverywhere(command: Command): void {
  command.option('--json', 'print one JSON value on standard output, and nothing else there');
  for (const child of command.commands) takeJsonEverywhere(child);
}

function termOf(command: Command): string {
  const names = command.registeredArguments.map((argument) =>
    argument.required ? `<${argument.name()}>` : `[${argument.name()}]`,
  );
  return [command.name(), ...names].join(' ');
}

/** Both src/cli and dist/cli are two levels below the package. */
function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
