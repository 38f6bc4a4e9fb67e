// The first connection to a database: opened with a deadline, and refused when Gatehouse could not work there.
import type pg from 'pg';
import { describeDatabase } from './database-url.js';
import { Client } from './driver.js';
import { areOwn, SHARED_CONNECTIONS } from './pooler.js';
import { StartError } from './start-error.js';

const OLDEST_VERSION = 150_000;
const CONNECT_DEADLINE_MS = 5_000;

/**
 * Connects within five seconds to a database that is new enough, takes writes, and is such that Gatehouse can work in it.
 * The caller ends the client. Throws StartError.
 */
export async function openFirstConnection(url: string): Promise<pg.Client> {
  const client = createClient(url);
  try {
    await client.connect();
    await refuseUnfit(client, url);
    await refuseShared(client, url);
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
  } catch (error) {
    if (error instanceof StartError) throw error;
    // The parser's own message repeats the URL, password included.
    throw new StartError(
      'DATABASE_URL is not a PostgreSQL URL. Write it as postgresql://USER:PASSWORD@HOST:5432/DATABASE, with special characters percent-encoded.',
    );
  }
}

async function refuseUnfit(client: pg.Client, url: string): Promise<void> {
  const { rows } = await client.query<Server>(
    `SELECT current_setting('server_version_num')::int AS version,
            pg_is_in_recovery() AS standby,
            current_setting('transaction_read_only')::bool AS "readOnly",
            current_setting('session_replication_role') = 'replica' AS "keysOff",
            current_setting('server_encoding') AS encoding,
            to_regnamespace('public') IS NOT NULL AS "hasPublic",
            coalesce(has_schema_privilege(to_regnamespace('public'), 'USAGE'), false) AS "mayUse",
            format('%I', current_user) AS role,
            format('%I', current_database()) AS name`,
  );
  const [server] = rows;
  if (server === undefined) return;
  refuseVersion(server.version);
  const unfit = explainUnfit(server);
  if (unfit !== undefined) throw new StartError(`${describeDatabase(url)} ${unfit}`);
}

interface Server {
  version: number;
  standby: boolean;
  readOnly: boolean;
  keysOff: boolean;
  encoding: string;
  hasPublic: boolean;
  mayUse: boolean;
  /** Both as SQL writes them. This role has signed in to this database: neither is a piece of a password. */
  role: string;
  name: string;
}

/** As the end of a sentence that begins with the database. */
function explainUnfit(server: Server): string | undefined {
  const { role, name } = server;
  if (server.standby) return 'is a standby. Point DATABASE_URL at the primary.';
  if (server.readOnly)
    return 'is read-only. Point DATABASE_URL at the primary, or set default_transaction_read_only to off for this database and role.';
  if (server.keysOff)
    return `has its foreign keys switched off. Run this as a superuser: ALTER DATABASE ${name} RESET session_replication_role; ALTER ROLE ${role} RESET session_replication_role.`;
  if (server.encoding !== 'UTF8')
    return `has the encoding ${server.encoding}, and Gatehouse needs UTF8. Make another one, and name it in DATABASE_URL: CREATE DATABASE gatehouse_utf8 OWNER ${role} ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0.`;
  if (!server.hasPublic)
    return `has no schema public, where the tables of Gatehouse are. Run this as the owner of the database: CREATE SCHEMA public AUTHORIZATION ${role}.`;
  if (!server.mayUse)
    return `does not let this user use its schema public. Run this as the owner of that schema: GRANT USAGE, CREATE ON SCHEMA public TO ${role}.`;
  return undefined;
}

async function refuseShared(client: pg.Client, url: string): Promise<void> {
  const second = createClient(url);
  try {
    await second.connect();
    if (!(await areOwn(client, second)))
      throw new StartError(`${describeDatabase(url)} ${SHARED_CONNECTIONS}`);
  } finally {
    await second.end().catch(() => undefined);
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

const untrusted = (where: string) =>
  `${where} shows a certificate that nobody known here has signed. Name the file of its CA in sslrootcert of DATABASE_URL (docs/database-tls.md).`;

/** OpenSSL's words for a chain that ends at nobody who is trusted. */
const UNTRUSTED = [
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
];

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
  ...Object.fromEntries(UNTRUSTED.map((code) => [code, untrusted])),
  CERT_HAS_EXPIRED: (where) => `${where} shows a certificate that has expired. Renew it there.`,
  ERR_TLS_CERT_ALTNAME_INVALID: (where) =>
    `${where} shows a certificate for another host name. Write the name that is in the certificate into DATABASE_URL, or set sslmode to verify-ca with the file of a CA that signs for this server alone (docs/database-tls.md).`,
  '28': wrongLogin,
  '28000': (where) =>
    `${where} does not let this user in like this. Check the user in DATABASE_URL, and sslmode there if PostgreSQL asks for TLS (docs/database-tls.md).`,
  '3D000': (where) => `${where} does not exist. Create it (CREATE DATABASE) or check DATABASE_URL.`,
  '42501': (where) =>
    `${where} does not let this user change its tables. Make the user its owner, or run "gatehouse migrate" as the owner.`,
  '25006': (where) => `${where} is read-only. Point DATABASE_URL at the primary.`,
  '53100': (where) => `${where} has no room left on its disk (53100). Make room there, and start again.`,
  '53300': (where) => `${where} has no connection left. Raise max_connections or end other clients.`,
  '57P03': (where) => `${where} is still starting up or shutting down. Start again when it is ready.`,
};

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  if ('code' in error && typeof error.code === 'string') return error.code;
  if (/timeout expired|read timeout/.test(error.message)) return 'ETIMEDOUT';
  if (error.message.includes('Connection terminated')) return 'ECONNRESET';
  if (error.message.includes('does not support SSL')) return NO_TLS;
  // What pg says when the URL has no password and the server asks for one.
  if (error.message.includes('client password must be a string')) return '28P01';
  return '';
}
