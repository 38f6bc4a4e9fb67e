/** What the commands get from the program: the database, the configuration, and a place for results. */
import type { Config } from '../config/config.js';
import type { Database } from '../database/prisma.js';
import type { VisitOptions } from './visit.js';

/** What a command reads and writes; a process has all of it. */
export interface Surroundings {
  environment: () => Promise<Record<string, string | undefined>>;
  stdin: NodeJS.ReadableStream & { isTTY?: boolean };
  stdout: { write: (text: string) => unknown };
  stderr: { write: (text: string) => unknown; isTTY?: boolean };
  /** Has a signal that ends the process wait until this is done; what it returns takes that back. */
  beforeSignals: (leave: () => Promise<unknown>) => () => void;
  /** Whether a command that goes on by itself, until it is interrupted, has done enough; never where nothing is said. */
  isOver?: (() => boolean) | undefined;
  /** How long a command waits for one answer of the database; half a minute where nothing is said. */
  deadlineMs?: number | undefined;
}

/** What the commands share. */
export interface Shell extends Pick<Surroundings, 'stdin' | 'stderr'> {
  /** Whether a command that goes on by itself has done enough. */
  isOver: () => boolean;
  /** @throws {ConfigError} */
  config: () => Promise<Readonly<Config>>;
  /** Lends the service's database. */
  withDatabase: <T>(
    work: (database: Database) => Promise<T>,
    options?: VisitOptions & { acceptsForeign?: boolean },
  ) => Promise<T>;
  /** Lends its address, migrated or not. */
  withUrl: <T>(work: (url: string) => Promise<T>) => Promise<T>;
  /** A line for people, beside a result in either form. */
  tell: (line: string) => unknown;
  /** The result of a command: with `--json` the value, otherwise the text. */
  print: (value: unknown, text: string) => void;
}
