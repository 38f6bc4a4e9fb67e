/** The table of contents of the command line, and what becomes of its results and failures. */
import { Command, CommanderError } from 'commander';

import { readVersion } from '../config/version.js';
import { defineHelp, termOf } from './help.js';
import { Refusal, toJson } from './output.js';
import type { Shell, Surroundings } from './shell.js';
import { withSuggestion } from './suggestions.js';

interface Noun {
  description: string;
  /** Gives the command its verbs. What they need is loaded here, and only for the command line that names the noun. */
  define: (command: Command, shell: Shell) => Promise<void>;
}

const NOUNS: Record<string, Noun> = {
  users: {
    description: 'people who may log in',
    define: async (...args) => (await import('./users.js')).defineUsers(...args),
  },
  clients: {
    description: 'resource servers that ask about tokens',
    define: async (...args) => (await import('./clients.js')).defineClients(...args),
  },
  sessions: {
    description: 'where users are logged in',
    define: async (...args) => (await import('./sessions.js')).defineSessions(...args),
  },
  revocations: {
    description: 'what was ended, whose, why, by whom and when',
    define: async (...args) => (await import('./revocations.js')).defineRevocations(...args),
  },
  events: {
    description: 'who did what, when and from where',
    define: async (...args) => (await import('./events.js')).defineEvents(...args),
  },
  keys: {
    description: 'the keys that sign tokens',
    define: async (...args) => (await import('./keys.js')).defineKeys(...args),
  },
  database: {
    description: 'the PostgreSQL that the service keeps its promises on',
    define: async (...args) => (await import('./database.js')).defineDatabase(...args),
  },
  migrate: {
    description: 'apply pending migrations and print their names; the service does the same when it starts',
    define: async (...args) => (await import('./migrate.js')).defineMigrate(...args),
  },
  completion: {
    description: 'print a script that completes our commands in a shell',
    define: async (...args) => (await import('./completion.js')).defineCompletion(...args),
  },
};

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
    const program = await createProgram(argv, surroundings);
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has said what it has to say; asked for help or the version, it also comes this way.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE;
    const { writeExplanation } = await import('../process/explain.js');
    surroundings.stderr.write(writeExplanation(error));
    return error instanceof Refusal && error.isWrongUsage ? WRONG_USAGE : FAILED;
  }
}

async function createProgram(argv: readonly string[], surroundings: Surroundings): Promise<Command> {
  const { stdout, stderr } = surroundings;
  const program = new Command('gatehouse')
    .description('Users, clients, sessions and keys of Gatehouse, on the database that the service uses.')
    .version(readVersion(), '-v, --version', 'print the version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      outputError: (text, write) => {
        const typedOption = /unknown option '(--[^']*)'/.exec(text)?.[1];
        const error = withoutValues(text.replace(/^error: /, 'gatehouse: '));
        write(withSuggestion(error, typedOption, program, argv));
      },
    })
    // Every command takes options; to say so on every line would help nobody.
    .configureHelp({ subcommandTerm: termOf })
    .helpOption('-h, --help', 'show this help')
    // Of the nouns; ours for all of them comes below.
    .helpCommand('help [command]', 'show the help of a command')
    .helpCommand(false)
    .showHelpAfterError('Add --help to see how it is used.')
    // So that a value that looks like `--json` or `--version` reaches the option that it is meant for.
    .enablePositionalOptions();
  const shell = createShell(program, surroundings);
  for (const [name, { description, define }] of Object.entries(NOUNS)) {
    const command = program.command(name).description(description);
    if (argv.includes(name) || needsAll(argv)) await define(command, shell);
  }
  defineHelp(program, (word) => word in NOUNS);
  takeJsonEverywhere(program);
  return program.addHelpText(
    'after',
    `
It reads the same environment variables and .env file as the service: DATABASE_URL, or else DATA_DIR for the
embedded database, which it starts for as long as it needs when the service does not run.

Exit status: 0 done, 1 failed, 2 called wrongly. Errors go to standard error.`,
  );
}

/** A script for a shell names all commands. So may a suggestion, where no noun was typed that we know. */
function needsAll(argv: readonly string[]): boolean {
  const words = argv.filter((word) => !word.startsWith('-'));
  const isLost = words.length > 0 && !words.some((word) => word === 'help' || word in NOUNS);
  return words[0] === 'completion' || isLost;
}

function createShell(program: Command, surroundings: Surroundings): Shell {
  const { environment, stdin, stdout, stderr, beforeSignals, deadlineMs = DEADLINE_MS } = surroundings;
  const { isOver = () => false } = surroundings;
  let wantsJson = false;
  program.hook('preAction', (_, command) => {
    wantsJson = command.optsWithGlobals<{ json?: true }>().json === true;
  });
  const config = async () => {
    const { readConfig } = await import('../config/config.js');
    return readConfig(await environment());
  };
  const tell = (line: string) => stderr.write(`gatehouse: ${line}\n`);
  const visitor = { tell, beforeSignals };
  return {
    stdin,
    stderr,
    config,
    tell,
    withUrl: async (work) => {
      const { visit } = await import('./visit.js');
      return await visit(await config(), { mayCreate: true, mayBeOutdated: true, ...visitor }, work);
    },
    withDatabase: async (work, options = {}) => {
      const { visit } = await import('./visit.js');
      const settings = await config();
      return await visit(settings, { ...options, ...visitor }, async (url) => {
        const { openDatabase } = await import('../database/prisma.js');
        const { acceptsForeign = false } = options;
        const { events } = settings;
        const database = openDatabase(url, { connections: 1, deadlineMs, acceptsForeign, events });
        try {
          return await work(database);
        } finally {
          await database.close();
        }
      });
    },
    isOver,
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
