/** One line of an import: a user whose password another system has hashed. */
import { readForeignHash } from '../passwords/foreign.js';
import { readInstant } from '../texts/instants.js';
import { repeatsMember } from '../texts/repeated-members.js';
import { explainScope } from './scopes.js';
import { judgeUsername } from './usernames.js';

export interface ImportedUser {
  /** Canonical. */
  username: string;
  /** As it is stored. */
  passwordHash: string;
  scope: string;
  /** Null for the time of the import. It may lie in the future: only the database's clock can tell. */
  createdAt: Date | null;
  isDisabled: boolean;
}

/** What is wrong with a line. It repeats nothing of it. */
export interface WrongLine {
  /** The member that is wrong; null for the line as a whole. */
  member: string | null;
  message: string;
}

/** Longer than any line that is right. */
export const MAX_LINE_CHARACTERS = 16 * 1024;

const MEMBERS = new Set(['username', 'password_hash', 'scope', 'created_at', 'disabled']);

/** PostgreSQL takes no year 0, and no system has users from before. */
const EARLIEST = new Date(0);

class Mistake extends Error implements WrongLine {
  readonly member: string | null;

  constructor(member: string | null, message: string) {
    super(message);
    this.member = member;
  }
}

/** Reads a line: the user, or what is wrong with it first. */
export function readImportLine(text: string): { user: ImportedUser } | { wrong: WrongLine } {
  try {
    return { user: readUser(readObject(text)) };
  } catch (error) {
    if (error instanceof Mistake) return { wrong: { member: error.member, message: error.message } };
    throw error;
  }
}

function readObject(text: string): Record<string, unknown> {
  if (text.length > MAX_LINE_CHARACTERS)
    throw new Mistake(null, `The line is longer than ${MAX_LINE_CHARACTERS} characters`);
  // A decoder has put it in the place of bytes that are not UTF-8. No member may hold it.
  if (text.includes('\uFFFD')) throw new Mistake(null, 'The line is not UTF-8');
  const value = parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Mistake(null, 'The line is no JSON object');
  if (repeatsMember(text, value)) throw new Mistake(null, 'The line names a member twice');
  if (Object.keys(value).some((name) => !MEMBERS.has(name)))
    throw new Mistake(null, 'The line has a member that is not known');
  return value as Record<string, unknown>;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function readUser(line: Record<string, unknown>): ImportedUser {
  return {
    username: readUsername(readText(line, 'username')),
    passwordHash: readHash(readText(line, 'password_hash')),
    scope: readScope(readText(line, 'scope', '')),
    createdAt: 'created_at' in line ? readTime(readText(line, 'created_at')) : null,
    isDisabled: readDisabled(line['disabled'] ?? false),
  };
}

/** @param absent what a member that is not there means; without it the member must be there */
function readText(line: Record<string, unknown>, member: string, absent?: string): string {
  const value = member in line ? line[member] : absent;
  if (value === undefined) throw new Mistake(member, 'It is missing');
  if (typeof value !== 'string') throw new Mistake(member, 'It is no text');
  return value;
}

function readUsername(text: string): string {
  const { username, problem } = judgeUsername(text);
  if (username === null) throw new Mistake('username', `The user name ${problem}`);
  return username;
}

function readHash(text: string): string {
  const read = readForeignHash(text);
  if ('problem' in read) throw new Mistake('password_hash', `The hash ${read.problem}`);
  return read.stored;
}

function readScope(text: string): string {
  const problem = explainScope(text);
  if (problem !== null) throw new Mistake('scope', `The scope ${problem}`);
  return text;
}

function readTime(text: string): Date {
  const time = readInstant(text);
  if (time === null)
    throw new Mistake('created_at', 'It is no time as in RFC 3339, such as 2026-11-30T15:00:00Z');
  if (time < EARLIEST) throw new Mistake('created_at', 'The time lies before 1970');
  return time;
}

function readDisabled(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new Mistake('disabled', 'It is neither true nor false');
  return value;
}
