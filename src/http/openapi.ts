/** What the OpenAPI document says of each endpoint, beside the shapes that are checked anyway. */
import { z } from 'zod';

import {
  accessClaims,
  introspection,
  oauthError,
  problem,
  sessionList,
  sessionsEnded,
  status,
  tokenPair,
} from './schemas.js';

/** Why each status is answered, where it is. */
const REASONS = {
  400: 'The request is malformed: `invalid_request`.',
  401: 'See `error` and `WWW-Authenticate`.',
  403: 'The client lacks the permission: `insufficient_scope`.',
  404: 'No such session of the caller: `not_found`.',
  413: 'The body is larger than 16 KiB: `too_large`.',
  415: 'Another content type than the one shown: `unsupported_media_type`.',
  429: 'Too many attempts, or too many requests: `too_many_requests`, with `Retry-After`.',
  503: 'The database, or room to hash, is not to be had: `temporarily_unavailable`, with `Retry-After`.',
} as const;

function problems(...statuses: (keyof typeof REASONS)[]) {
  return describeErrors('application/problem+json', problem, statuses);
}

function oauthErrors(...statuses: (keyof typeof REASONS)[]) {
  return describeErrors('application/json', oauthError, statuses);
}

function describeErrors(contentType: string, schema: z.ZodType, statuses: (keyof typeof REASONS)[]) {
  return Object.fromEntries(
    statuses.map((code) => [code, { description: REASONS[code], content: { [contentType]: { schema } } }]),
  );
}

const jwkSet = z.looseObject({
  keys: z.array(z.looseObject({ kid: z.string(), kty: z.string(), alg: z.string() })),
});
const nothing = z.null().describe('No content.');
const form = { consumes: ['application/x-www-form-urlencoded'] };
const behindUsersDoor = { security: [{ accessToken: [] }] };
const behindClientsDoor = { security: [{ clientBasic: [] }] };

export const describe = {
  login: {
    tags: ['people'],
    summary: 'Log in',
    description: 'Turns a user name and a password into a session and its two tokens.',
    response: { 200: tokenPair, ...problems(400, 401, 413, 415, 429, 503) },
  },
  refresh: {
    tags: ['people'],
    summary: 'Refresh',
    description:
      'Rotates the refresh token. The token before the current one gives the same successor again for a while ' +
      '(a lost answer, a second tab); later its return is taken for theft and ends the session.',
    response: { 200: tokenPair, ...problems(400, 401, 413, 415, 429, 503) },
  },
  logout: {
    tags: ['people'],
    summary: 'Log out',
    description:
      'Ends the session of the access token in `Authorization`, or of the refresh token in the body. Expired tokens and ' +
      'sessions that have ended are fine.',
    security: [{ accessToken: [] }, {}],
    response: { 204: nothing, ...problems(400, 401, 413, 415, 429, 503) },
  },
  logoutAll: {
    tags: ['people'],
    summary: 'Log out everywhere',
    description: 'Ends every session of the user, or every other one with `except_current`.',
    ...behindUsersDoor,
    response: { 200: sessionsEnded, ...problems(400, 401, 413, 415, 429, 503) },
  },
  session: {
    tags: ['people', 'gateways'],
    summary: 'Who is this?',
    description:
      'Claims of the access token, and who it is in `X-Auth-Subject`, `X-Auth-Username` (percent-encoded UTF-8), `X-Auth-Session` ' +
      'and `X-Auth-Scope`. Any method, also below `/session/`: the target for forward authentication. Carries ' +
      '`Refreshed-API-Token` near the end of the token and in the grace after it.',
    ...behindUsersDoor,
    response: { 200: accessClaims, ...problems(401, 503) },
  },
  sessions: {
    tags: ['people'],
    summary: 'List sessions',
    description:
      'Where the user is logged in, latest used first, at most 1,000. Carries `Refreshed-API-Token` like `/session`.',
    ...behindUsersDoor,
    response: { 200: sessionList, ...problems(401, 429, 503) },
  },
  endSession: {
    tags: ['people'],
    summary: 'End one session',
    description: 'Also when it had ended.',
    ...behindUsersDoor,
    response: { 204: nothing, ...problems(401, 404, 429, 503) },
  },
  introspect: {
    tags: ['resource servers'],
    summary: 'Introspect',
    description:
      'RFC 7662. A live access token gives its claims; everything else, a refresh token included, exactly `{"active":false}`. ' +
      'Relay `Refreshed-API-Token`, when there is one, to your own caller.',
    ...form,
    ...behindClientsDoor,
    response: { 200: introspection, ...oauthErrors(400, 401, 403, 413, 415, 429, 503) },
  },
  revoke: {
    tags: ['resource servers'],
    summary: 'Revoke',
    description:
      'RFC 7009. A refresh token ends its session; an access token ends alone, with what it was and will be reissued as.',
    ...form,
    ...behindClientsDoor,
    response: { 200: nothing, ...oauthErrors(400, 401, 403, 413, 415, 429, 503) },
  },
  jwks: {
    tags: ['discovery'],
    summary: 'Public keys',
    description: 'RFC 7517. Who checks signatures alone learns of a logout only at `exp`.',
    response: {
      200: { description: 'The keys.', content: { 'application/jwk-set+json': { schema: jwkSet } } },
      ...problems(429, 503),
    },
  },
  metadata: {
    tags: ['discovery'],
    summary: 'Metadata',
    description: 'RFC 8414.',
    response: { 200: z.looseObject({ issuer: z.string() }), ...problems(429) },
  },
  health: {
    tags: ['operation'],
    summary: 'Alive?',
    description: 'Answers while the process lives.',
    response: { 200: status },
  },
  ready: {
    tags: ['operation'],
    summary: 'Ready?',
    description: 'Answers 200 while this replica can answer truthfully.',
    response: { 200: status, ...problems(503) },
  },
};

export const openapi = {
  openapi: '3.1.0',
  info: {
    title: 'Gatehouse',
    description:
      'Logs people in and, above all, logs them out: what was ended is refused by every replica at once.',
    version: '0.1.0',
    license: { name: 'MIT', identifier: 'MIT' },
  },
  components: {
    securitySchemes: {
      accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      clientBasic: { type: 'http', scheme: 'basic', description: 'Client id and client secret.' },
    },
  },
} as const;
