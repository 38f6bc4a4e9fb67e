/** Shapes on the wire, as zod: what is checked is also what the OpenAPI document shows, by the names in `id`. */
import { ERROR_CODES } from '@gatehouse/protocol';
import { z } from 'zod';

import { MOST_JUDGED_TOGETHER } from '../../domain/liveness/liveness.js';

const wellFormed = z.string().refine((text) => text.isWellFormed(), 'contains a lone surrogate');

const token = z.string().min(1, 'must not be empty').describe('A JWT that Gatehouse issued.');

export const loginBody = z
  .strictObject({
    username: wellFormed.describe('Case and width do not matter (RFC 8265 UsernameCaseMapped).'),
    password: wellFormed.describe('Taken as typed.'),
    transport: z
      .enum(['bearer', 'cookie'])
      .optional()
      .describe(
        '`bearer` (the default): both tokens in the answer. `cookie`: both in cookies that no script can read.',
      ),
    session_ttl: z
      .int()
      .min(1, 'must be 1 or more')
      .optional()
      .describe(
        'After how many seconds the session ends for good; no more than `SESSION_TTL`, which is the default.',
      ),
  })
  .meta({ id: 'Login' });

/** The refresh token may come in a cookie instead. */
export const refreshBody = z
  .strictObject({ refresh_token: token.optional() })
  .meta({ id: 'Refresh' })
  .nullish();

/** Clients that always send JSON send `{}` beside the access token. */
export const logoutBody = z
  .strictObject({ refresh_token: token.optional() })
  .meta({ id: 'Logout' })
  .nullish();

export const logoutAllBody = z
  .strictObject({ except_current: z.boolean().optional().describe('Keep the session that asks.') })
  .meta({ id: 'LogoutAll' })
  .nullish();

export const passwordBody = z
  .strictObject({
    current_password: wellFormed.describe('Taken as typed.'),
    new_password: wellFormed.describe(
      'Taken as typed: at least as many characters as `PASSWORD_MIN_LENGTH` says (15 by default), at most 256, hard to guess, and nothing ' +
        'that nobody can see.',
    ),
  })
  .meta({ id: 'PasswordChange' });

export const reauthenticateBody = z
  .strictObject({ password: wellFormed.describe('Taken as typed.') })
  .meta({ id: 'Reauthentication' });

/** Gateways may add parameters of their own. */
export const sessionQuery = z.looseObject({
  max_age: z
    .string('is repeated')
    .regex(/^(?:0|[1-9][0-9]{0,8})$/, 'must be a number of seconds')
    .optional()
    .describe('How many seconds ago the password may have been given at most (RFC 9470).'),
});

export const resetBody = z
  .strictObject({
    code: z
      .string()
      .min(1, 'must not be empty')
      .max(200, 'must have at most 200 characters')
      .describe('What an operator has given, without spaces around it.'),
    new_password: passwordBody.shape.new_password,
  })
  .meta({ id: 'PasswordReset' });

export const sessionParams = z.object({ id: z.string().describe('Id of a session of the caller.') });

/**
 * `/introspect` and `/revoke`: unknown parameters are ignored, repeated ones (arrays by now) refused, and those without a
 * value are gone by now.
 */
export const tokenForm = z
  .looseObject({
    token: z
      .string('token is missing or repeated')
      .describe('What Gatehouse issued, or somebody takes for it.'),
    token_type_hint: z
      .string('token_type_hint is repeated')
      .optional()
      .describe('A hint only: both kinds are recognised without it.'),
    client_id: z
      .string('client_id is repeated')
      .optional()
      .describe('In the place of Basic, or the same beside it.'),
    client_secret: z.string('client_secret is repeated').optional().describe('Like `client_id`.'),
  })
  .superRefine((form, context) => {
    for (const name in form) {
      if (Array.isArray(form[name]))
        context.addIssue({ code: 'custom', path: [name], message: 'an unknown parameter is repeated' });
    }
  })
  .meta({ id: 'TokenForm' });
export type TokenForm = z.infer<typeof tokenForm>;

export const tokenBatch = z
  .strictObject({
    tokens: z
      .array(z.string())
      .min(1, 'must hold 1 token or more')
      .max(MOST_JUDGED_TOGETHER, `must hold ${MOST_JUDGED_TOGETHER} tokens or fewer`)
      .describe('What Gatehouse issued, or somebody takes for it.'),
  })
  .meta({ id: 'TokenBatch' });

const seconds = z.int().describe('Seconds.');
const numericDate = z.int().describe('NumericDate (RFC 7519): seconds since 1970.');

export const tokenPair = z
  .object({
    access_token: z.string(),
    token_type: z.literal('Bearer'),
    expires_in: seconds,
    refresh_token: z.string(),
    refresh_expires_in: seconds,
    session_id: z.uuid(),
  })
  .meta({ id: 'TokenPair' });

/** What `/reauthenticate` gives: an access token of the same session. */
export const singleToken = z
  .strictObject({ access_token: z.string(), token_type: z.literal('Bearer'), expires_in: seconds })
  .meta({ id: 'AccessToken' });

/** What a page is told of a session whose tokens are in cookies. Strict, so that no token pair can be taken for one. */
export const sessionInCookies = z
  .strictObject({ expires_in: seconds, session_id: z.uuid() })
  .meta({ id: 'SessionInCookies' });

export const accessClaims = z
  .object({
    iss: z.string(),
    sub: z
      .string()
      .describe('A UUID for users who were made here; what the backend calls the user for others.'),
    aud: z.union([z.string(), z.array(z.string())]),
    client_id: z
      .string()
      .describe(
        '`gatehouse`, or the client that has opened the session. Together with `sub` it says who the user is.',
      ),
    username: z.string(),
    scope: z.string().optional(),
    ext: z.looseObject({}).optional().describe('What the backend says of the session.'),
    amr: z.array(z.string()).optional(),
    acr: z.string().optional(),
    act: z.looseObject({}).optional(),
    sid: z.uuid(),
    jti: z.string().describe('`<lineage>.<generation>`'),
    iat: numericDate,
    exp: numericDate,
    auth_time: numericDate,
    session_exp: numericDate,
  })
  .meta({ id: 'AccessClaims' });

const inactiveToken = z.strictObject({ active: z.literal(false) }).meta({ id: 'InactiveToken' });
const activeToken = accessClaims
  .extend({ active: z.literal(true), token_type: z.literal('Bearer') })
  .meta({ id: 'ActiveToken' });

export const introspection = z
  .discriminatedUnion('active', [inactiveToken, activeToken])
  .meta({ id: 'Introspection' });

const refreshedToken = {
  refreshed_token: z
    .string()
    .optional()
    .describe(
      'The successor of a token near its end, or in the grace after it, to be relayed to the caller.',
    ),
};

export const introspectionBatch = z
  .object({
    results: z
      .array(
        z
          .discriminatedUnion('active', [
            inactiveToken.extend(refreshedToken).meta({ id: 'InactiveTokenOfMany' }),
            activeToken.extend(refreshedToken).meta({ id: 'ActiveTokenOfMany' }),
          ])
          .meta({ id: 'IntrospectionOfMany' }),
      )
      .describe('In the order of the tokens.'),
  })
  .meta({ id: 'IntrospectionBatch' });

export const sessionsEnded = z
  .object({
    sessions_ended: z.int().describe('Counted up to 1,000.'),
    more: z.literal(true).optional().describe('More than 1,000 have ended.'),
  })
  .meta({ id: 'SessionsEnded' });

const listedSession = z
  .object({
    id: z.uuid(),
    current: z.boolean().describe('Whether it is the session of the token that asks.'),
    created_at: z.iso.datetime(),
    last_used_on: z.iso
      .date()
      .describe('Day of the login or the last refresh, in UTC; today for a use within the last 24 hours.'),
    expires_at: z.iso.datetime().describe('When it ends for good.'),
    ip: z.string().nullable(),
    user_agent: z.string().nullable(),
  })
  .meta({ id: 'Session' });

export const sessionList = z.object({ sessions: z.array(listedSession) }).meta({ id: 'SessionList' });

/** RFC 7517. What else a key has depends on its algorithm. */
export const keySet = z
  .object({
    keys: z.array(
      z
        .looseObject({ kid: z.string(), kty: z.string(), alg: z.string(), use: z.literal('sig') })
        .meta({ id: 'PublicKey' }),
    ),
  })
  .meta({ id: 'KeySet' });

const authMethods = z.array(z.enum(['client_secret_basic', 'client_secret_post']));

/** RFC 8414. */
export const serverMetadata = z
  .object({
    issuer: z.url(),
    jwks_uri: z.url(),
    introspection_endpoint: z.url(),
    introspection_endpoint_auth_methods_supported: authMethods,
    revocation_endpoint: z.url(),
    revocation_endpoint_auth_methods_supported: authMethods,
    response_types_supported: z.array(z.string()),
    grant_types_supported: z.array(z.string()),
  })
  .meta({ id: 'ServerMetadata' });

/** What is switched off is not there. */
export const addresses = z
  .object({
    name: z.string(),
    issuer: z.url(),
    account: z.url().optional(),
    docs: z.url().optional(),
    openapi: z.url().optional(),
    metadata: z.url(),
    jwks: z.url(),
    health: z.url(),
    ready: z.url(),
  })
  .meta({ id: 'Addresses' });

export const status = z.object({ status: z.string() }).meta({ id: 'Health' });

export const readiness = status
  .extend({ commits: z.literal('waiting').optional(), fence: z.literal('off').optional() })
  .meta({ id: 'Readiness' });

/** RFC 9457. */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  instance: z.string().describe('Id of the request, as in the log and in `X-Request-Id`.'),
  error: z.enum(ERROR_CODES),
  errors: z
    .array(z.object({ path: z.string(), message: z.string() }).meta({ id: 'Issue' }))
    .optional()
    .describe('What is wrong with which member of the request.'),
});

/** RFC 6749 section 5.2, on `/introspect` and `/revoke`. */
export const oauthError = z.object({ error: z.enum(ERROR_CODES), error_description: z.string() });
