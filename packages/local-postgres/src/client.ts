// A connection to the embedded PostgreSQL, made by the driver of the one who enters.
import type pg from 'pg';
import { endpointOf, type Address } from './address.js';
import type { DataDirectory } from './data-directory.js';

export type Role = 'service' | 'visitor';

/** The driver's class of connections. The caller brings its own: how it connects is written once, there. */
export type ClientClass = new (config: pg.ClientConfig) => pg.Client;

/** What may be entered, and how. */
export interface Place extends DataDirectory {
  Client: ClientClass;
}

export function createClient(
  { password, Client }: Pick<Place, 'password' | 'Client'>,
  role: Role,
  address: Address,
): pg.Client {
  const client = new Client({
    ...endpointOf(address),
    user: 'gatehouse',
    password,
    database: 'gatehouse',
    application_name: `gatehouse ${role} (process ${process.pid})`,
    connectionTimeoutMillis: 5_000,
    statement_timeout: 5_000,
  });
  // Without a listener a server that dies would end the process.
  client.on('error', () => undefined);
  return client;
}
