/** What the OpenAPI document says of each endpoint, beside the shapes that are checked anyway. */
import { z } from 'zod';

import { ACCESS_COOKIE, REFRESH_COOKIE } from './cookies.js';
import { oauthErrors, problems, withHeaders } from './documented.js';
import {
  accessClaims,
  introspection,
  sessionInCookies,
  sessionList,
  sessionsEnded,
  status,
  tokenPair,
} from './schemas.js';

const jwkSet = z.looseObject({
  keys: z.array(z.looseObject({ kid: z.string(), kty: z.string(), alg: z.string() })),
});
const nothing = z.null().describe('No content.');
const pair = withHeaders(z.union([tokenPair, sessionInCookies]), 'pair');
const form = { consumes: ['application/x-www-form-urlencoded'] };
const behindUsersDoor = { security: [{ accessToken: [] }, { accessCookie: [] }] };
const behindClientsDoor = { security: [{ clientBasic: [] }] };

export const describe = {
  login: {
    tags: ['people'],
    summary: 'Log in',
    description:
      'Turns a user name and a password into a session and its two tokens. With the transport `cookie` they are in cookies, and no ' +
      'script can read them.',
    response: { 200: pair, ...problems(400, 401, 403, 413, 415, 429, 503) },
  },
  refresh: {
    tags: ['people'],
    summary: 'Refresh',
    description:
      'Rotates the refresh token. The token before the current one gives the same successor again for a while ' +
      '(a lost answer, a second tab); later its return is taken for theft and ends the session. Answers in cookies where the ' +
      'token came in one.',
    security: [{ refreshCookie: [] }, {}],
    response: { 200: pair, ...problems(400, 401, 403, 413, 415, 429, 503) },
  },
  logout: {
    tags: ['people'],
    summary: 'Log out',
    description:
      'Ends the session of the access token in `Authorization`, of the refresh token in the body, or of the cookies. Expired ' +
      'tokens and sessions that have ended are fine.',
    security: [{ accessToken: [] }, { refreshCookie: [] }, { accessCookie: [] }, {}],
    response: { 204: withHeaders(nothing, 'end'), ...problems(400, 401, 403, 413, 415, 429, 503) },
  },
  logoutAll: {
    tags: ['people'],
    summary: 'Log out everywhere',
    description: 'Ends every session of the user, or every other one with `except_current`.',
    ...behindUsersDoor,
    response: { 200: withHeaders(sessionsEnded, 'end'), ...problems(400, 401, 403, 413, 415, 429, 503) },
  },
  password: {
    tags: ['people'],
    summary: 'Change the password',
    description:
      'Sets a new password and ends every other session of the user at once; the one that asks lives on. The current password ' +
      'is guessed at no faster than at `/login`.',
    ...behindUsersDoor,
    response: { 204: nothing, ...problems(400, 401, 403, 413, 415, 429, 503) },
  },
  session: {
    tags: ['people', 'gateways'],
    summary: 'Who is this?',
    description:
      'Claims of the access token, and who it is in `X-Auth-Subject`, `X-Auth-Username` (percent-encoded UTF-8), `X-Auth-Session` ' +
      'and `X-Auth-Scope`. Any method, also below `/session/`: the target for forward authentication. Carries ' +
      'the successor near the end of the token and in the grace after it.',
    ...behindUsersDoor,
    response: { 200: withHeaders(accessClaims, 'successor'), ...problems(400, 401, 403, 503) },
  },
  sessions: {
    tags: ['people'],
    summary: 'List sessions',
    description:
      'Where the user is logged in, latest used first, at most 1,000. Carries the successor of the token like `/session`.',
    ...behindUsersDoor,
    response: { 200: withHeaders(sessionList, 'successor'), ...problems(400, 401, 429, 503) },
  },
  endSession: {
    tags: ['people'],
    summary: 'End one session',
    description: 'Also when it had ended.',
    ...behindUsersDoor,
    response: { 204: withHeaders(nothing, 'end'), ...problems(400, 401, 403, 404, 429, 503) },
  },
  introspect: {
    tags: ['resource servers'],
    summary: 'Introspect',
    description:
      'RFC 7662. A live access token gives its claims; everything else, a refresh token included, exactly `{"active":false}`. ' +
      'Relay `Refreshed-API-Token`, when there is one, to your own caller. A parameter without a value counts as omitted.',
    ...form,
    ...behindClientsDoor,
    response: { 200: introspection, ...oauthErrors(400, 401, 403, 413, 415, 429, 503) },
  },
  revoke: {
    tags: ['resource servers'],
    summary: 'Revoke',
    description:
      'RFC 7009. A refresh token ends its session; an access token ends alone, with what it was and will be reissued as. ' +
      'A parameter without a value counts as omitted.',
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
    response: { 200: status, ...problems() },
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
      accessCookie: {
        type: 'apiKey',
        in: 'cookie',
        name: ACCESS_COOKIE,
        description:
          'Read where no bearer token is sent. What changes anything must come from a page of this origin: `Sec-Fetch-Site: ' +
          'same-origin`, or in its absence `Origin`.',
      },
      refreshCookie: { type: 'apiKey', in: 'cookie', name: REFRESH_COOKIE, description: 'As the other one.' },
      clientBasic: { type: 'http', scheme: 'basic', description: 'Client id and client secret.' },
    },
  },
} as const;
