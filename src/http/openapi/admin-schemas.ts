/** Shapes of /admin on the wire, as zod: references are called user_id, session_id and client_id, instants are RFC 3339. */
import { CLIENT_ID, isExternalId } from '@gatehouse/protocol';
import { z } from 'zod';

import { MOST_SECRETS, PERMISSIONS } from '../../domain/clients.js';
import { EVENT_TYPES } from '../../domain/events/recorded.js';
import { JWT_ALGORITHMS } from '../../domain/keys/keys.js';
import { MOST_ENDED, MOST_NAMED } from '../../domain/operators/endings.js';
import { hasTooManyLines, MOST_LINES } from '../../domain/operators/import-lines.js';
import { isNote, LONGEST_NOTE, REASON } from '../../domain/operators/notes.js';
import { DEFAULT_PAGE, LARGEST_PAGE } from '../../domain/operators/pages.js';
import { DEFAULT_CODE_SECONDS, MOST_CODE_SECONDS } from '../../domain/passwords/codes.js';
import { readNetwork } from '../../domain/networks.js';
import { isJti, isUuid } from '../../domain/tokens/claims.js';
import { explainClientAudiences, MOST_CLIENT_AUDIENCES } from '../../domain/tokens/session-claims.js';
import { explainScope } from '../../domain/users/scopes.js';
import { explainUsername } from '../../domain/users/usernames.js';

const uuid = z.string().refine(isUuid, 'must be a UUID in lower case');
const instant = z.iso.datetime({
  offset: true,
  error: 'must be a time as in RFC 3339, such as 2026-11-30T15:00:00Z',
});
const network = z
  .string()
  .refine((text) => readNetwork(text) !== null, 'must be an address or a CIDR range, such as 198.51.100.0/24')
  .describe('An address, or a CIDR range.');

const note = z
  .string()
  .refine(isNote, `must be text of at most ${LONGEST_NOTE} characters, without control characters`)
  .describe('For those who ask later why; shown in lists.');

const page = {
  limit: z
    .string()
    .regex(/^(?:[1-9][0-9]?|1[0-9]{2}|200)$/, `must be a whole number from 1 to ${LARGEST_PAGE}`)
    .transform(Number)
    .optional()
    .describe(`How many at most: 1 to ${LARGEST_PAGE}; ${DEFAULT_PAGE} by default.`),
  after: z.string().max(200).optional().describe('The `next` of the page before, with the same filter.'),
};

export const pageOfAll = z.strictObject(page);

const next = z.string().nullable().describe('For `after`, to read on; null after the last.');

export const byId = z.object({ id: z.string() });

const username = z
  .string()
  .superRefine((text, context) => {
    const problem = explainUsername(text);
    if (problem !== null) context.addIssue({ code: 'custom', message: `The user name ${problem}` });
  })
  .describe('Case and width do not matter (RFC 8265 UsernameCaseMapped).');

const scope = z
  .string()
  .superRefine((text, context) => {
    const problem = explainScope(text);
    if (problem !== null) context.addIssue({ code: 'custom', message: `The scope ${problem}` });
  })
  .describe('Words with single spaces; empty for none (RFC 6749 section 3.3).');

const password = z
  .string()
  .refine((text) => text.isWellFormed(), 'contains a lone surrogate')
  .describe('Taken as typed.');

const clientId = z
  .string()
  .regex(
    CLIENT_ID,
    'must be up to 100 letters, digits, dots, hyphens and underscores, begin with a letter or a digit, and not be gatehouse',
  )
  .describe('What the client calls itself, for example `orders-api`.');

const EXTERNAL_ID =
  'must be 1 to 255 printable ASCII characters without spaces, and not begin with client: or gatehouse:';

export const userFilter = z
  .strictObject({
    username: z.string().max(2048).optional().describe('Case and width do not matter.'),
    disabled: z.enum(['true', 'false']).optional(),
    client_id: clientId.optional().describe('Users of this client, in the order of their ids.'),
    external_id: z
      .string()
      .refine(isExternalId, EXTERNAL_ID)
      .optional()
      .describe('With `client_id`: the user that the client calls so.'),
    ...page,
  })
  .refine(({ client_id: client, external_id: external }) => external === undefined || client !== undefined, {
    error: 'external_id wants client_id beside it',
    path: ['external_id'],
  });

const userShape = {
  id: uuid,
  username: z.string().describe('Of a user of a client, the external id.'),
  scope: z.string(),
  client_id: z
    .string()
    .nullable()
    .describe('The client whose user it is; null for users who were made here.'),
  external_id: z.string().nullable().describe('What that client calls the user.'),
  created_at: instant,
  disabled_at: instant.nullable(),
  has_password: z.boolean().describe('Without one a user cannot log in, and sets one with a code.'),
  locked_until: instant
    .nullable()
    .describe(
      'When the next attempt at the password is let in for everybody: too many were wrong. Null while attempts are let in.',
    ),
};

export const foundUser = z.object(userShape).meta({ id: 'User' });
export const foundUsers = z.object({ users: z.array(foundUser), next }).meta({ id: 'Users' });
export const createdUser = z
  .object({
    ...userShape,
    password: z.string().optional().describe('Where it was made here, and this once.'),
  })
  .meta({ id: 'CreatedUser' });

export const newUser = z
  .strictObject({
    username,
    scope: scope.optional(),
    password: password.optional(),
    generate_password: z.literal(true).optional().describe('Make a strong one, and answer with it.'),
  })
  .refine((body) => body.password === undefined || body.generate_password === undefined, {
    error: 'only one of password and generate_password can say what the password is',
    path: ['password'],
  })
  .meta({ id: 'NewUser' });

export const userChange = z
  .strictObject({
    username: username.optional(),
    scope: scope.optional(),
    disabled: z.boolean().optional().describe('`true` ends every session.'),
    password: password.optional().describe('A new one ends every session.'),
  })
  .meta({ id: 'UserChange' });

const importLine = {
  username: 'ada@example.com',
  password_hash: '$2b$12$GhvMmNVjRW29ulnudl.LbuAnUtN/LRfe1JsBm1Xu6LE3059z5Tr8m',
  scope: 'orders:read',
};

export const importLines = z
  .string()
  .refine((text) => text.trim() !== '', 'must hold 1 line or more')
  .refine((text) => !hasTooManyLines(text), `must hold ${MOST_LINES} lines or fewer`)
  .describe(
    `1 to ${MOST_LINES} lines, each of them a JSON object: \`username\` and \`password_hash\`, and \`scope\`, \`created_at\` and \`disabled\` ` +
      'where they are to be said. Formats of hashes: argon2, bcrypt, PBKDF2 and scrypt, as PHC, Django, Werkzeug and the `bcrypt` libraries write them.',
  )
  .meta({ id: 'Import', examples: [`${JSON.stringify(importLine)}\n`] });

export const importedUsers = z
  .object({
    created: z.int().describe('How many users were added.'),
    refused: z
      .array(
        z.object({
          line: z.int().describe('Which line, from 1 on; empty lines count.'),
          error: z
            .enum(['invalid_request', 'username_taken'])
            .describe(
              '`username_taken`: there is such a user, who stays as before, or an earlier line has the name.',
            ),
          member: z.string().nullable().describe('What is wrong in it; null for the line as a whole.'),
          message: z.string(),
        }),
      )
      .describe('The lines that have added nobody, in their order.'),
  })
  .meta({ id: 'Imported' });

export const sessionFilter = z
  .strictObject({
    user_id: uuid.optional(),
    ip: network.optional(),
    since: instant.optional().describe('Opened from here on.'),
    until: instant.optional().describe('Opened before.'),
    ...page,
  })
  .refine(({ ip, since, until }) => ip === undefined || (since !== undefined && until !== undefined), {
    error: 'ip wants since and until beside it',
    path: ['ip'],
  });

export const foundSession = z
  .object({
    id: uuid,
    user_id: uuid,
    username: z
      .string()
      .describe('Of a user of a client, what that says of the session; otherwise the external id.'),
    client_id: z.string().nullable().describe('The client that has opened it; null for a login.'),
    external_id: z.string().nullable().describe('What that client calls the user.'),
    claims: z
      .looseObject({})
      .nullable()
      .describe('What that client says of it; null for a login, and of a user who was deleted.'),
    live: z.boolean().describe('Its tokens are taken: it stands, and has not expired.'),
    created_at: instant,
    last_used_at: instant.describe('When its refresh token was rotated; its opening before that.'),
    expires_at: instant,
    ended_at: instant
      .nullable()
      .describe('When it was ended for good by itself. What else has ended it is among revocations.'),
    ip: z.string().nullable(),
    user_agent: z.string().nullable(),
  })
  .meta({ id: 'OperatorsSession' });

export const foundSessions = z
  .object({ sessions: z.array(foundSession), next })
  .meta({ id: 'OperatorsSessions' });

const actor = z.string().regex(/^[!-~]{1,200}$/, 'must be the name of an actor');

export const revocationFilter = z.strictObject({
  user_id: uuid.optional(),
  session_id: uuid.optional().describe('What has ended this session by itself.'),
  ending_id: uuid.optional(),
  actor: actor
    .optional()
    .describe('`user:<id>`, `user` for all users, `client:<id>`, `cli:<account>` or `gatehouse`.'),
  since: instant.optional(),
  until: instant.optional(),
  ...page,
});

export const foundRevocation = z
  .object({
    id: uuid,
    ending_id: uuid
      .nullable()
      .describe('The call at `/admin/revocations` that wrote it; null for what users and clients end.'),
    kind: z.enum(['token', 'session', 'user']),
    target: uuid.nullable().describe('The lineage of a token, or the session; null for `user`.'),
    user_id: uuid
      .nullable()
      .describe('Whose; null for everybody, and for a token that only its id was known of.'),
    opened_before: instant
      .nullable()
      .describe('Where sessions of everybody were ended that were opened before a time.'),
    reason: z.string(),
    note: z.string().nullable(),
    actor: z.string(),
    revoked_at: instant,
    kept_until: instant,
    liftable: z.boolean().describe('Whether it can be, or could be, lifted.'),
    lifted_at: instant.nullable(),
    lifted_by: z.string().nullable(),
    lift_note: z.string().nullable(),
  })
  .meta({ id: 'Revocation' });

export const foundRevocations = z
  .object({ revocations: z.array(foundRevocation), next })
  .meta({ id: 'Revocations' });

export const eventFilter = z
  .strictObject({
    user_id: uuid.optional().describe('About one user.'),
    actor: actor
      .optional()
      .describe('By one actor: `user:<id>`, `client:<id>`, `cli:<account>` or `gatehouse`.'),
    type: z.enum(EVENT_TYPES, 'must be the type of an event').optional(),
    since: instant.optional(),
    until: instant.optional(),
    ...page,
  })
  .refine(({ user_id: user, actor: by }) => user === undefined || by === undefined, {
    error: 'user_id and actor do not go together',
    path: ['actor'],
  });

export const foundEvent = z
  .object({
    id: uuid,
    at: instant,
    type: z.string().describe('Such as `session.opened`; more may come.'),
    outcome: z.string().describe('`ok`, or the error code that the caller was answered.'),
    actor: z.string(),
    user_id: uuid.nullable().describe('Whom it is about.'),
    session_id: uuid.nullable(),
    client_id: z.string().nullable().describe('The client that was added, changed or removed.'),
    ip: z.string().nullable(),
    user_agent: z.string().nullable(),
    request_id: uuid.nullable(),
    reason: z.string().nullable(),
    note: z.string().nullable(),
    detail: z.record(z.string(), z.unknown()).nullable().describe('More, by type.'),
  })
  .meta({ id: 'Event' });

export const foundEvents = z.object({ events: z.array(foundEvent), next }).meta({ id: 'Events' });

export const codeOrder = z
  .strictObject({
    expires_in: z
      .int()
      .min(1, 'must be 1 or more')
      .max(MOST_CODE_SECONDS, `must be at most ${MOST_CODE_SECONDS}, seven days`)
      .optional()
      .describe(`Seconds; ${DEFAULT_CODE_SECONDS} by default.`),
  })
  .meta({ id: 'PasswordCodeOrder' })
  .nullish();

export const issuedCode = z
  .object({
    code: z.string().describe('Shown this once: only a hash of it is kept.'),
    expires_in: z.int().describe('Seconds.'),
  })
  .meta({ id: 'PasswordCode' });

export const exportFilter = z.strictObject({
  after: z.string().max(300).optional().describe('The `next` of the part before.'),
});

export const exportedUser = z
  .object({
    user: foundUser,
    attempts: z
      .array(z.object({ limit: z.string(), attempts: z.int(), until: instant }))
      .describe('Attempts at the password that were wrong or are under way, as each limit counts them.'),
    known_networks: z
      .array(z.object({ until: instant }))
      .describe('One for each network that the user logged in from lately: only a hash of it is kept.'),
    code_expires_at: instant.nullable().describe('Until when a code can set the password.'),
    sessions: z.array(foundSession).max(1000).describe('Latest opened first.'),
    revocations: z.array(foundRevocation).max(1000).describe('Latest first, after all sessions.'),
    events: z.array(foundEvent).max(1000).describe('Latest first, after all revocations.'),
    next: z.string().nullable().describe('For `after`, to read on; null after the last part.'),
  })
  .meta({ id: 'UserExport' });

const MEANT = ['session_ids', 'user_ids', 'jti', 'token', 'ip', 'client_id', 'all'] as const;

export const ending = z
  .strictObject({
    session_ids: z
      .array(uuid)
      .min(1, 'must name one')
      .max(MOST_NAMED, `must name at most ${MOST_NAMED}`)
      .optional(),
    user_ids: z
      .array(uuid)
      .min(1, 'must name one')
      .max(MOST_NAMED, `must name at most ${MOST_NAMED}`)
      .optional()
      .describe('Every session of these users, also those whose login is under way. It cannot be lifted.'),
    jti: z
      .string()
      .refine(isJti, 'must be the jti of a token: a UUID in lower case, a dot and a number')
      .optional()
      .describe('The access tokens of one lineage; of a refresh token its session.'),
    token: z
      .string()
      .min(1, 'must not be empty')
      .max(10_000, 'must have at most 10,000 characters')
      .optional()
      .describe('Of an access token its lineage, of a refresh token its session. It may have expired.'),
    ip: network
      .optional()
      .describe('Sessions that were opened from here, from `since` on and before `until`.'),
    client_id: clientId
      .optional()
      .describe('Sessions that this client has opened in that time. It may have been deleted.'),
    since: instant.optional(),
    until: instant.optional(),
    all: z
      .literal(true)
      .optional()
      .describe('Sessions of everybody, with `opened_before`. It cannot be lifted.'),
    opened_before: z
      .union([z.literal('now'), instant])
      .optional()
      .describe('A time that has passed; `now` also ends those whose login is under way.'),
    dry_run: z.boolean().optional().describe('Ends nothing, and says what would end.'),
    max_sessions: z
      .int()
      .min(1, 'must be 1 or more')
      .max(MOST_ENDED, `must be at most ${MOST_ENDED}`)
      .optional()
      .describe(
        'With more sessions nothing ends: 1,000 by default, and without limit for `user_ids` and `all`.',
      ),
    reason: z
      .string()
      .regex(REASON, 'must be one word of small letters, digits and underscores')
      .optional()
      .describe('One word, `ended_by_operator` by default.'),
    note: note.optional(),
  })
  .superRefine((body, context) => {
    const meant = MEANT.filter((name) => body[name] !== undefined);
    const issue = (path: string, message: string) => {
      context.addIssue({ code: 'custom', path: [path], message });
    };
    if (meant.length !== 1) issue('', `exactly one of ${MEANT.join(', ')} says what is to be ended`);
    const hasTimes = body.since !== undefined && body.until !== undefined;
    const inTime = (['ip', 'client_id'] as const).find((name) => body[name] !== undefined);
    if (inTime !== undefined && !hasTimes) issue(inTime, 'wants since and until beside it');
    const { since, until } = body;
    if (since !== undefined && until !== undefined && Date.parse(since) >= Date.parse(until))
      issue('until', 'must be later than since');
    if (inTime === undefined && (body.since ?? body.until) !== undefined)
      issue('since', 'since and until go with ip, or with client_id');
    if ((body.all === undefined) !== (body.opened_before === undefined))
      issue('opened_before', 'all and opened_before go together');
  })
  .meta({ id: 'Ending' });

const counted = {
  users: z.int().describe('Of the sessions that were counted; with `user_ids` all that exist.'),
  tokens: z.int().describe('Lineages of access tokens that were named by themselves.'),
  more: z
    .literal(true)
    .optional()
    .describe(`There are more sessions than were counted, at most ${MOST_ENDED}.`),
};

export const endingDone = z
  .object({
    ending_id: uuid.describe('`/admin/revocations?ending_id=` lists what it wrote.'),
    sessions_ended: z.int(),
    ...counted,
    liftable: z.boolean(),
    effective_at: instant,
  })
  .meta({ id: 'EndingDone' });

export const endingForeseen = z
  .object({
    sessions: z.int(),
    ...counted,
    sample: z.array(z.object({ id: uuid, user_id: uuid, created_at: instant, ip: z.string().nullable() })),
  })
  .meta({ id: 'EndingForeseen' });

export const lift = z.strictObject({ note: note.optional() }).meta({ id: 'Lift' }).nullish();

export const lifted = z
  .object({
    restored: z
      .union([z.literal(0), z.literal(1)])
      .describe(
        '1 when the session stands now; of tokens, when no other row has ended them. Their session is not looked at.',
      ),
  })
  .meta({ id: 'Lifted' });

const permissions = z
  .array(z.enum(PERMISSIONS))
  .max(PERMISSIONS.length, 'must name each permission once')
  .refine((names) => new Set(names).size === names.length, 'must name each permission once')
  .describe('What it may ask.');

const audiences = z
  .array(z.string())
  .superRefine((value, context) => {
    const message = explainClientAudiences(value);
    if (message !== null) context.addIssue({ code: 'custom', message });
  })
  .meta({ examples: [['https://orders.example.com']] })
  .describe(
    'For whom it may open sessions, and whose tokens it may ask about and revoke. Empty for no limit: then it asks about every token, ' +
      'and opens sessions for `AUDIENCE`.',
  );

const listedSecret = { id: uuid, created_at: instant };

const ofClient = {
  id: z.string(),
  permissions: z.array(z.enum(PERMISSIONS)),
  audiences: z
    .array(z.string())
    .max(MOST_CLIENT_AUDIENCES)
    .describe('For whom it may open sessions, and whose tokens it may ask about; empty for no limit.'),
  created_at: instant,
  secrets: z.array(z.object(listedSecret)).max(MOST_SECRETS).describe('Those that count, oldest first.'),
};

const secret = z.string().describe('Shown this once: only a hash of it is kept.');

export const foundClient = z.object(ofClient).meta({ id: 'Client' });

export const foundClients = z.object({ clients: z.array(foundClient), next }).meta({ id: 'Clients' });

export const newClient = z
  .strictObject({ id: clientId, permissions, audiences: audiences.optional() })
  .meta({ id: 'NewClient' });

export const addedClient = z.object({ ...ofClient, secret }).meta({ id: 'AddedClient' });

export const clientChange = z
  .strictObject({ permissions: permissions.optional(), audiences: audiences.optional() })
  .meta({ id: 'ClientChange' });

export const noMembers = z.strictObject({}).nullish();

export const addedSecret = z.object({ ...listedSecret, secret }).meta({ id: 'AddedSecret' });

export const foundKey = z
  .object({
    kid: z.string(),
    algorithm: z.enum(JWT_ALGORITHMS),
    state: z.enum(['next', 'signing', 'verifying', 'retired']),
    created_at: instant,
    signs_at: instant.describe('From when on it signs, or has signed.'),
    retired_at: instant.nullable().describe('From when on nothing is believed that it has signed.'),
  })
  .meta({ id: 'Key' });

export const foundKeys = z.object({ keys: z.array(foundKey), next }).meta({ id: 'Keys' });

export const byKid = z.object({ kid: z.string() });

export const retirement = z
  .strictObject({
    dry_run: z.boolean().optional().describe('Ends nothing, and says how many sessions would end.'),
  })
  .meta({ id: 'Retirement' })
  .nullish();

export const retired = z.object({ retired: foundKey, signing: foundKey }).meta({ id: 'Retired' });

export const bySecretId = z.object({ id: z.string(), secretId: z.string() });
