/** Names and values of the environment that are not what they look like: misspelt, or with characters in them that nobody sees. */
import { UNSEEN } from '../database/database-url.js';
import { hasUnseenEnd, UNSEEN_END, VARIABLES, type Environment } from './variables.js';

/** What these begin and end with is judged by what they are: lists drop white space, and secrets may have a space there. */
const MAY_HAVE_BLANK_ENDS: ReadonlySet<string> = new Set<keyof Environment>([
  'DATABASE_URL',
  'AUTH_SECRET',
  'AUTH_SECRET_PREVIOUS',
  'CORS_ORIGINS',
  'TRUST_PROXY',
]);

/** Our settings whose values begin or end with what nobody sees, each with what to do about it. */
export function findUnseenEnds(
  environment: Record<string, string | undefined>,
): [name: string, problem: string][] {
  return VARIABLES.flatMap((name) =>
    hasUnseenEnd(environment[name] ?? '') && !MAY_HAVE_BLANK_ENDS.has(name)
      ? [[name, `${name} ${UNSEEN_END}`]]
      : [],
  );
}

/**
 * Which of our settings a name is, or looks like: a name may have characters in it that nobody sees, such as the byte-order mark
 * in front of a file's first name, or letters of full width.
 */
export function findOwnName(name: string): string | undefined {
  const seen = seenOf(name);
  return VARIABLES.find((own) => own === (seen === name ? name : seen.toUpperCase()));
}

/** What is wrong with a name that is not ours, but that looks like ours. */
export function explainName(own: string): string {
  return `${own} is written with an invisible or a full-width character in its name: type the name anew`;
}

function seenOf(name: string): string {
  return Array.from(name.normalize('NFKC'))
    .filter((character) => !UNSEEN.test(character))
    .join('');
}

/** Names like HOST and PORT are one letter away from those of other programs. */
const LEAST_TYPO_LENGTH = 6;

/** Warnings of variables that are not read, where somebody may believe that they are. */
export function findUnread(environment: Record<string, string | undefined>): string[] {
  return [...findTypos(environment), ...findClientVariables(environment)];
}

/** A warning that names the variables of PostgreSQL's own clients, which change no connection of ours. */
function findClientVariables(environment: Record<string, string | undefined>): string[] {
  const names = Object.keys(environment).filter((name) => /^PG[A-Z]/i.test(name));
  if (names.length === 0) return [];
  return [`not read: ${names.sort().join(', ')}; what a connection needs goes into DATABASE_URL`];
}

/** A warning for each variable that is not ours, but whose name looks as if it was meant to be. */
function findTypos(environment: Record<string, string | undefined>): string[] {
  return Object.keys(environment).flatMap((typed) => {
    const name = seenOf(typed);
    if (VARIABLES.includes(name) || name.length < LEAST_TYPO_LENGTH) return [];
    const meant = VARIABLES.find(
      (ours) => ours.length >= LEAST_TYPO_LENGTH && isTypo(name.toUpperCase(), ours),
    );
    return meant === undefined || environment[meant] !== undefined
      ? []
      : [`${name} is not read; if you meant ${meant}, rename it`];
  });
}

/** Whether one letter is wrong, missing or too many, or two neighbours are swapped. */
function isTypo(text: string, meant: string): boolean {
  let start = 0;
  while (start < meant.length && text[start] === meant[start]) start += 1;
  const [rest, ours] = [text.slice(start), meant.slice(start)];
  const swapped = `${ours[1] ?? ''}${ours[0] ?? ''}${ours.slice(2)}`;
  return (
    rest === ours ||
    rest.slice(1) === ours.slice(1) ||
    rest === ours.slice(1) ||
    rest.slice(1) === ours ||
    rest === swapped
  );
}
