/** Shapes on the wire, as zod: what is checked is also what the OpenAPI document shows. */
import { ERROR_CODES } from '@gatehouse/protocol';
import { z } from 'zod';

const wellFormed = z.string().refine((text) => text.isWellFormed(), 'contains a lone surrogate');

const token = z.string().min(1, 'must not be empty').describe('A JWT that Gatehouse issued.');

export const loginBody = z.strictObject({
  username: wellFormed.describe('Case and width do not matter (RFC 8265 UsernameCaseMapped).'),
  password: wellFormed.describe('Taken as typed.'),
  transport: z
    .enum(['bearer', 'cookie'])
    .default('bearer')
    .describe('`bearer`: both tokens in the answer. `cookie`: both in cookies that no script can read.'),
});

/** The refresh token may come in a cookie instead. */
export const refreshBody = z.strictObject({ refresh_token: token.optional() }).nullish();

/** Clients that always send JSON send `{}` beside the access token. */
export const logoutBody = z.strictObject({ refresh_token: token.optional() }).nullish();

export const logoutAllBody = z
  .strictObject({ except_current: z.boolean().optional().describe('Keep the session that asks.') })
  .nullish();

export const passwordBody = z.strictObject({
  current_password: wellFormed.describe('Taken as typed.'),
  new_password: wellFormed.describe(
    'Taken as typed: 15 to 256 characters, hard to guess, and nothing that nobody can see.',
  ),
});

export const sessionParams = z.object({ id: z.string().describe('Id of a session of the caller.') });

/**
 * `/introspect` and `/revoke`: unknown parameters are ignored, repeated ones (arrays by now) refused, and those without a
 * value are gone by now.
 */
export const tokenForm = z
  .object({
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
  .catchall(z.string('an unknown parameter is repeated'));
export type TokenForm = z.infer<typeof tokenForm>;

const seconds = z.int().describe('Seconds.');
const numericDate = z.int().describe('NumericDate (RFC 7519): seconds since 1970.');

export const tokenPair = z.object({
  access_token: z.string(),
  token_type: z.literal('Bearer'),
  expires_in: seconds,
  refresh_token: z.string(),
  refresh_expires_in: seconds,
  session_id: z.uuid(),
});

/** What a page is told of a session whose tokens are in cookies. */
export const sessionInCookies = z.object({ expires_in: seconds, session_id: z.uuid() });

export const accessClaims = z.object({
  iss: z.string(),
  sub: z.uuid(),
  aud: z.string(),
  client_id: z.string(),
  username: z.string(),
  scope: z.string().optional(),
  sid: z.uuid(),
  jti: z.string().describe('`<lineage>.<generation>`'),
  iat: numericDate,
  exp: numericDate,
  auth_time: numericDate,
  session_exp: numericDate,
});

export const introspection = z.union([
  z.strictObject({ active: z.literal(false) }),
  accessClaims.extend({ active: z.literal(true), token_type: z.literal('Bearer') }),
]);

export const sessionsEnded = z.object({ sessions_ended: z.int() });

export const sessionList = z.object({
  sessions: z.array(
    z.object({
      id: z.uuid(),
      current: z.boolean().describe('Whether it is the session of the token that asks.'),
      created_at: z.iso.datetime(),
      last_used_on: z.iso
        .date()
        .describe(
          'Day of the login or the last refresh, in UTC; today for whatever is less than 24 hours ago.',
        ),
      expires_at: z.iso.datetime().describe('When it ends for good.'),
      ip: z.string().nullable(),
      user_agent: z.string().nullable(),
    }),
  ),
});

export const status = z.object({ status: z.string() });

/** RFC 9457. */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  instance: z.string().describe('Id of the request, as in the log and in `X-Request-Id`.'),
  error: z.enum(ERROR_CODES),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});

/** RFC 6749 section 5.2, on `/introspect` and `/revoke`. */
export const oauthError = z.object({ error: z.enum(ERROR_CODES), error_description: z.string() });
