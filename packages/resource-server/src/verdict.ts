/** Reads what Gatehouse answered, to the letter: whatever is not an answer to the question is neither yes nor no. */
import { isScope, type AccessClaims } from '@gatehouse/protocol';

import { Unanswered } from './unanswered.js';
import type { UpstreamAnswer } from './upstream.js';

/** Whose live token it is: the claims, as Gatehouse names them. */
export type User = AccessClaims;

export interface Verdict {
  /** Null for every token that is not alive. */
  user: Readonly<User> | null;
  /** The successor of a token near its end, or just past it. */
  refreshedToken: string | null;
}

const TEXTS = ['iss', 'sub', 'aud', 'client_id', 'username', 'sid', 'jti'];
const TIMES = ['iat', 'exp', 'auth_time', 'session_exp'];

/** RFC 6750 section 2.1. */
const TOKEN = /^[\w\-.~+/]+=*$/;

const MAX_RETRY_AFTER_SECONDS = 60;

/** @throws {Unanswered} for everything but a well-formed introspection answer */
export function readVerdict({ status, headers, text }: UpstreamAnswer): Verdict {
  if (status !== 200) throw unanswered(status, headers['retry-after']);
  if (!/^application\/json *(?:;|$)/i.test(String(headers['content-type']))) throw malformed('is not JSON');
  const answer = parse(text);
  if (answer === null) throw malformed('is not a JSON object');
  const refreshedToken = readSuccessor(headers['refreshed-api-token']);
  if (answer['active'] === false) return { user: null, refreshedToken };
  if (answer['active'] !== true) throw malformed('does not say whether the token is active');
  return { user: readUser(answer), refreshedToken };
}

function parse(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : null;
  } catch {
    // What the parser says quotes what it read.
    return null;
  }
}

function readUser({ token_type, ...claims }: Record<string, unknown>): Readonly<User> {
  delete claims['active'];
  const { scope } = claims;
  const wrong = [
    ...TEXTS.filter((name) => typeof claims[name] !== 'string' || claims[name] === ''),
    ...TIMES.filter((name) => !Number.isSafeInteger(claims[name]) || Number(claims[name]) < 0),
    ...(scope === undefined || isScope(scope) ? [] : ['scope']),
    ...(token_type === 'Bearer' ? [] : ['token_type']),
  ];
  if (wrong.length > 0) throw malformed(`lacks a good ${wrong.join(', ')}`);
  return Object.freeze(claims as unknown as User);
}

function readSuccessor(header: string | string[] | undefined): string | null {
  if (header === undefined) return null;
  if (typeof header !== 'string' || !TOKEN.test(header))
    throw malformed('carries a successor that is no token');
  return header;
}

function malformed(what: string): Unanswered {
  return new Unanswered(`What answers at \`url\` ${what}: is it Gatehouse?`, { isMisconfigured: true });
}

const ADVICE: Record<number, string> = {
  401: 'the client id or secret is wrong. `gatehouse clients list` shows the ids, `gatehouse clients add ID` makes a new client with its secret',
  403: 'the client lacks the permission. Add one with `gatehouse clients add ID --permission introspect`',
  404: 'there is no /introspect below `url`',
};

function unanswered(status: number, retryAfter: unknown): Unanswered {
  if (status === 429 || status >= 500) {
    const seconds = /^[0-9]{1,4}$/.test(String(retryAfter)) ? Number(retryAfter) : 1;
    const retryAfterSeconds = Math.min(Math.max(seconds, 1), MAX_RETRY_AFTER_SECONDS);
    return new Unanswered(`Gatehouse answered ${status}.`, { retryAfterSeconds });
  }
  const advice = ADVICE[status] ?? '`url` may not be the address of Gatehouse';
  return new Unanswered(`Gatehouse answered ${status}: ${advice}.`, { isMisconfigured: true });
}
