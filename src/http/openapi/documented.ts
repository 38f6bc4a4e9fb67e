/** What the OpenAPI document says of answers in general: why each error code is given, and what travels in headers. */
import type { ErrorCode } from '@gatehouse/protocol';
import { z } from 'zod';

import { MEANINGS } from '../answers/errors.js';
import { oauthError, problem } from './schemas.js';

/** Another method than those of an operation is no operation. */
type DocumentedCode = Exclude<ErrorCode, 'method_not_allowed'>;

/** Why each code is answered. */
const REASONS: Record<DocumentedCode, string> = {
  invalid_request: 'The request is malformed, or a cookie of ours is there twice.',
  invalid_credentials:
    'The user name or the password, or the code, is wrong: one answer for every kind of wrong.',
  invalid_token: 'The token is missing, malformed, of the other kind, expired or revoked.',
  refresh_reused: 'This refresh token was used before. It may have been stolen, so its session was ended.',
  refresh_superseded: 'A newer refresh token is in use. Nothing was ended.',
  insufficient_user_authentication:
    'The password was given longer ago than `max_age` says. Give it again (`/reauthenticate`).',
  invalid_client: 'The client id or the client secret is missing or wrong.',
  insufficient_scope:
    'The client lacks the permission, or one that it would give, or one that the other client holds.',
  csrf_rejected:
    'A cookie came with a request that another site may have made; for operators: a page of another origin asks.',
  not_found: 'The caller has no such session; for operators: there is none, or its row is not kept any more.',
  username_taken: 'There is another user of this name. Nothing has changed.',
  user_disabled: 'The user is disabled. Nothing has changed.',
  too_many_sessions:
    'The user has as many sessions as `SESSIONS_PER_USER` allows; for operators: more would end than `max_sessions`. Nothing has changed.',
  not_liftable: 'The end is final. Nothing has changed.',
  client_id_taken:
    'There is such a client already, or was one: an id is never given again. Nothing has changed.',
  too_many_secrets: 'The client has two secrets already. Nothing has changed.',
  too_large:
    'The body is larger than 16 KiB, at `/introspect/batch` and `/admin/users/import` than 1 MiB, at `/admin/revocations` than 64 KiB.',
  unsupported_media_type: 'The content type is another one than the one shown.',
  misdirected_request:
    'Sent to another host than that of `ISSUER`: a request that acts by a cookie, or, where Gatehouse is at `localhost`, one of a browser.',
  headers_too_large: 'The headers are larger than 16 KiB, or more than 200.',
  too_many_requests: 'Too many attempts, or too many requests.',
  server_error: 'A mistake of Gatehouse. `instance` finds it in the log.',
  temporarily_unavailable:
    'The database, or room to hash, is not to be had. Nobody knows whether anything has changed.',
};

/** Any address can be asked so. */
const ANYWHERE = ['invalid_request', 'misdirected_request', 'headers_too_large', 'server_error'] as const;

interface Header {
  type: 'string';
  description: string;
}

type Headers = Record<string, Header>;

const header = (description: string): Header => ({ type: 'string', description });

const CHALLENGE = header('How to authenticate here (RFC 9110 section 11.6.1).');
const PATIENCE = header('After how many seconds asking again may help.');

const HEADERS_OF_STATUS: Record<number, Headers> = {
  401: { 'WWW-Authenticate': CHALLENGE },
  429: { 'Retry-After': PATIENCE },
  503: { 'Retry-After': PATIENCE },
};

/** What answers have in their headers. */
export const HEADERS = {
  pair: {
    'Set-Cookie': header(
      'With cookies: `__Host-gatehouse-access` and `__Host-gatehouse-refresh`, one line each, `Secure; HttpOnly; SameSite=Lax; Path=/`.',
    ),
  },
  successor: {
    'Refreshed-API-Token': header(
      'The successor of a bearer token near its end; also in the grace after it.',
    ),
    'Set-Cookie': header(
      'The successor of an access cookie near its end, in its place; also in the grace after it.',
    ),
  },
  relayedSuccessor: {
    'Refreshed-API-Token': header(
      'The successor of a token near its end, to be relayed to the caller; beside `{"active":false}` in the grace after it.',
    ),
  },
  identity: {
    'X-Auth-Subject': header('`sub`.'),
    'X-Auth-Username': header('`username`, as percent-encoded UTF-8.'),
    'X-Auth-Session': header('`sid`.'),
    'X-Auth-Scope': header('`scope`; empty for none.'),
    'X-Auth-Client': header('`client_id`: together with `sub` it says who the user is.'),
    'X-Auth-Ext': header(
      'With `GATEWAY_EXT=on`: `ext`, as base64url of JSON; `e30`, which is `{}`, for none.',
    ),
  },
  created: { Location: header('What was made.') },
  page: {
    Location: header('The account page, or this documentation where there is none.'),
  },
  end: {
    'Set-Cookie': header('With cookies: both are cleared when the session that asks has ended.'),
  },
} satisfies Record<string, Headers>;

export interface Answer {
  description: string;
  headers?: Headers;
  content: Record<string, { schema: z.ZodType }>;
}

/** An answer with a body. */
export function answer(
  description: string,
  schema: z.ZodType,
  { type = 'application/json', headers }: { type?: string; headers?: Headers | undefined } = {},
): Answer {
  return { description, ...(headers && { headers }), content: { [type]: { schema } } };
}

/** An answer without a body. */
export function noContent(description: string, headers?: Headers): z.ZodNull {
  return z.null().meta({ description, ...(headers && { headers }) });
}

/** The refusals of an operation, as problem details: those of these codes, and those that every address has. */
export function problems(...codes: DocumentedCode[]): Record<string, Answer> {
  return describeErrors('application/problem+json', PROBLEMS, codes);
}

/** The same as OAuth writes them. */
export function oauthErrors(...codes: DocumentedCode[]): Record<string, Answer> {
  return describeErrors('application/json', OAUTH_ERRORS, codes);
}

/** The same refusals, of which that with 401 has these headers too. */
export function withHeadersOn401(refusals: Record<string, Answer>, headers: Headers): Record<string, Answer> {
  const { 401: refusal } = refusals;
  if (refusal === undefined) return refusals;
  return { ...refusals, 401: { ...refusal, headers: { ...refusal.headers, ...headers } } };
}

const PROBLEMS = schemasByCode('Problem', (code) => {
  const { status } = MEANINGS[code];
  const shape = code === 'invalid_request' ? problem : problem.omit({ errors: true });
  return shape.extend({ status: z.literal(status), error: z.literal(code) });
});

const OAUTH_ERRORS = schemasByCode('OAuthError', (code) => oauthError.extend({ error: z.literal(code) }));

/** One schema for each code, so that a client can tell by `error` what it has got. */
function schemasByCode(
  suffix: string,
  create: (code: DocumentedCode) => z.ZodType,
): Record<DocumentedCode, z.ZodType> {
  const entries = (Object.keys(REASONS) as DocumentedCode[]).map((code) => {
    const name = code.replaceAll(/(?:^|_)([a-z])/g, (_match, letter: string) => letter.toUpperCase());
    return [code, create(code).meta({ id: `${name}${suffix}` })] as const;
  });
  return Object.fromEntries(entries) as Record<DocumentedCode, z.ZodType>;
}

function describeErrors(
  type: string,
  schemas: Record<DocumentedCode, z.ZodType>,
  codes: DocumentedCode[],
): Record<string, Answer> {
  const byStatus = new Map<number, DocumentedCode[]>();
  for (const code of [...codes, ...ANYWHERE]) {
    const { status } = MEANINGS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, of]) => {
      const description = of.map((code) => `\`${code}\`: ${REASONS[code]}`).join(' ');
      const options = of.map((code) => schemas[code]);
      const schema = options.length > 1 ? z.xor(options) : (options[0] ?? z.never());
      return [status, answer(description, schema, { type, headers: HEADERS_OF_STATUS[status] })];
    }),
  );
}
