/** Every way Gatehouse says no, as a closed set of codes that never change (contract section 4). */

export const AUTH_ERROR_CODES = [
  'invalid_request',
  'invalid_credentials',
  'invalid_token',
  'refresh_reused',
  'refresh_superseded',
  'invalid_client',
  'insufficient_scope',
  'csrf_rejected',
  'not_found',
  'method_not_allowed',
  'too_large',
  'unsupported_media_type',
  'misdirected_request',
  'headers_too_large',
  'too_many_requests',
  'server_error',
  'temporarily_unavailable',
] as const;

export type AuthErrorCode = (typeof AUTH_ERROR_CODES)[number];

export interface AuthErrorOptions {
  /** What really happened, for the log; never shown to the caller. */
  cause?: unknown;
  /** A sentence for the caller, where the code alone does not help. */
  detail?: string;
  /** When asking again makes sense. */
  retryAfterSeconds?: number;
  /** What is wrong with which member of the request. */
  issues?: { path: string; message: string }[];
}

/** A request that fails. Its code is public, its cause is not. */
export class AuthError extends Error {
  override name = 'AuthError';
  readonly code: AuthErrorCode;
  readonly detail: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly issues: { path: string; message: string }[] | undefined;

  constructor(code: AuthErrorCode, options: AuthErrorOptions = {}) {
    super(code, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.detail = options.detail;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.issues = options.issues;
  }
}

/** A cause in our own constant words, which may be logged; the message of any other error is withheld. */
export class Reason extends Error {
  override name = 'Reason';
}
