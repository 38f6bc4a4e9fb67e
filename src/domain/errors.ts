/** How a request fails: with one of the codes that the service shares with its callers. */
import type { ErrorCode } from '@gatehouse/protocol';

export interface AuthErrorOptions {
  /** What really happened, for the log; never shown to the caller. */
  cause?: unknown;
  /** A sentence for the caller, where the code alone does not help. */
  detail?: string;
  /** When asking again makes sense. */
  retryAfterSeconds?: number;
  /** How long ago the password may have been given at most, where it was longer ago. */
  maxAgeSeconds?: number;
  /** What is wrong with which member of the request. */
  issues?: { path: string; message: string }[];
}

/** A request that fails. Its code is public, its cause is not. */
export class AuthError extends Error {
  override name = 'AuthError';
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly maxAgeSeconds: number | undefined;
  readonly issues: { path: string; message: string }[] | undefined;

  constructor(code: ErrorCode, options: AuthErrorOptions = {}) {
    super(code, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.detail = options.detail;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.maxAgeSeconds = options.maxAgeSeconds;
    this.issues = options.issues;
  }
}

/** What is missing beside the database when a request cannot be served now. docs/metrics.md says what each means. */
export const LACKS = ['hashing', 'deadline', 'not_ready', 'other'] as const;

/** A cause in our own constant words, which may be logged; the message of any other error is withheld. */
export class Reason extends Error {
  override name = 'Reason';
  readonly lack: (typeof LACKS)[number];

  constructor(words: string, lack: Reason['lack'] = 'other') {
    super(words);
    this.lack = lack;
  }
}

/** Limits that callers reach by asking too often. docs/logs.md says what each means. */
export const LIMITS = [
  'rate_of_network',
  'rate_of_client',
  'rate_of_tokens',
  'rate_of_wrong_clients',
  'too_many_guesses_at_user',
  'too_many_guesses_by_network',
  'too_many_guesses_by_network_at_user',
] as const;
export type Limit = (typeof LIMITS)[number];

/** Which limit was reached: only the log and the events say it. Make it once, since a flood is refused a thousand times a second. */
export class LimitReached extends Reason {
  override name = 'LimitReached';
  readonly limit: Limit;

  constructor(limit: Limit) {
    super(limit);
    this.limit = limit;
  }
}

/** @param retryAfterSeconds when the limit lets the caller in again */
export function tooManyRequests(cause: LimitReached, retryAfterSeconds: number): AuthError {
  return new AuthError('too_many_requests', {
    cause,
    retryAfterSeconds: Math.max(1, Math.ceil(retryAfterSeconds)),
  });
}

/** AUTH_SECRET does not open the signing keys. A new key is no answer: it would end nothing and start a second truth. */
export class WrongSecret extends Error {
  override name = 'WrongSecret';
}
