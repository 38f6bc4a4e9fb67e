/** What the OpenAPI document says of answers in general: why each status is given, and what travels in headers. */
import type { z } from 'zod';

import { oauthError, problem } from './schemas.js';

/** Why each status is answered, where it is. */
const REASONS = {
  400: 'The request is malformed, or a cookie of ours is there twice: `invalid_request`.',
  401: 'See `error` and `WWW-Authenticate`.',
  403: 'A client lacks the permission: `insufficient_scope`. A cookie came with a request that another site may have made: `csrf_rejected`.',
  404: 'No such session of the caller: `not_found`.',
  413: 'The body is larger than 16 KiB: `too_large`.',
  415: 'Another content type than the one shown: `unsupported_media_type`.',
  421: 'Sent to another host than that of `ISSUER`: a page, a request that acts by a cookie, or, where Gatehouse is at `localhost`, one of a browser: `misdirected_request`.',
  429: 'Too many attempts, or too many requests: `too_many_requests`, with `Retry-After`.',
  503: 'The database, or room to hash, is not to be had: `temporarily_unavailable`, with `Retry-After`.',
} as const;

export function problems(...statuses: (keyof typeof REASONS)[]) {
  return describeErrors('application/problem+json', problem, statuses);
}

export function oauthErrors(...statuses: (keyof typeof REASONS)[]) {
  return describeErrors('application/json', oauthError, statuses);
}

function describeErrors(contentType: string, schema: z.ZodType, statuses: (keyof typeof REASONS)[]) {
  return Object.fromEntries(
    // Any address may be asked by the page of another host.
    [...statuses, 421 as const].map((code) => [
      code,
      { description: REASONS[code], content: { [contentType]: { schema } } },
    ]),
  );
}

const HEADERS = {
  pair: {
    'Set-Cookie':
      'With cookies: `__Host-gatehouse-access` and `__Host-gatehouse-refresh`, one line each, `Secure; HttpOnly; SameSite=Lax; Path=/`.',
  },
  successor: {
    'Refreshed-API-Token': 'The successor of a bearer token near its end; also on the 401 of the grace.',
    'Set-Cookie':
      'The successor of an access cookie near its end, in its place; also on the 401 of the grace.',
  },
  end: {
    'Set-Cookie': 'With cookies: both are cleared when the session that asks has ended.',
  },
} as const;

/** A schema whose answer has these headers. */
export function withHeaders<Schema extends z.ZodType>(schema: Schema, of: keyof typeof HEADERS): Schema {
  const headers = Object.entries(HEADERS[of]).map(([name, description]) => [
    name,
    { type: 'string', description },
  ]);
  return schema.meta({ headers: Object.fromEntries(headers) as Record<string, unknown> });
}
