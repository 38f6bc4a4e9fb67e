/** How a call fails: one class for all that Gatehouse, or the way to it, may say. */
import type { ErrorCode } from '@gatehouse/protocol';

/** Ours, where the service says nothing. */
type OwnCode = 'unreachable' | 'unexpected_answer';

/** What is wrong with a member of the request. */
export interface Issue {
  /** Such as `body/ext`. */
  path: string;
  message: string;
}

export interface ErrorDetails {
  status?: number;
  retryAfterSeconds?: number | undefined;
  errors?: Issue[] | undefined;
  cause?: unknown;
}

/** Decide by `code` and `isUnavailable`; `message` is a sentence in English for the log, and holds neither secret nor token. */
export class BackendError extends Error {
  override readonly name = 'BackendError';
  /**
   * A code of the service, which never changes (`invalid_request`, `user_disabled`, `temporarily_unavailable`, …), or one of ours:
   * `unreachable` (no answer in time, or a redirect) and `unexpected_answer` (not one of Gatehouse's, perhaps a proxy's).
   */
  readonly code: ErrorCode | OwnCode | (string & {});
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** How many seconds to wait before another try, where the answer says it. */
  readonly retryAfterSeconds: number | undefined;
  /** What is wrong with which member, for `invalid_request`. */
  readonly errors: readonly Issue[] | undefined;

  constructor(code: BackendError['code'], message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? {} : { cause: details.cause });
    this.code = code;
    this.status = details.status ?? 0;
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.errors = details.errors;
  }

  /**
   * Whether it may work later as it is: no answer, 429 or 5xx. It says nothing of the user, so nobody has to be turned away for good. After a
   * 429 nothing has happened; after the others nobody knows.
   */
  get isUnavailable(): boolean {
    return this.code === 'unreachable' || this.status === 429 || this.status >= 500;
  }
}

export function unexpected(status: number, why: string, more: ErrorDetails = {}): BackendError {
  return new BackendError('unexpected_answer', `Gatehouse answered ${status}, and ${why}: is it Gatehouse?`, {
    ...more,
    status,
  });
}
