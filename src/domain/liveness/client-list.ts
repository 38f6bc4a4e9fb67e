/** The clients of one version as a replica has them in memory, and who of them says who it is. */
import { timingSafeEqual } from 'node:crypto';

import type { Database } from '../../database/prisma.js';
import {
  hashSecret,
  makeSecret,
  MOST_SECRETS,
  permissionsIn,
  type Client,
  type ClientCredentials,
} from '../clients.js';
import { firstRow } from '../service/service-row.js';

/** The clients of one version, in memory. */
export interface ClientList {
  version: string;
  /** The client, or null for an unknown id as for a wrong secret. */
  authenticate: (credentials: ClientCredentials) => Client | null;
}

/** What is compared in place of each secret that is not there, so that every client takes as long, an unknown one too. */
const NOBODY = hashSecret(makeSecret());

const PLACES = Array.from({ length: MOST_SECRETS }, (_, place) => place);

export async function loadClients(database: Database): Promise<ClientList> {
  // One statement, so that the version is that of this very list.
  const rows = await database.query({
    version: 'uuid',
    id: 'text?',
    secretHash: 'bytea?',
    permissions: 'text[]?',
    audiences: 'text[]?',
  })`
    SELECT service.clients_version AS version, clients.id, client_secrets.secret_hash AS "secretHash", permissions, audiences
    FROM service LEFT JOIN clients ON true LEFT JOIN client_secrets ON client_secrets.client_id = clients.id`;
  const { version } = firstRow(rows);
  const known = new Map<string, Client & { hashes: Uint8Array[] }>();
  for (const { id, secretHash, permissions, audiences } of rows) {
    if (id === null || secretHash === null) continue;
    const { hashes = [] } = known.get(id) ?? {};
    const client = { id, permissions: permissionsIn(permissions), audiences: audiences ?? [] };
    known.set(id, { ...client, hashes: [...hashes, secretHash] });
  }
  // What was right stays right as long as this list is in force, which each request's statement confirms.
  const proved = new WeakMap<ClientCredentials, Client>();

  function check({ id, secret }: ClientCredentials): Client | null {
    const { hashes = [], ...client } = known.get(id) ?? {};
    const hashed = hashSecret(secret);
    const equal = PLACES.filter((place) => timingSafeEqual(hashed, hashes[place] ?? NOBODY));
    return 'id' in client && equal.length > 0 ? client : null;
  }

  return {
    version,
    authenticate: (credentials) => {
      const known = proved.get(credentials);
      if (known !== undefined) return known;
      const client = check(credentials);
      if (client !== null) proved.set(credentials, client);
      return client;
    },
  };
}
