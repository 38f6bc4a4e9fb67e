/** What several commands read of what was typed: ids, times, networks and pages. */
import { userInfo } from 'node:os';
import { InvalidArgumentError, Option, type Command } from 'commander';

import { AuthError } from '../domain/errors.js';
import { readInstant } from '../domain/texts/instants.js';
import { readNetwork } from '../domain/networks.js';
import { isNote, LONGEST_NOTE } from '../domain/operators/notes.js';
import { DEFAULT_PAGE, LARGEST_PAGE } from '../domain/operators/pages.js';
import { isUuid } from '../domain/tokens/claims.js';
import { Refusal } from './output.js';

/** Who has typed a command, as rows name them. */
export function findActor(): string {
  try {
    return `cli:${userInfo().username}`;
  } catch {
    // An account without a name, as containers have.
    return `cli:${process.getuid?.() ?? 'unknown'}`;
  }
}

export function parseId(text: string): string {
  const id = text.toLowerCase();
  if (!isUuid(id))
    throw new InvalidArgumentError('It is a UUID, such as 019b1c2d-3e4f-7a5b-8c6d-7e8f9a0b1c2d.');
  return id;
}

/** For an option that is repeated. */
export function collectIds(text: string, previous: string[] = []): string[] {
  return [...previous, parseId(text)];
}

export function parseTime(text: string): Date {
  const time = readInstant(text);
  if (time !== null) return time;
  throw new InvalidArgumentError('It is a time as in RFC 3339, such as 2026-11-30T15:00:00Z.');
}

/** @returns its spellings in the database */
export function parseNetwork(text: string): string[] {
  const networks = readNetwork(text);
  if (networks === null)
    throw new InvalidArgumentError('It is an address or a CIDR range, such as 198.51.100.0/24.');
  return networks;
}

export interface PageOptions {
  limit: number;
  after?: string | null;
}

/** `--limit` and `--after`, as lists of many pages have them. */
export function takePage(command: Command): Command {
  return command
    .addOption(
      new Option('--limit <count>', `how many at most, up to ${LARGEST_PAGE}`)
        .argParser(parseCountTo(LARGEST_PAGE))
        .default(DEFAULT_PAGE),
    )
    .option('--after <next>', 'read on where a page has ended: its `next`, with the same options');
}

/** Reads a number from 1 to this one. */
export function parseCountTo(most: number): (text: string) => number {
  return (text) => {
    const count = /^[0-9]{1,9}$/.test(text) ? Number(text) : 0;
    if (count >= 1 && count <= most) return count;
    throw new InvalidArgumentError(`It is a number from 1 to ${most}.`);
  };
}

export function parseNote(text: string): string {
  if (isNote(text)) return text;
  throw new InvalidArgumentError(
    `It is text of at most ${LONGEST_NOTE} characters, without control characters.`,
  );
}

/** What the domain refuses, as a command says it. */
export async function refusing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AuthError) throw new Refusal(REFUSALS[error.code] ?? asClause(error));
    throw error;
  }
}

/** A sentence, as it stands behind `gatehouse: `. */
function asClause({ detail, code }: AuthError): string {
  return (detail ?? code).replace(/^[A-Z](?=[a-z ])/, (letter) => letter.toLowerCase()).replace(/\.$/, '');
}

const REFUSALS: Partial<Record<AuthError['code'], string>> = {
  too_many_sessions:
    'more sessions would end than --max-sessions says, so nothing has ended: look with --dry-run first; 10000 is the most',
  user_disabled: 'the user is disabled: see `gatehouse users enable --help`',
  username_taken: 'there is a user of that name already: choose another one',
  not_liftable:
    'this end is final: only what was ended by --session-id, --ip, --client-id, --jti or --token-stdin can be lifted',
};
