/** What may be told of an error to a log or a terminal: what kind it is and where it happened, never what it held. */
import { sqlState } from '../../database/failure.js';
import { DatabaseUnavailable } from '../../database/unavailable.js';
import { StartError } from '../../database/start-error.js';
import { AuthError, Reason } from '../errors.js';

export interface Failure {
  type: string;
  /** SQLSTATE, or the code of Node or of a library. */
  code?: string;
  /** Our own words. The words of others repeat parameters, bodies and addresses with passwords. */
  message?: string;
  /** Functions and lines, without the message that a stack begins with. */
  stack?: string;
  cause?: Failure;
}

/** A cause may have a cause, and once one was its own. */
const DEPTH = 4;

/**
 * An error without its values. PostgreSQL quotes parameters in its messages, Prisma quotes PostgreSQL, parsers quote what
 * they cannot parse: so no message passes but those that are ours to the letter.
 */
export function describeFailure(error: unknown, depth = DEPTH): Failure {
  if (!(error instanceof Error)) return { type: error === null ? 'null' : typeof error };
  const code = codeOf(error);
  const message = findOwnWords(error);
  // A reason is found by its words, and may be needed a thousand times a second.
  const stack = error instanceof Reason ? '' : placesIn(error);
  return {
    type: nameOf(error),
    ...(code === undefined ? {} : { code }),
    ...(message === undefined ? {} : { message }),
    ...(stack === '' ? {} : { stack }),
    ...(error.cause === undefined || depth === 0 ? {} : { cause: describeFailure(error.cause, depth - 1) }),
  };
}

/** The same as lines for people. */
export function writeFailure({ type, code, message, stack, cause }: Failure): string {
  const head = [type, code === undefined ? '' : ` (${code})`, message === undefined ? '' : `: ${message}`];
  const lines = [head.join(''), ...(stack === undefined ? [] : [stack])];
  return [...lines, ...(cause === undefined ? [] : [`caused by ${writeFailure(cause)}`])].join('\n');
}

/** Of the class, which is in code; `name` may be set to anything. */
function nameOf(error: Error): string {
  const { name } = error.constructor;
  return /^\w{1,60}$/.test(name) ? name : 'Error';
}

function codeOf(error: Error): string | undefined {
  const code = sqlState(error) ?? (error as NodeJS.ErrnoException).code;
  return typeof code === 'string' && /^[A-Z0-9_]{1,60}$/.test(code) ? code : undefined;
}

function findOwnWords(error: Error): string | undefined {
  const isOurs = [AuthError, DatabaseUnavailable, StartError, Reason].some((ours) => error instanceof ours);
  return isOurs ? error.message : undefined;
}

/** Lines such as `at rotate (file:///…/sessions.js:10:7)`; those of a message that looks like one are cut out before. */
function placesIn({ stack = '', message }: Error): string {
  const places = message === '' ? stack : stack.replaceAll(message, () => '');
  return places
    .split('\n')
    .filter((line) => /^ {4}at (?:[\w$.<>[\] #]+ \()?[^\s()"'`?]+(?::\d+:\d+|\(?<anonymous>)\)?$/.test(line))
    .join('\n');
}
