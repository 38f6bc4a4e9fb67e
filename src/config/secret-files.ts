/** Secrets in files, which stand for a variable or complete one: what such a file may hold, for all of them alike. */
import { readFileSync } from 'node:fs';

import { hasUnseenEnd, UNSEEN_END, type Environment, type Problems } from './variables.js';

/** Secrets that a file may hold in the place of their variable. */
const SECRET_FILES = {
  AUTH_SECRET: 'AUTH_SECRET_FILE',
  AUTH_SECRET_PREVIOUS: 'AUTH_SECRET_PREVIOUS_FILE',
} as const;

/** Where the value of a setting came from: the variable of its file, where there is one. */
export function sourceOf(name: string, given: Record<string, unknown>): string {
  const file = (SECRET_FILES as Record<string, string>)[name];
  return file !== undefined && given[file] !== undefined ? file : name;
}

/** Puts the content of each file in the place of the variable that it stands for. */
export function takeSecretFiles(given: Record<string, string | undefined>, problems: Problems): void {
  for (const [name, fileName] of Object.entries(SECRET_FILES)) {
    if (given[fileName] === undefined) continue;
    if (given[name] === undefined) given[name] = readFile(fileName, given[fileName], 'secret', problems);
    else problems.set(fileName, `${name} and ${fileName} are both set: keep one`);
  }
}

/** The URL of the database, with the password from its file; null where there is none, or none to use. */
export function completeUrl(values: Environment, problems: Problems): string | null {
  const { DATABASE_URL, DATABASE_PASSWORD_FILE } = values;
  if (DATABASE_URL === undefined || DATABASE_PASSWORD_FILE === undefined) return DATABASE_URL ?? null;
  const name = 'DATABASE_PASSWORD_FILE';
  const url = new URL(DATABASE_URL);
  if (url.password !== '') {
    problems.set(name, `${name} is set, but DATABASE_URL has a password already: keep one`);
    return null;
  }
  const password = readFile(name, DATABASE_PASSWORD_FILE, 'password', problems);
  if (password === undefined) return null;
  if (hasUnseenEnd(password.replace(/^ +| +$/g, ''))) {
    problems.set(name, `${name} holds a password that ${UNSEEN_END}`);
    return null;
  }
  url.password = encodeURIComponent(password);
  // A URL without a host takes no password, and says nothing.
  if (url.password === '') problems.set(name, `${name} needs a host in DATABASE_URL: add one`);
  return url.href;
}

/** What a file of ours holds, without the line break at its end; undefined, and a problem, when it holds nothing to use. */
function readFile(
  name: string,
  path: string,
  what: 'secret' | 'password',
  problems: Problems,
): string | undefined {
  if (problems.has(name)) return undefined;
  let why = `is empty: put the ${what} into the file`;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(path));
    const content = text.replace(/\r?\n$/, '');
    if (content !== '') return content;
  } catch (error) {
    why = explainUnreadable(error as NodeJS.ErrnoException);
  }
  problems.set(name, `${name} ${why}`);
  return undefined;
}

function explainUnreadable({ code = 'unknown error' }: NodeJS.ErrnoException): string {
  // Read all the same, it would be something else than it is: many secrets would be read as equal.
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return 'is not UTF-8 text: save the file as UTF-8';
  return `cannot be read (${code}): set it to a file that this user may read`;
}
