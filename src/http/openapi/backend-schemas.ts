/** Shapes of what backends send and are answered at /sessions, as zod. */
import { isExternalId, type Acting, type Extension } from '@gatehouse/protocol';
import { z } from 'zod';

import { readAddress } from '../../domain/networks.js';
import {
  explainActing,
  explainAudiences,
  explainContext,
  explainExtension,
  explainMethods,
  explainSessionScope,
  explainShownName,
} from '../../domain/tokens/session-claims.js';

/** A shape that the domain explains. */
function explained<Shape extends z.ZodType>(shape: Shape, explain: (value: unknown) => string | null): Shape {
  return shape.superRefine((value, context) => {
    const message = explain(value);
    if (message !== null) context.addIssue({ code: 'custom', message });
  });
}

const externalId = z
  .string()
  .refine(
    isExternalId,
    'must be 1 to 255 printable ASCII characters without spaces, and not begin with client: or gatehouse:',
  )
  .describe('What the backend calls the user, compared byte by byte. It becomes `sub`.');

const seconds = z.int('must be a whole number of seconds');

const scope = explained(z.string(), (value) => (value === '' ? null : explainSessionScope(value))).describe(
  'Of this session alone; separated by single spaces.',
);
const ext = explained(z.looseObject({}), explainExtension)
  .transform((value) => value as Extension)
  .describe('What else is to stand in the tokens: at most 1 KiB of JSON, five levels deep.');
const authTime = z
  .int('must be a NumericDate in whole seconds')
  .min(0, 'must be 0 or more')
  .describe('NumericDate: when the user proved who it is; not later than now, which is the default.');
const amr = explained(z.array(z.string()), explainMethods).describe('How the user did (RFC 8176).');
const acr = explained(z.string(), explainContext).describe('How sure that is (RFC 9470).');

export const newSession = z
  .strictObject({
    external_id: externalId,
    username: explained(z.string(), explainShownName)
      .optional()
      .describe('A name to show; by default the external id. Nobody is looked up by it.'),
    scope: scope.optional(),
    audience: explained(z.array(z.string()), explainAudiences)
      .optional()
      .describe(
        'For whom the tokens are: by default `AUDIENCE`. Others must be among the audiences of the client.',
      ),
    ext: ext.optional(),
    auth_time: authTime.optional(),
    amr: amr.optional(),
    acr: acr.optional(),
    act: explained(z.looseObject({}), explainActing)
      .transform((value) => value as unknown as Acting)
      .optional()
      .describe('Who acts in the place of the user (RFC 8693 section 4.1).'),
    session_ttl: seconds
      .min(1, 'must be 1 or more')
      .optional()
      .describe(
        'After how many seconds the session ends for good; no more than `SESSION_TTL`, which is the default.',
      ),
    access_token_ttl: seconds
      .min(30, 'must be 30 or more')
      .optional()
      .describe(
        'How long an access token lives, in seconds; no more than `ACCESS_TOKEN_TTL`, which is the default.',
      ),
    refresh: z.boolean().optional().describe('Whether there is a refresh token; by default there is.'),
    ip: z
      .string()
      .refine((text) => readAddress(text) !== null, 'must be an IP address')
      .optional()
      .describe('Where the user is, for lists of sessions.'),
    user_agent: explained(z.string().max(4096), (value) =>
      (value as string).isWellFormed() && !/\0/.test(value as string) ? null : 'must be text without NUL',
    )
      .optional()
      .describe('What the user browses with; the first 512 characters are kept.'),
  })
  .meta({ id: 'NewSession' });

export const sessionPatch = z
  .strictObject({
    scope: scope.nullable().optional(),
    // Null within takes a member away. What is left once it was merged is held against the rules.
    ext: z
      .looseObject({})
      .transform((value) => value as Extension)
      .nullable()
      .optional()
      .describe('Merged into what is there: null takes a member away (RFC 7396).'),
    auth_time: authTime.nullable().optional(),
    amr: amr.nullable().optional(),
    acr: acr.nullable().optional(),
  })
  .meta({ id: 'SessionPatch' });

export const backendLogoutAllBody = z
  .strictObject({ external_id: externalId })
  .meta({ id: 'BackendLogoutAll' });

/** Without a refresh token, where none was wanted. */
export const openedSession = z
  .object({
    access_token: z.string(),
    token_type: z.literal('Bearer'),
    expires_in: z.int().describe('Seconds.'),
    refresh_token: z.string().optional(),
    refresh_expires_in: z.int().optional().describe('Seconds.'),
    session_id: z.uuid(),
  })
  .meta({ id: 'OpenedSession' });

export const clientSession = z
  .object({
    id: z.uuid(),
    external_id: z.string(),
    username: z.string(),
    scope: z.string().describe('Empty for none.'),
    audience: z.array(z.string()),
    auth_time: z.int().describe('NumericDate.'),
    ext: z.looseObject({}),
    amr: z.array(z.string()),
    acr: z.string().nullable(),
    act: z.looseObject({}).nullable(),
    created_at: z.iso.datetime(),
    expires_at: z.iso.datetime().describe('When it ends for good.'),
  })
  .meta({ id: 'ClientSession' });
