/** The one place where an error becomes a status, a body and a header (contract section 4). */
import type { ErrorCode } from '@gatehouse/protocol';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';

import { DatabaseUnavailable } from '../../database/unavailable.js';
import { AuthError } from '../../domain/errors.js';
import { withdrawCookies } from '../doors/cookies.js';
import { noteRefusal } from './failing.js';
import { REFRESHED_TOKEN_HEADER } from './reissue.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** How errors are written: problem details (RFC 9457) unless told otherwise. */
    errors?: 'oauth';
  }
}

export interface Meaning {
  status: number;
  title: string;
  detail: string;
}

export const MEANINGS = {
  invalid_request: { status: 400, title: 'Invalid request', detail: 'The request is malformed.' },
  invalid_credentials: {
    status: 401,
    title: 'Invalid credentials',
    detail: 'The user name or the password is wrong.',
  },
  invalid_token: {
    status: 401,
    title: 'Invalid token',
    detail: 'The token is missing, malformed, expired or revoked.',
  },
  refresh_reused: {
    status: 401,
    title: 'Refresh token reused',
    detail:
      'This refresh token was used before. In case it was stolen, the session has been ended: log in again.',
  },
  refresh_superseded: {
    status: 401,
    title: 'Refresh token superseded',
    detail:
      'A newer refresh token is in use, of this session or of the one that a new password has opened in its place. Use that one.',
  },
  insufficient_user_authentication: {
    status: 401,
    title: 'Give the password again',
    detail: 'The user gave the password too long ago for this.',
  },
  invalid_client: {
    status: 401,
    title: 'Invalid client',
    detail: 'The client id or the client secret is wrong.',
  },
  insufficient_scope: {
    status: 403,
    title: 'Insufficient scope',
    detail: 'The client lacks the permission for this.',
  },
  csrf_rejected: {
    status: 403,
    title: 'Cross-site request rejected',
    detail: 'The request came from another site.',
  },
  not_found: { status: 404, title: 'Not found', detail: 'There is nothing here.' },
  method_not_allowed: { status: 405, title: 'Method not allowed', detail: 'See the header Allow.' },
  username_taken: { status: 409, title: 'User name taken', detail: 'There is another user of this name.' },
  user_disabled: {
    status: 409,
    title: 'User disabled',
    detail: 'The user is disabled. Enable the user first.',
  },
  too_many_sessions: {
    status: 409,
    title: 'Logged in too often',
    detail: 'The user is logged in as often as is allowed. Log out elsewhere, and log in again.',
  },
  not_liftable: {
    status: 409,
    title: 'Not liftable',
    detail:
      'This end is final. Only what an operator has ended by session, network, client, jti or token can be lifted.',
  },
  client_id_taken: {
    status: 409,
    title: 'Client id taken',
    detail: 'There is a client of this id, or there was one: an id is never given again. Choose another one.',
  },
  too_many_secrets: {
    status: 409,
    title: 'Too many secrets',
    detail: 'The client has two secrets already. Delete the one that is not used any more first.',
  },
  too_large: {
    status: 413,
    title: 'Content too large',
    detail: 'The body is larger than is taken here: 16 KiB, and more for many tokens, ids or users at once.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    detail: 'See the documentation for what is taken.',
  },
  misdirected_request: {
    status: 421,
    title: 'Misdirected request',
    detail: 'The request was sent to another host than that of ISSUER.',
  },
  too_many_requests: {
    status: 429,
    title: 'Too many requests',
    detail: 'Wait as long as the Retry-After header says.',
  },
  headers_too_large: {
    status: 431,
    title: 'Header fields too large',
    detail: 'The headers are larger than 16 KiB.',
  },
  server_error: { status: 500, title: 'Server error', detail: 'Something went wrong on our side.' },
  temporarily_unavailable: {
    status: 503,
    title: 'Temporarily unavailable',
    detail: 'The answer cannot be known right now, and neither whether anything has changed: ask again.',
  },
} as const satisfies Record<ErrorCode, Meaning>;

/** Names of unknown members are repeated to whoever sent them, but not without bound. */
const ISSUE_CHARACTERS = 200;

/** Nor are all mistakes of a hostile request listed: it could hold thousands. */
const MAX_ISSUES = 20;

/** How long to wait before asking again, where the error itself does not say. */
const RETRY_AFTER_SECONDS = 1;

const CODES_OF_STATUS: Record<number, ErrorCode> = {
  404: 'not_found',
  405: 'method_not_allowed',
  413: 'too_large',
  415: 'unsupported_media_type',
  431: 'headers_too_large',
};

export function installErrors(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => sendError(toAuthError(error), request, reply));
  app.setNotFoundHandler((request, reply) => sendError(new AuthError('not_found'), request, reply));
}

/** Every error that can reach us, as one of ours; what nobody foresaw is a bug and says nothing. */
export function toAuthError(error: unknown): AuthError {
  if (error instanceof AuthError) return error;
  if (error instanceof DatabaseUnavailable) return new AuthError('temporarily_unavailable', { cause: error });
  if (hasZodFastifySchemaValidationErrors(error)) {
    const issues = error.validation.slice(0, MAX_ISSUES).map(({ instancePath, message }) => ({
      path: `${error.validationContext ?? ''}${instancePath === '/' ? '' : instancePath}`,
      message: (message ?? 'is invalid').slice(0, ISSUE_CHARACTERS),
    }));
    return new AuthError('invalid_request', { issues });
  }
  const { statusCode = 500 } = error as Partial<FastifyError>;
  if (statusCode === 503) return new AuthError('temporarily_unavailable', { cause: error });
  if (statusCode >= 400 && statusCode < 500)
    return new AuthError(CODES_OF_STATUS[statusCode] ?? 'invalid_request', { cause: error });
  return new AuthError('server_error', { cause: error });
}

export function sendError(error: AuthError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, title, detail } = MEANINGS[error.code];
  noteRefusal(error, request);
  if (status >= 500) {
    // The door, or a route, may have put them there before the answer failed.
    reply.removeHeader(REFRESHED_TOKEN_HEADER);
    withdrawCookies(reply);
  }
  setChallenge(error, request, reply);
  if (status === 429 || status === 503)
    reply.header('retry-after', String(error.retryAfterSeconds ?? RETRY_AFTER_SECONDS));
  reply.code(status);
  const { errors } = request.known ?? request.routeOptions.config;
  if (errors === 'oauth') {
    return reply.send({ error: error.code, error_description: describeForOauth(error, detail) });
  }
  return reply.type('application/problem+json').send({
    type: 'about:blank',
    title,
    status,
    detail: error.detail ?? detail,
    instance: request.id,
    error: error.code,
    // JSON leaves it out where there are none.
    errors: error.issues,
  });
}

/** RFC 6749 section 5.2 has one member for what problem details say in two, and admits neither quotes nor other alphabets. */
function describeForOauth({ detail, issues }: AuthError, fallback: string): string {
  const text = detail ?? issues?.map(({ message }) => message).join('; ') ?? fallback;
  return text.replaceAll(/[^\x20\x21\x23-\x5B\x5D-\x7E]/g, "'");
}

/** Every 401 names the way in (RFC 9110 section 15.5.2); a bearer challenge says `error` only about a token that was sent. */
function setChallenge(
  { code, maxAgeSeconds }: AuthError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  if (MEANINGS[code].status !== 401) return;
  // To a browser that shows a page, Basic would be a dialog that asks for a password.
  const isPage =
    request.routeOptions.config.door === 'operators' && request.headers.accept?.includes('text/html');
  if (code === 'invalid_client' && isPage !== true) {
    reply.header('www-authenticate', 'Basic realm="gatehouse", charset="UTF-8"');
    return;
  }
  const isAboutToken = code !== 'invalid_credentials' && request.carriesToken;
  const isTooOld = code === 'insufficient_user_authentication';
  const error = `, error="${isTooOld ? code : 'invalid_token'}", error_description="${MEANINGS[code].detail}"`;
  // RFC 9470 section 3, also about a token in a cookie.
  const age = isTooOld ? `, max_age="${maxAgeSeconds ?? 0}"` : '';
  reply.header('www-authenticate', `Bearer realm="gatehouse"${isAboutToken || isTooOld ? error + age : ''}`);
}
