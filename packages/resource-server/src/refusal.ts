/** The ways a resource server says no to its caller, ready to be sent: status, headers and body. */
import type { ErrorCode } from '@gatehouse/protocol';

import type { Unanswered } from './unanswered.js';

const STATUS = {
  invalid_token: 401,
  insufficient_user_authentication: 401,
  insufficient_scope: 403,
  temporarily_unavailable: 503,
} as const satisfies Partial<Record<ErrorCode, number>>;

/** Of the service's codes, those that a resource server says itself. */
export type RefusalCode = keyof typeof STATUS;

/** Problem details (RFC 9457), as Gatehouse itself writes them. */
export interface Problem {
  type: 'about:blank';
  title: string;
  status: number;
  detail: string;
  error: RefusalCode;
}

const TITLES = {
  invalid_token: 'Invalid token',
  insufficient_user_authentication: 'Give the password again',
  insufficient_scope: 'Insufficient scope',
  temporarily_unavailable: 'Temporarily unavailable',
} as const satisfies Record<RefusalCode, string>;

/**
 * Thrown, so that whoever forgets to look lets nobody in. `status`, `statusCode`, `headers` and `expose` are what the
 * error handlers of Express, Koa and Fastify read; `problem` and `body` are what to send.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly error: RefusalCode;
  readonly status: 401 | 403 | 503;
  readonly statusCode: 401 | 403 | 503;
  readonly headers: Readonly<Record<string, string>>;
  readonly expose = true;
  readonly problem: Problem;

  constructor(
    error: RefusalCode,
    detail: string,
    { headers, cause }: { headers: Record<string, string>; cause?: Error },
  ) {
    super(detail, cause === undefined ? {} : { cause });
    this.error = error;
    this.status = this.statusCode = STATUS[error];
    this.headers = { 'cache-control': 'no-store', ...headers, 'content-type': 'application/problem+json' };
    this.problem = { type: 'about:blank', title: TITLES[error], status: this.status, detail, error };
  }

  /** The problem as JSON. */
  get body(): string {
    return JSON.stringify(this.problem);
  }
}

/** RFC 6750 section 3.1: who sent no token is told how, and of no error. */
export function noToken(): Refusal {
  return new Refusal('invalid_token', 'Send an access token as `Authorization: Bearer`.', {
    headers: { 'www-authenticate': 'Bearer realm="gatehouse"' },
  });
}

/**
 * @param given headers with the successor of a token that is just past its end; the reason, where the log should know one
 */
export function invalidToken(given: { headers?: Record<string, string>; cause?: Error } = {}): Refusal {
  const detail = 'The token is malformed, expired or revoked.';
  const challenge = `Bearer realm="gatehouse", error="invalid_token", error_description="${detail}"`;
  const headers = { ...given.headers, 'www-authenticate': challenge };
  return new Refusal('invalid_token', detail, { ...given, headers });
}

/** RFC 9470 section 3. @param maxAge in seconds */
export function insufficientAuthentication(maxAge: number, carried: Record<string, string>): Refusal {
  const detail = 'The user gave the password too long ago for this.';
  const challenge = `Bearer realm="gatehouse", error="insufficient_user_authentication", error_description="${detail}", max_age="${maxAge}"`;
  return new Refusal('insufficient_user_authentication', detail, {
    headers: { ...carried, 'www-authenticate': challenge },
  });
}

/** @param scope what is needed, a scope as RFC 6749 section 3.3 spells it: it goes into a header as it is */
export function insufficientScope(scope: string, carried: Record<string, string>): Refusal {
  const challenge = `Bearer realm="gatehouse", error="insufficient_scope", scope="${scope}"`;
  return new Refusal('insufficient_scope', `This needs the scope: ${scope}`, {
    headers: { ...carried, 'www-authenticate': challenge },
  });
}

/** Neither yes nor no. The reason is the `cause`, for the log. */
export function unavailable(cause: Unanswered): Refusal {
  return new Refusal(
    'temporarily_unavailable',
    'Whether the token is alive cannot be known right now: ask again.',
    {
      headers: { 'retry-after': String(cause.retryAfterSeconds) },
      cause,
    },
  );
}
