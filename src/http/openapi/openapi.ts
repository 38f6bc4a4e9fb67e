/** What the OpenAPI document says of each endpoint, beside the shapes that are checked anyway. */
import { z } from 'zod';

import { ACCESS_COOKIE, REFRESH_COOKIE } from '../doors/cookies.js';
import { answer, HEADERS, noContent, oauthErrors, problems, withHeadersOn401 } from './documented.js';
import { clientSession, openedSession } from './backend-schemas.js';
import {
  accessClaims,
  addresses,
  introspection,
  introspectionBatch,
  keySet,
  readiness,
  serverMetadata,
  sessionInCookies,
  sessionList,
  sessionsEnded,
  singleToken,
  status,
  tokenPair,
} from './schemas.js';

const pair = answer(
  'The tokens: in the body, or, for a page in cookie mode, in cookies.',
  z.xor([tokenPair, sessionInCookies]),
  { headers: HEADERS.pair },
);
const behindNoDoor = { security: [] };
const behindUsersDoor = { security: [{ accessToken: [] }, { accessCookie: [] }] };
// RFC 6749 section 2.3.1: where nothing is in the header, id and secret are in the form, of which OpenAPI knows no scheme.
const behindClientsDoor = { security: [{ clientBasic: [] }, {}] };
const behindBasic = { security: [{ clientBasic: [] }] };
/** At one address users stand with a token, and backends with their secret. */
const behindEitherDoor = { security: [...behindUsersDoor.security, ...behindBasic.security] };
const form = { consumes: ['application/x-www-form-urlencoded'] };
const CLIENTS_DOOR =
  ' The client authenticates with Basic (`client_secret_basic`), or with `client_id` and `client_secret` in the form ' +
  '(`client_secret_post`). A parameter without a value counts as omitted.';

/** Of every operation that takes a body. */
const BODY = ['too_large', 'unsupported_media_type'] as const;
/** Of every operation that a flood can be stopped at. */
const BUSY = ['too_many_requests', 'temporarily_unavailable'] as const;

export const describe = {
  login: {
    operationId: 'logIn',
    tags: ['people'],
    summary: 'Log in',
    description:
      'Turns a user name and a password into a session and its two tokens. With the transport `cookie` they are in cookies, and no ' +
      'script can read them.',
    ...behindNoDoor,
    response: {
      200: pair,
      ...problems('invalid_credentials', 'csrf_rejected', 'too_many_sessions', ...BODY, ...BUSY),
    },
  },
  refresh: {
    operationId: 'refreshTokens',
    tags: ['people'],
    summary: 'Refresh',
    description:
      'Rotates the refresh token. The token before the current one gives the same successor again for a while ' +
      '(a lost answer, a second tab); later its return is taken for theft and ends the session. Answers in cookies where the ' +
      'token came in one.',
    security: [{ refreshCookie: [] }, {}],
    response: {
      200: pair,
      ...withHeadersOn401(
        problems('invalid_token', 'refresh_reused', 'refresh_superseded', 'csrf_rejected', ...BODY, ...BUSY),
        HEADERS.end,
      ),
    },
  },
  logout: {
    operationId: 'logOut',
    tags: ['people'],
    summary: 'Log out',
    description:
      'Ends the session of the access token in `Authorization`, of the refresh token in the body, or of the cookies. Expired ' +
      'tokens and sessions that have ended are fine.',
    security: [{ accessToken: [] }, { refreshCookie: [] }, { accessCookie: [] }, {}],
    response: {
      204: noContent('The session has ended.', HEADERS.end),
      ...withHeadersOn401(problems('invalid_token', 'csrf_rejected', ...BODY, ...BUSY), HEADERS.end),
    },
  },
  logoutAll: {
    operationId: 'logOutEverywhere',
    tags: ['people'],
    summary: 'Log out everywhere',
    description:
      'Ends every session of the user, or every other one with `except_current`. All of them end; 1,000 are counted. ' +
      'A client with the permission `sessions:open` names a user of its own instead: `{"external_id": "…"}`, with Basic and without cookies.',
    ...behindEitherDoor,
    response: {
      200: answer('How many sessions have ended.', sessionsEnded, { headers: HEADERS.end }),
      ...problems('invalid_token', 'invalid_client', 'insufficient_scope', 'csrf_rejected', ...BODY, ...BUSY),
    },
  },
  password: {
    operationId: 'changePassword',
    tags: ['people'],
    summary: 'Change the password',
    description:
      'Sets a new password, ends every session of the user at once, the one that asks included, and opens a new one for the ' +
      'device that asks: answers with its tokens, in cookies where the token came in one. The same request with the same ' +
      'token once more gets tokens of the same new session for a while (a lost answer). The passwords are guessed at no ' +
      'faster than at `/login`.',
    ...behindUsersDoor,
    response: {
      200: pair,
      ...problems(
        'invalid_token',
        'insufficient_scope',
        'invalid_credentials',
        'csrf_rejected',
        ...BODY,
        ...BUSY,
      ),
    },
  },
  reauthenticate: {
    operationId: 'reauthenticate',
    tags: ['people'],
    summary: 'Give the password again',
    description:
      'An access token whose `auth_time` is now, of the same session, for what asks for a password that was given a moment ago (RFC 9470). ' +
      'Tokens of `/refresh` go on with the `auth_time` of the login. Passwords are guessed at no faster than at `/login`.',
    ...behindUsersDoor,
    response: {
      200: answer(
        'The access token: in the body, or, for a page in cookie mode, in a cookie.',
        z.xor([singleToken, sessionInCookies]),
        { headers: HEADERS.pair },
      ),
      ...problems(
        'invalid_token',
        'insufficient_scope',
        'invalid_credentials',
        'csrf_rejected',
        ...BODY,
        ...BUSY,
      ),
    },
  },
  resetPassword: {
    operationId: 'resetPassword',
    tags: ['people'],
    summary: 'Set a password with a code',
    description:
      'For who forgot the password, or is invited. Sets it, ends every session of the user and unlocks the account. A code works once; a new ' +
      'password that is not good enough does not use it up. Log in afterwards.',
    ...behindNoDoor,
    response: {
      204: noContent('The password is set.'),
      ...problems('invalid_credentials', ...BODY, ...BUSY),
    },
  },
  session: {
    operationId: 'getSession',
    tags: ['people', 'gateways'],
    summary: 'Who is this?',
    description:
      'Claims of the access token, and who it is in `X-Auth-Subject`, `X-Auth-Client`, `X-Auth-Username` (percent-encoded UTF-8), ' +
      '`X-Auth-Session`, `X-Auth-Scope` and, with `GATEWAY_EXT=on`, `X-Auth-Ext`. A user is the pair of client and subject. Any method, also below `/session/`: the target for forward authentication. Carries ' +
      'the successor near the end of the token and in the grace after it. With `max_age`, at this very path, 401 where the password was given longer ago.',
    ...behindUsersDoor,
    response: {
      200: answer('Claims of the access token.', accessClaims, {
        headers: { ...HEADERS.identity, ...HEADERS.successor },
      }),
      ...withHeadersOn401(
        problems(
          'invalid_token',
          'insufficient_scope',
          'insufficient_user_authentication',
          'csrf_rejected',
          'temporarily_unavailable',
        ),
        HEADERS.successor,
      ),
    },
  },
  sessions: {
    operationId: 'listSessions',
    tags: ['people'],
    summary: 'List sessions',
    description:
      'Where the user is logged in, latest opened first: at most 1,000, the session that asks always among them. Carries the ' +
      'successor of the token like `/session`.',
    ...behindUsersDoor,
    response: {
      200: answer('Sessions of the user.', sessionList, { headers: HEADERS.successor }),
      ...withHeadersOn401(problems('invalid_token', 'insufficient_scope', ...BUSY), HEADERS.successor),
    },
  },
  endSession: {
    operationId: 'endSession',
    tags: ['people'],
    summary: 'End one session',
    description:
      'Also when it had ended. A user ends one of their own; a client with the permission `sessions:open`, with Basic and without cookies, one ' +
      'that it has opened.',
    ...behindEitherDoor,
    response: {
      204: noContent('The session has ended.', HEADERS.end),
      ...problems(
        'invalid_token',
        'invalid_client',
        'insufficient_scope',
        'csrf_rejected',
        'not_found',
        ...BODY,
        ...BUSY,
      ),
    },
  },
  openSession: {
    operationId: 'openSession',
    tags: ['backends'],
    summary: 'Open a session for a user of your own',
    description:
      'For a program that knows by itself who the user is. The first session makes the user. The client needs the permission ' +
      '`sessions:open`. A user is the pair of `client_id` and `sub`: two clients can use one `external_id`, and mean two users.',
    ...behindBasic,
    response: {
      201: answer('The tokens.', openedSession, { headers: HEADERS.created }),
      ...problems(
        'invalid_client',
        'insufficient_scope',
        'user_disabled',
        'too_many_sessions',
        ...BODY,
        ...BUSY,
      ),
    },
  },
  changeSession: {
    operationId: 'changeSession',
    tags: ['backends'],
    summary: 'Change what tokens of a session say',
    description:
      'A merge patch (RFC 7396). Access tokens of before are dead from the answer on, on every replica, and `/refresh` mints new ones. A ' +
      'change of nothing ends none.',
    ...behindBasic,
    response: {
      200: answer('The session.', clientSession),
      ...problems('invalid_client', 'insufficient_scope', 'not_found', ...BODY, ...BUSY),
    },
  },
  introspect: {
    operationId: 'introspectToken',
    tags: ['resource servers'],
    summary: 'Introspect',
    description:
      'RFC 7662. A live access token gives its claims; everything else, a refresh token included, exactly `{"active":false}`. ' +
      `Relay \`Refreshed-API-Token\`, when there is one, to your own caller.${CLIENTS_DOOR}`,
    ...form,
    ...behindClientsDoor,
    response: {
      200: answer('Whether the token is alive, and its claims.', introspection, {
        headers: HEADERS.relayedSuccessor,
      }),
      ...oauthErrors('invalid_client', 'insufficient_scope', ...BODY, ...BUSY),
    },
  },
  introspectBatch: {
    operationId: 'introspectTokens',
    tags: ['resource servers'],
    summary: 'Introspect many',
    description:
      'Up to 256 tokens at once, in a body of up to 1 MiB. Each result is what `/introspect` would answer at the time of the ' +
      'request, with the successor in `refreshed_token` where one is due. All are answered, or none. The client authenticates ' +
      'with Basic.',
    ...behindBasic,
    response: {
      200: answer('Of each token whether it is alive, and its claims.', introspectionBatch),
      ...problems('invalid_client', 'insufficient_scope', ...BODY, ...BUSY),
    },
  },
  revoke: {
    operationId: 'revokeToken',
    tags: ['resource servers'],
    summary: 'Revoke',
    description: `RFC 7009. A refresh token ends its session; an access token ends alone, with what it was and will be reissued as.${CLIENTS_DOOR}`,
    ...form,
    ...behindClientsDoor,
    response: {
      200: noContent('The token is not alive now. Perhaps it never was.'),
      ...oauthErrors('invalid_client', 'insufficient_scope', ...BODY, ...BUSY),
    },
  },
  jwks: {
    operationId: 'getPublicKeys',
    tags: ['discovery'],
    summary: 'Public keys',
    description: 'RFC 7517. Who checks signatures alone learns of a logout only at `exp`.',
    ...behindNoDoor,
    response: {
      200: answer('The keys.', keySet, { type: 'application/jwk-set+json' }),
      ...problems(...BUSY),
    },
  },
  metadata: {
    operationId: 'getServerMetadata',
    tags: ['discovery'],
    summary: 'Metadata',
    description: 'RFC 8414.',
    ...behindNoDoor,
    response: { 200: answer('Where everything is.', serverMetadata), ...problems('too_many_requests') },
  },
  root: {
    operationId: 'getAddresses',
    tags: ['discovery'],
    summary: 'Where everything is',
    description: 'A browser, which asks for HTML, is led to a page. A program gets addresses.',
    ...behindNoDoor,
    response: {
      200: answer('The addresses that need no token.', addresses),
      302: noContent('A browser, led to a page.', HEADERS.page),
      ...problems('too_many_requests'),
    },
  },
  health: {
    operationId: 'getHealth',
    tags: ['operation'],
    summary: 'Alive?',
    description: 'Answers while the process lives.',
    ...behindNoDoor,
    response: { 200: answer('The process lives.', status), ...problems() },
  },
  ready: {
    operationId: 'getReadiness',
    tags: ['operation'],
    summary: 'Ready?',
    description:
      'Answers 200 while this replica can answer truthfully. `fence` is there, and `off`, where PostgreSQL does not tell which of ' +
      'several primaries was promoted last. `commits` is there, and `waiting`, while commits wait for a synchronous standby: then ' +
      'tokens are judged, and logins, refreshes and logouts are answered 503.',
    ...behindNoDoor,
    response: { 200: answer('This replica is ready.', readiness), ...problems('temporarily_unavailable') },
  },
};

export const openapi = {
  openapi: '3.1.0',
  info: {
    title: 'Gatehouse',
    description:
      'Logs people in and, above all, logs them out: what was ended is refused by every replica at once.\n\n' +
      'Every refusal has a code in `error`, which never changes. Ignore members of an answer that you do not know: there may be ' +
      'more of them one day. A request that arrives too slowly is refused with 408, and one with another `Expect` than ' +
      '`100-continue` with 417, both as `invalid_request`.',
    license: { name: 'MIT', identifier: 'MIT' },
  },
  // In the order in which somebody meets them: the page shows them so.
  tags: [
    { name: 'people', description: 'Log in, stay logged in, log out: for people and their programs.' },
    {
      name: 'backends',
      description:
        'Open, change and end sessions for users of your own, as a program that knows by itself who they are.',
    },
    {
      name: 'resource servers',
      description: 'Ask about a token: for services that are sent tokens. Each is a client with a secret.',
    },
    { name: 'gateways', description: 'Ask about each request that a gateway lets through.' },
    { name: 'discovery', description: 'Public keys and addresses, for libraries.' },
    {
      name: 'operators',
      description:
        'Look up sessions, end what has leaked, and take it back: for programs of those who run this service.',
    },
    { name: 'operation', description: 'For load balancers and supervisors.' },
  ],
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
      clientBasic: {
        type: 'http',
        scheme: 'basic',
        description: 'Client id and client secret, both percent-encoded (RFC 6749 section 2.3.1).',
      },
    },
  },
} as const;
