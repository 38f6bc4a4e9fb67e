/** Clients, programs that say by a secret who they are: what they may ask, and how they come, change and go. */
import { hash, randomInt, randomUUID } from 'node:crypto';

import { nullable, type RowOf } from '../database/columns.js';
import type { Database } from '../database/prisma.js';
import { sql } from '../database/sql.js';
import { AuthError } from './errors.js';
import { eventOf, recorded } from './events/recorded.js';
import type { Trail } from './reports/told.js';
import { clientOfActor, GATEHOUSE } from './sessions/actors.js';
import { firstRow } from './service/service-row.js';

export const PERMISSIONS = [
  'introspect',
  'revoke',
  'users:read',
  'users:write',
  'sessions:read',
  'sessions:end',
  'sessions:open',
  'revocations:lift',
  'clients:read',
  'clients:write',
  'keys:read',
  'keys:write',
  'events:read',
] as const;
export type Permission = (typeof PERMISSIONS)[number];

export interface Client {
  id: string;
  permissions: Permission[];
  /** For whom it may open sessions, and whose tokens it may ask about; empty for no limit. */
  audiences: string[];
}

/** What a client sends to say who it is (RFC 6749 section 2.3.1), already decoded; never changed once it is made. */
export interface ClientCredentials {
  readonly id: string;
  readonly secret: string;
}

/** What a client is given. */
export interface Granted {
  permissions: readonly Permission[];
  /** Empty for no limit. */
  audiences: readonly string[];
}

/** A secret as lists show it. */
export interface ListedSecret {
  id: string;
  createdAt: Date;
}

/** A client as operators see it; its secrets oldest first. */
export interface FoundClient extends Client {
  createdAt: Date;
  secrets: ListedSecret[];
}

/** Two, so that a new secret can be given to all who use the client before the old one goes. */
export const MOST_SECRETS = 2;

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** 43 characters of 62 are a little over 256 bits; alphanumeric, so that no encoding of Basic can mangle them. */
const SECRET_CHARACTERS = 43;

export function makeSecret(): string {
  return Array.from({ length: SECRET_CHARACTERS }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
}

export function hashSecret(secret: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(hash('sha256', secret, 'buffer'));
}

/** A permission of another version means nothing to this one. */
export function permissionsIn(stored: readonly string[] | null): Permission[] {
  return PERMISSIONS.filter((permission) => stored?.includes(permission));
}

/** What `clients.secret_hash` is where its secret is gone: nothing hashes to it. */
const NO_SECRET = sql`decode(repeat('00', 32), 'hex')`;

/**
 * What each statement below begins with, after `asked (actor, client_id, given, audiences)`: both clients' rows, held until it commits,
 * and whether the actor may do this. An actor needs every permission that it would give, and every one that the other client holds. One
 * with audiences gives only of these, and not none, which would be no limit; and the audiences of the other client must be among them,
 * too. A null actor is the command line, which may do all; null for `given` or `audiences` gives nothing. Rows are held in the order of
 * their ids, so that two statements wait for each other in one direction only, and the later one decides by what the earlier one has left.
 */
const JUDGED = sql`clock AS MATERIALIZED (SELECT date_trunc('milliseconds', clock_timestamp()) AS now),
    held AS MATERIALIZED (
      SELECT clients.id, clients.permissions, clients.audiences
      FROM clients, asked
      WHERE clients.id IN (asked.actor, asked.client_id)
      ORDER BY clients.id
      FOR NO KEY UPDATE OF clients
    ), judged AS MATERIALIZED (
      SELECT asked.*, now, client.id IS NOT NULL AS is_known,
             asked.actor IS NULL
               OR (actor.permissions @> (ARRAY['clients:write'] || asked.given || client.permissions)
                   AND (actor.audiences = '{}'
                        OR actor.audiences @> (coalesce(asked.audiences, '{}') || coalesce(client.audiences, '{}'))
                           AND asked.audiences IS DISTINCT FROM '{}' AND client.audiences IS DISTINCT FROM '{}')) IS TRUE AS is_allowed
      FROM clock, asked LEFT JOIN held AS actor ON actor.id = asked.actor LEFT JOIN held AS client ON client.id = asked.client_id
    )`;

/** Tells every replica. It writes also where nothing was changed, so that its commit waits for all that must confirm an earlier change. */
const NOTED = sql`noted AS (UPDATE service SET clients_version = gen_random_uuid() FROM judged WHERE is_allowed)`;

const CLIENT_ADDED = eventOf({ from: sql`added, judged`, clientId: sql`added.id` });
const CLIENT_CHANGED = eventOf({
  from: sql`changed JOIN held USING (id), judged`,
  where: sql`changed.permissions <> held.permissions OR changed.audiences <> held.audiences`,
  clientId: sql`changed.id`,
  detail: sql`CASE WHEN changed.permissions = held.permissions THEN '{}' ELSE
                 jsonb_build_object('permissions', changed.permissions, 'before', held.permissions) END ||
               CASE WHEN changed.audiences = held.audiences THEN '{}' ELSE
                 jsonb_build_object('audiences', changed.audiences, 'audiences_before', held.audiences) END`,
});
const CLIENT_REMOVED = eventOf({ from: sql`removed, judged`, clientId: sql`removed.id` });
const SECRET_ADDED = eventOf({ from: sql`made, judged`, clientId: sql`judged.client_id` });
const SECRET_REMOVED = eventOf({ from: sql`removed, judged`, clientId: sql`removed.client_id` });

const JUDGED_COLUMNS = { isKnown: 'bool', isAllowed: 'bool' } as const;

const LACKING =
  'The client lacks a permission or an audience for this: it needs each permission that it would give, and each one that the other client holds; and where it has audiences, they are all that it can give, and all that the other client may have.';

/** @throws {AuthError} insufficient_scope */
function readVerdict<Row extends RowOf<typeof JUDGED_COLUMNS>>(rows: readonly Row[]): Row {
  const row = firstRow(rows);
  if (!row.isAllowed) throw new AuthError('insufficient_scope', { detail: LACKING });
  return row;
}

/**
 * Adds a client and makes its secret, which is returned this once; null when the id is taken, or was another client's once.
 *
 * @param by who asks, as it stands in rows: a client, or the command line, which may give everything
 * @throws {AuthError} insufficient_scope
 */
export async function addClient(
  database: Database,
  { id, permissions, audiences = [] }: Pick<Granted, 'permissions'> & Partial<Granted> & { id: string },
  by: string = GATEHOUSE,
  trail?: Trail,
): Promise<(FoundClient & { secret: string }) | null> {
  const secret = makeSecret();
  const secretId = randomUUID();
  const facts = { type: 'client.added', actor: by, detail: { permissions, audiences } } as const;
  // Settles two additions of one id, and an addition against a removal: the primary key of all ids that there have been lets one in,
  // ever. Tokens and users bear the id, and would be another client's. What the actor may give is read where the row of the actor is
  // held, so that a permission that was taken from it a moment ago is not given any more.
  const rows = await database.query({ ...JUDGED_COLUMNS, createdAt: 'timestamptz?' })`
    WITH asked AS MATERIALIZED (
      SELECT ${clientOfActor(by)}::text AS actor, ${id}::text AS client_id, ${permissions}::text[] AS given, ${audiences}::text[] AS audiences
    ), ${JUDGED}, named AS (
      INSERT INTO client_ids (id) SELECT client_id FROM judged WHERE is_allowed
      ON CONFLICT (id) DO NOTHING
      RETURNING id
    ), added AS (
      INSERT INTO clients (id, secret_hash, permissions, audiences, created_at)
      SELECT client_id, ${hashSecret(secret)}::bytea, given, audiences, now FROM judged JOIN named ON named.id = judged.client_id
      ON CONFLICT (id) DO NOTHING
      RETURNING id, secret_hash, created_at
    ), made AS (
      INSERT INTO client_secrets (id, client_id, secret_hash, created_at)
      SELECT ${secretId}::uuid, id, secret_hash, created_at FROM added
    ), ${NOTED}${recorded(database, CLIENT_ADDED, facts, trail)}
    SELECT is_known AS "isKnown", is_allowed AS "isAllowed", added.created_at AS "createdAt" FROM judged LEFT JOIN added ON true`;
  const { createdAt } = readVerdict(rows);
  if (createdAt === null) return null;
  return {
    id,
    permissions: permissionsIn(permissions),
    audiences: [...audiences],
    createdAt,
    secrets: [{ id: secretId, createdAt }],
    secret,
  };
}

/** A client beside one of its secrets. */
export const CLIENT_COLUMNS = {
  id: 'text',
  permissions: 'text[]',
  audiences: 'text[]',
  createdAt: 'timestamptz',
  secretId: 'uuid?',
  secretCreatedAt: 'timestamptz?',
} as const;

/** Rows of one client, one for each secret. */
export function toClient(rows: readonly RowOf<typeof CLIENT_COLUMNS>[]): FoundClient | null {
  const [first] = rows;
  if (first === undefined) return null;
  const secrets = rows.flatMap(({ secretId, secretCreatedAt }) =>
    secretId === null || secretCreatedAt === null ? [] : [{ id: secretId, createdAt: secretCreatedAt }],
  );
  const { id, permissions, audiences, createdAt } = first;
  return { id, permissions: permissionsIn(permissions), audiences, createdAt, secrets };
}

/**
 * Gives a client these permissions and audiences in place of those that it has; what is not named stays.
 *
 * @param by as with {@link addClient}
 * @returns the client as it is now; null when there is none
 * @throws {AuthError} insufficient_scope
 */
export async function changeClient(
  database: Database,
  id: string,
  { permissions = null, audiences = null }: { [Name in keyof Granted]?: Granted[Name] | null | undefined },
  by: string,
  trail?: Trail,
): Promise<FoundClient | null> {
  // Settles two changes that take from each other what they need, and a change of a client that is just being given more: the
  // later one waits for the rows of both clients, and is refused where the earlier one has left too little, or too much.
  const { secretId, secretCreatedAt, ...columns } = CLIENT_COLUMNS;
  const rows = await database.query({
    ...JUDGED_COLUMNS,
    ...nullable(columns),
    secretId,
    secretCreatedAt,
  })`
    WITH asked AS MATERIALIZED (
      SELECT ${clientOfActor(by)}::text AS actor, ${id}::text AS client_id, ${permissions}::text[] AS given, ${audiences}::text[] AS audiences
    ), ${JUDGED}, changed AS (
      UPDATE clients SET
        permissions = coalesce(judged.given, clients.permissions), audiences = coalesce(judged.audiences, clients.audiences)
      FROM judged WHERE clients.id = judged.client_id AND is_allowed
      RETURNING clients.id, clients.permissions, clients.audiences, clients.created_at
    ), ${NOTED}${recorded(database, CLIENT_CHANGED, { type: 'client.changed', actor: by }, trail)}
    SELECT is_known AS "isKnown", is_allowed AS "isAllowed", changed.id, changed.permissions, changed.audiences, changed.created_at AS "createdAt",
           client_secrets.id AS "secretId", client_secrets.created_at AS "secretCreatedAt"
    FROM judged LEFT JOIN changed ON true LEFT JOIN client_secrets ON client_secrets.client_id = changed.id
    ORDER BY client_secrets.created_at, client_secrets.id`;
  readVerdict(rows);
  return toClient(rows.filter(isChanged));
}

type Changed = RowOf<typeof CLIENT_COLUMNS>;

function isChanged<Row extends { [Name in keyof Changed]: Changed[Name] | null }>(
  row: Row,
): row is Row & Changed {
  return row.id !== null;
}

/**
 * Removes a client at once, on every replica; false when there was none.
 *
 * @param by as with {@link addClient}
 * @throws {AuthError} insufficient_scope
 */
export async function removeClient(
  database: Database,
  id: string,
  by: string = GATEHOUSE,
  trail?: Trail,
): Promise<boolean> {
  // Settles a request in flight: its liveness statement brings a version, which this raises in the same commit. Of two clients
  // that remove each other, one is gone when the other's turn comes, and removes nothing.
  const rows = await database.query(JUDGED_COLUMNS)`
    WITH asked AS MATERIALIZED (
      SELECT ${clientOfActor(by)}::text AS actor, ${id}::text AS client_id, NULL::text[] AS given, NULL::text[] AS audiences
    ), ${JUDGED}, removed AS (
      DELETE FROM clients USING judged WHERE clients.id = judged.client_id AND is_allowed
      RETURNING clients.id
    ), named AS (
      INSERT INTO client_ids (id) SELECT id FROM removed ON CONFLICT (id) DO NOTHING
    ), ${NOTED}${recorded(database, CLIENT_REMOVED, { type: 'client.removed', actor: by }, trail)}
    SELECT is_known AS "isKnown", is_allowed AS "isAllowed" FROM judged`;
  return readVerdict(rows).isKnown;
}

/**
 * Makes a further secret, which is returned this once; null when there is no such client.
 *
 * @param by as with {@link addClient}
 * @throws {AuthError} insufficient_scope; too_many_secrets when there are {@link MOST_SECRETS}
 */
export async function addSecret(
  database: Database,
  id: string,
  by: string,
  trail?: Trail,
): Promise<(ListedSecret & { secret: string }) | null> {
  const secret = makeSecret();
  const secretId = randomUUID();
  const facts = { type: 'client.secret_added', actor: by, detail: { secret_id: secretId } } as const;
  // Settles two additions at once: they are counted in the client's row, which the later one reads when the earlier one has committed.
  const rows = await database.query({ ...JUDGED_COLUMNS, createdAt: 'timestamptz?' })`
    WITH asked AS MATERIALIZED (
      SELECT ${clientOfActor(by)}::text AS actor, ${id}::text AS client_id, NULL::text[] AS given, NULL::text[] AS audiences, ${hashSecret(secret)}::bytea AS secret_hash
    ), ${JUDGED}, counted AS (
      UPDATE clients SET
        secret_count = secret_count + 1,
        secret_hash = CASE WHEN clients.secret_hash = ${NO_SECRET} THEN judged.secret_hash ELSE clients.secret_hash END
      FROM judged
      WHERE clients.id = judged.client_id AND is_allowed AND clients.secret_count < ${MOST_SECRETS}::int4
      RETURNING clients.id
    ), made AS (
      INSERT INTO client_secrets (id, client_id, secret_hash, created_at)
      SELECT ${secretId}::uuid, counted.id, judged.secret_hash, now FROM counted, judged
      RETURNING created_at
    ), ${NOTED}${recorded(database, SECRET_ADDED, facts, trail)}
    SELECT is_known AS "isKnown", is_allowed AS "isAllowed", made.created_at AS "createdAt" FROM judged LEFT JOIN made ON true`;
  const { isKnown, createdAt } = readVerdict(rows);
  if (!isKnown) return null;
  if (createdAt === null) throw new AuthError('too_many_secrets');
  return { id: secretId, createdAt, secret };
}

/**
 * Deletes a secret at once, on every replica; false when there was none.
 *
 * @param by as with {@link addClient}
 * @throws {AuthError} insufficient_scope
 */
export async function removeSecret(
  database: Database,
  id: string,
  secretId: string,
  by: string,
  trail?: Trail,
): Promise<boolean> {
  const facts = { type: 'client.secret_removed', actor: by, detail: { secret_id: secretId } } as const;
  // Settles a request in flight as the removal of a client does, and two deletions of one secret: the later one finds it gone, and
  // does not count it again.
  const rows = await database.query({ ...JUDGED_COLUMNS, isRemoved: 'bool' })`
    WITH asked AS MATERIALIZED (
      SELECT ${clientOfActor(by)}::text AS actor, ${id}::text AS client_id, NULL::text[] AS given, NULL::text[] AS audiences
    ), ${JUDGED}, removed AS (
      DELETE FROM client_secrets USING judged
      WHERE client_secrets.id = ${secretId}::uuid AND client_secrets.client_id = judged.client_id AND is_allowed
      RETURNING client_secrets.client_id, client_secrets.secret_hash
    ), counted AS (
      UPDATE clients SET
        secret_count = secret_count - 1,
        secret_hash = CASE WHEN clients.secret_hash = removed.secret_hash THEN ${NO_SECRET} ELSE clients.secret_hash END
      FROM removed WHERE clients.id = removed.client_id
    ), ${NOTED}${recorded(database, SECRET_REMOVED, facts, trail)}
    SELECT is_known AS "isKnown", is_allowed AS "isAllowed", EXISTS (SELECT FROM removed) AS "isRemoved" FROM judged`;
  return readVerdict(rows).isRemoved;
}

export async function listClients(database: Database): Promise<(Client & { createdAt: Date })[]> {
  const select = { id: true, permissions: true, audiences: true, createdAt: true } as const;
  const clients = await database.read(({ client }) => client.findMany({ select, orderBy: { id: 'asc' } }));
  return clients.map(({ permissions, ...client }) => ({
    ...client,
    permissions: permissionsIn(permissions),
  }));
}
