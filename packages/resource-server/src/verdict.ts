/** Reads what Gatehouse answered, to the letter: whatever is not an answer to the question is neither yes nor no. */
import { isScope, isTokenText, type AccessClaims } from '@gatehouse/protocol';

import { Unanswered } from './unanswered.js';
import type { UpstreamAnswer } from './upstream.js';

/**
 * Whose live token it is: the claims, as Gatehouse names them. The user is the pair of `client_id` and `sub`: two clients that open sessions
 * for users of their own may have one name for two people.
 */
export type User = Omit<AccessClaims, 'ver'>;

export interface Verdict {
  /** Null for every token that is not alive. */
  user: Readonly<User> | null;
  /** The successor of a token near its end, or just past it. */
  refreshedToken: string | null;
  /** When Gatehouse answered, as the header `Date` says it. */
  date: unknown;
}

const TEXTS = ['iss', 'sub', 'client_id', 'username', 'sid', 'jti'];
const TIMES = ['iat', 'exp', 'auth_time', 'session_exp'];

const MAX_RETRY_AFTER_SECONDS = 60;

/** @throws {Unanswered} for everything but a well-formed introspection answer */
export function readVerdict(answer: UpstreamAnswer): Verdict {
  const { headers } = answer;
  return judge(readObject(answer), headers['refreshed-api-token'], headers['date']);
}

/**
 * Of as many tokens as were asked about, in their order. One result that cannot be read leaves all without an answer: nobody
 * knows then whose the others are.
 *
 * @throws {Unanswered} as above
 */
export function readVerdicts(answer: UpstreamAnswer, count: number): Verdict[] {
  const { results } = readObject(answer, HOW_ELSE_REFUSED);
  if (!Array.isArray(results) || results.length !== count)
    throw malformed(`does not give one result for each of ${count} tokens`);
  return results.map((result: unknown) => {
    if (!isObject(result)) throw malformed('gives a result that is no object');
    const { refreshed_token, ...one } = result;
    return judge(one, refreshed_token, answer.headers['date']);
  });
}

function judge(answer: Record<string, unknown>, successor: unknown, date: unknown): Verdict {
  const refreshedToken = readSuccessor(successor);
  if (answer['active'] === false) return { user: null, refreshedToken, date };
  if (answer['active'] !== true) throw malformed('does not say whether the token is active');
  return { user: readUser(answer), refreshedToken, date };
}

function readObject({ status, headers, text }: UpstreamAnswer, more = ''): Record<string, unknown> {
  if (status !== 200) throw unanswered(status, headers['retry-after'], more);
  if (!/^application\/json *(?:;|$)/i.test(String(headers['content-type']))) throw malformed('is not JSON');
  const answer = parse(text);
  if (!isObject(answer)) throw malformed('is not a JSON object');
  return answer;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What the parser says quotes what it read.
    return null;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readUser({ token_type, ...claims }: Record<string, unknown>): Readonly<User> {
  delete claims['active'];
  const wrong = [
    ...TEXTS.filter((name) => !isText(claims[name])),
    ...(isText(claims['aud']) || isTexts(claims['aud']) ? [] : ['aud']),
    ...TIMES.filter((name) => !Number.isSafeInteger(claims[name]) || Number(claims[name]) < 0),
    ...Object.entries(OPTIONAL)
      .filter(([name, isGood]) => claims[name] !== undefined && !isGood(claims[name]))
      .map(([name]) => name),
    ...(token_type === 'Bearer' ? [] : ['token_type']),
  ];
  if (wrong.length > 0) throw malformed(`lacks a good ${wrong.join(', ')}`);
  return freeze(claims as unknown as User);
}

/** Claims that not every token has. */
const OPTIONAL: Record<string, (value: unknown) => boolean> = {
  scope: isScope,
  ext: isObject,
  amr: isTexts,
  acr: isText,
  act: isActing,
};

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.length > 0 && value.every(isText);
}

/** RFC 8693 section 4.1: who acts, and within, who acted before. */
function isActing(value: unknown): boolean {
  for (let acting = value; acting !== undefined; acting = acting['act']) {
    if (!isObject(acting) || !isText(acting['sub'])) return false;
    if (![acting['iss'], acting['client_id']].every((text) => text === undefined || isText(text)))
      return false;
  }
  return true;
}

/** To its depth, which is that of an answer of any depth: the cache hands one object to many requests. */
function freeze<Frozen>(value: Frozen): Readonly<Frozen> {
  const objects: unknown[] = [value];
  for (const each of objects) {
    if (typeof each !== 'object' || each === null) continue;
    for (const inner of Object.values(Object.freeze(each))) objects.push(inner);
  }
  return value;
}

function readSuccessor(given: unknown): string | null {
  if (given === undefined) return null;
  if (typeof given !== 'string' || !isTokenText(given))
    throw malformed('carries a successor that is no token');
  return given;
}

function malformed(what: string): Unanswered {
  return new Unanswered(`What answers at \`url\` ${what}: is it Gatehouse?`, { isMisconfigured: true });
}

const ADVICE: Record<number, string> = {
  401: 'the client id or secret is wrong. `gatehouse clients list` shows the ids, `gatehouse clients add ID` makes a new client with its secret',
  403: 'the client lacks the permission. Add one with `gatehouse clients add ID --permission introspect`',
  404: 'there is no /introspect below `url`',
};

/** At the route for many tokens. To ask singly would not help where Gatehouse itself has said it, and hide what is wrong. */
const HOW_ELSE_REFUSED =
  '; or what stands before Gatehouse refuses /introspect/batch alone, which it must let pass';

/** @param more follows the advice about credentials and permissions */
function unanswered(status: number, retryAfter: unknown, more: string): Unanswered {
  if (status === 429 || status >= 500) {
    const seconds = /^[0-9]{1,4}$/.test(String(retryAfter)) ? Number(retryAfter) : 1;
    const retryAfterSeconds = Math.min(Math.max(seconds, 1), MAX_RETRY_AFTER_SECONDS);
    return new Unanswered(`Gatehouse answered ${status}.`, { retryAfterSeconds });
  }
  const advice = ADVICE[status] ?? '`url` may not be the address of Gatehouse';
  const ending = status === 401 || status === 403 ? more : '';
  return new Unanswered(`Gatehouse answered ${status}: ${advice}${ending}.`, { isMisconfigured: true });
}
