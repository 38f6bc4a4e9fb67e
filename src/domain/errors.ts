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

/** AUTH_SECRET does not open the signing keys. A new key is no answer: it would end nothing and start a second truth. */
export class WrongSecret extends Error {
  override name = 'WrongSecret';
}
