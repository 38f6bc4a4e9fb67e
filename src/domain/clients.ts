/** Resource servers: who they are, and what they may ask. */
import { hash, randomInt, timingSafeEqual } from 'node:crypto';

import type { Database } from '../database/prisma.js';
import { firstRow } from './service-row.js';

export const PERMISSIONS = ['introspect', 'revoke'] as const;
export type Permission = (typeof PERMISSIONS)[number];

export interface Client {
  id: string;
  permissions: Permission[];
}

/** What a client sends to say who it is (RFC 6749 section 2.3.1), already decoded; never changed once it is made. */
export interface ClientCredentials {
  readonly id: string;
  readonly secret: string;
}

/** The clients of one version, in memory. */
export interface ClientList {
  version: string;
  /** The client, or null for an unknown id as for a wrong secret. */
  authenticate: (credentials: ClientCredentials) => Client | null;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** 43 characters of 62 are a little over 256 bits; alphanumeric, so that no encoding of Basic can mangle them. */
const SECRET_CHARACTERS = 43;

/** A client's id is typed into commands and Basic headers: no space, no colon, nothing to encode. */
export const CLIENT_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

function makeSecret(): string {
  return Array.from({ length: SECRET_CHARACTERS }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
}

function hashSecret(secret: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(hash('sha256', secret, 'buffer'));
}

/** What an unknown client's secret is compared with, so that it takes as long as a wrong one. */
const NOBODY = hashSecret(makeSecret());

/** A permission of another version means nothing to this one. */
function permissionsIn(stored: readonly string[] | null): Permission[] {
  return PERMISSIONS.filter((permission) => stored?.includes(permission));
}

export async function loadClients(database: Database): Promise<ClientList> {
  // One statement, so that the version is that of this very list.
  const rows = await database.query({
    version: 'uuid',
    id: 'text?',
    secretHash: 'bytea?',
    permissions: 'text[]?',
  })`
    SELECT service.clients_version AS version, clients.id, secret_hash AS "secretHash", permissions
    FROM service LEFT JOIN clients ON true`;
  const first = firstRow(rows);
  const known = new Map(
    rows.flatMap(({ id, secretHash, permissions }) =>
      id === null || secretHash === null
        ? []
        : [[id, { secretHash, permissions: permissionsIn(permissions) }]],
    ),
  );
  // What was right stays right as long as this list is in force, which each request's statement confirms.
  const proved = new WeakMap<ClientCredentials, Client>();

  function check({ id, secret }: ClientCredentials): Client | null {
    const client = known.get(id);
    const matches = timingSafeEqual(hashSecret(secret), client?.secretHash ?? NOBODY);
    return client !== undefined && matches ? { id, permissions: client.permissions } : null;
  }

  return {
    version: first.version,
    authenticate: (credentials) => {
      const known = proved.get(credentials);
      if (known !== undefined) return known;
      const client = check(credentials);
      if (client !== null) proved.set(credentials, client);
      return client;
    },
  };
}

/** Adds a client and makes its secret, which is returned this once; null when the id is taken. */
export async function addClient(
  database: Database,
  id: string,
  permissions: Permission[],
): Promise<(Client & { secret: string }) | null> {
  const secret = makeSecret();
  // Settles two additions of one id: the primary key lets one in. The version tells every replica.
  const rows = await database.query({ id: 'text' })`
    WITH added AS (
      INSERT INTO clients (id, secret_hash, permissions, created_at)
      VALUES (${id}, ${hashSecret(secret)}, ${permissions}::text[], clock_timestamp())
      ON CONFLICT (id) DO NOTHING
      RETURNING id
    ), noted AS (
      UPDATE service SET clients_version = gen_random_uuid() WHERE EXISTS (SELECT FROM added)
    )
    SELECT id FROM added`;
  return rows.length === 0 ? null : { id, secret, permissions };
}

/** Removes a client at once, on every replica; false when there was none. */
export async function removeClient(database: Database, id: string): Promise<boolean> {
  // Settles a request in flight: its liveness statement brings a version, which this raises in the same commit.
  const rows = await database.query({ id: 'text' })`
    WITH removed AS (DELETE FROM clients WHERE id = ${id} RETURNING id),
    noted AS (UPDATE service SET clients_version = gen_random_uuid() WHERE EXISTS (SELECT FROM removed))
    SELECT id FROM removed`;
  return rows.length > 0;
}

export async function listClients(database: Database): Promise<(Client & { createdAt: Date })[]> {
  const select = { id: true, permissions: true, createdAt: true } as const;
  const clients = await database.read(({ client }) => client.findMany({ select, orderBy: { id: 'asc' } }));
  return clients.map(({ permissions, ...client }) => ({
    ...client,
    permissions: permissionsIn(permissions),
  }));
}
