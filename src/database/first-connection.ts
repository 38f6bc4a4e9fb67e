// The first connection to a database: opened with a deadline, and refused when Gatehouse could not work there.
import type pg from 'pg';
import { describeDatabase } from './database-url.js';
import { Client } from './driver.js';
import { StartError } from './start-error.js';

const OLDEST_VERSION = 150_000;
const CONNECT_DEADLINE_MS = 5_000;

/**
 * Connects within five seconds to a database that is new enough and takes writes.
 * The caller ends the client. Throws StartError.
 */
export async function openFirstConnection(url: string): Promise<pg.Client> {
  const client = createClient(url);
  // Without a listener a connection that breaks between two statements would end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await refuseUnfit(client, url);
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw explainDatabaseError(error, url);
  }
}

function createClient(url: string): pg.Client {
  try {
    return new Client({
      connectionString: url,
      connectionTimeoutMillis: CONNECT_DEADLINE_MS,
      application_name: 'gatehouse start',
    });
  } catch {
    // The parser's own message repeats the URL, password included.
    throw new StartError(
      'DATABASE_URL is not a PostgreSQL URL. Write it as postgresql://USER:PASSWORD@HOST:5432/DATABASE, with special characters percent-encoded.',
    );
  }
}

async function refuseUnfit(client: pg.Client, url: string): Promise<void> {
  const { rows } = await client.query<{ version: number; standby: boolean; read_only: boolean }>(
    `SELECT current_setting('server_version_num')::int AS version,
            pg_is_in_recovery() AS standby,
            current_setting('transaction_read_only')::bool AS read_only`,
  );
  const [server] = rows;
  if (server === undefined) return;
  refuseVersion(server.version);
  if (server.standby) {
    throw new StartError(`${describeDatabase(url)} is a standby. Point DATABASE_URL at the primary.`);
  }
  if (server.read_only) {
    throw new StartError(
      `${describeDatabase(url)} is read-only. Point DATABASE_URL at the primary, or set default_transaction_read_only to off for this database and role.`,
    );
  }
}

/** Refuses a server by its `server_version_num`, for example 140011 for 14.11. */
export function refuseVersion(versionNumber: number): void {
  if (versionNumber >= OLDEST_VERSION) return;
  const version = `${Math.floor(versionNumber / 10_000)}.${versionNumber % 10_000}`;
  throw new StartError(`PostgreSQL ${version} is too old. Gatehouse needs PostgreSQL 15 or newer.`);
}

/**
 * What went wrong with the database at this URL, as one line that an operator can act on. The words of the driver, of
 * Prisma and of PostgreSQL are not in it: they repeat host, user and database, which may be pieces of a password.
 */
export function explainDatabaseError(error: unknown, url: string): StartError {
  if (error instanceof StartError) return error;
  const where = describeDatabase(url);
  const code = codeOf(error);
  const explain = explanations[code] ?? explanations[code.slice(0, 2)];
  if (explain !== undefined) return new StartError(explain(where), { cause: error });
  const reason = /^\w{1,60}$/.test(code) ? ` (${code})` : '';
  return new StartError(`${where} cannot be used${reason}. Check DATABASE_URL.`, { cause: error });
}

const unreachable = (where: string) =>
  `${where} cannot be reached. Check host and port in DATABASE_URL, and that PostgreSQL runs there.`;
const wrongLogin = (where: string) =>
  `${where} refuses the user or password. Check DATABASE_URL or DATABASE_PASSWORD_FILE.`;

/** Ours, where pg gives no code. */
const NO_TLS = 'NO_TLS';

/** By Node's error code, SQLSTATE, or SQLSTATE class. */
const explanations: Record<string, (where: string) => string> = {
  ECONNREFUSED: unreachable,
  ECONNRESET: unreachable,
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  ETIMEDOUT: unreachable,
  ENOTFOUND: (where) => `${where} cannot be found: its host name is unknown. Check DATABASE_URL.`,
  EAI_AGAIN: (where) =>
    `${where} cannot be found: the name service gave no answer. Check DATABASE_URL and DNS.`,
  [NO_TLS]: (where) =>
    `${where} speaks no TLS. Switch it on there, or set sslmode in DATABASE_URL to disable.`,
  '28': wrongLogin,
  '3D000': (where) => `${where} does not exist. Create it (CREATE DATABASE) or check DATABASE_URL.`,
  '42501': (where) =>
    `${where} does not let this user change its tables. Make the user its owner, or run "gatehouse migrate" as the owner.`,
  '25006': (where) => `${where} is read-only. Point DATABASE_URL at the primary.`,
  '53300': (where) => `${where} has no connection left. Raise max_connections or end other clients.`,
  '57P03': (where) => `${where} is still starting up or shutting down. Start again when it is ready.`,
};

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  if ('code' in error && typeof error.code === 'string') return error.code;
  if (error.message.includes('timeout expired')) return 'ETIMEDOUT';
  if (error.message.includes('Connection terminated')) return 'ECONNRESET';
  if (error.message.includes('does not support SSL')) return NO_TLS;
  // What pg says when the URL has no password and the server asks for one.
  if (error.message.includes('client password must be a string')) return '28P01';
  return '';
}
