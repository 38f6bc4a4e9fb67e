/** The parameters of DATABASE_URL: each is honoured with the meaning that libpq gives it, or refused with what to do. */
import { OUR_SETTINGS } from './settings.js';

/** What is wrong with a value, and what to do; undefined where nothing is. */
type Judge = (value: string) => string | undefined;

const anything: Judge = () => undefined;

function oneOf(values: string[], otherwise: string): Judge {
  return (value) => (values.includes(value) ? undefined : otherwise);
}

function refused(why: string): Judge {
  return () => why;
}

const AWAY = 'take it away';
const DIRECT = `${AWAY}. Gatehouse needs connections of its own: name PostgreSQL itself, or a pooler in session mode`;
const POOL = `${AWAY}. Each process of Gatehouse opens at most 16 connections, and waits for one at most 2 s`;
const FILES = `${AWAY}. Certificates and keys are named in sslrootcert, sslcert and sslkey`;
const KEEP_ALIVE = `${AWAY}. Gatehouse keeps connections alive as the system does`;
const SIGN_IN = `${AWAY}. Gatehouse signs in with a password or with sslcert`;
const ONE_HOST =
  'name one host that leads to the primary, such as a proxy or a virtual address (docs/failover.md)';

const SSL_MODE = 'write disable, require, verify-ca or verify-full (docs/database-tls.md)';

/** Parameters of libpq, of `pg`, of Prisma and of some providers. Any other one is refused too. */
const PARAMETERS: Readonly<Record<string, Judge>> = {
  // Where and who.
  host: (value) => (value.includes(',') || value === '' ? ONE_HOST : undefined),
  port: (value) => (/^[0-9]{1,5}$/.test(value) ? undefined : ONE_HOST),
  user: anything,
  password: anything,
  dbname: refused('write the name of the database after the host, as in postgresql://user@host:5432/name'),
  hostaddr: refused('write the address as the host'),
  target_session_attrs: oneOf(
    ['read-write', 'primary'],
    `write read-write or ${AWAY}. Gatehouse works on the primary alone`,
  ),
  load_balance_hosts: refused(ONE_HOST),
  service: refused('write what the service file says into the URL'),
  servicefile: refused('write what the service file says into the URL'),
  passfile: refused('write the password into a file of its own, and name it in DATABASE_PASSWORD_FILE'),

  // TLS.
  sslmode: judgeSslMode,
  sslrootcert: anything,
  sslcert: anything,
  sslkey: anything,
  ssl_min_protocol_version: oneOf(['TLSv1.2', 'TLSv1.3'], 'write TLSv1.2 or TLSv1.3'),
  sslnegotiation: oneOf(['postgres', 'direct'], 'write postgres or direct'),
  sslsni: oneOf(['1'], `${AWAY}. Gatehouse always names the host to the server`),
  sslcompression: oneOf(['0'], `${AWAY}. Nobody compresses TLS any more`),
  channel_binding: oneOf(
    ['disable', 'prefer'],
    `${AWAY}, and write sslmode=verify-full, which leaves nobody in between (docs/database-tls.md)`,
  ),
  uselibpqcompat: oneOf(['true'], `${AWAY}. sslmode means what it means for libpq`),
  ssl: refused(`write sslmode in its place: ${SSL_MODE}`),
  requiressl: refused(`write sslmode in its place: ${SSL_MODE}`),
  sslpassword: refused('name a key without a passphrase in sslkey, which only the service can read'),
  sslcrl: refused(FILES),
  sslcrldir: refused(FILES),
  sslcertmode: refused(FILES),
  sslkeylogfile: refused(AWAY),
  ssl_max_protocol_version: refused(AWAY),

  // Who signs in, and how.
  gssencmode: oneOf(['disable', 'prefer'], SIGN_IN),
  gsslib: refused(SIGN_IN),
  gssdelegation: refused(SIGN_IN),
  krbsrvname: refused(SIGN_IN),
  scram_client_key: refused(SIGN_IN),
  scram_server_key: refused(SIGN_IN),
  oauth_issuer: refused(SIGN_IN),
  oauth_client_id: refused(SIGN_IN),
  oauth_client_secret: refused(SIGN_IN),
  oauth_scope: refused(SIGN_IN),
  require_auth: refused(`${AWAY}, and write sslmode=verify-full: then only the right server is asked`),
  requirepeer: refused(AWAY),

  // What the server is told.
  application_name: anything,
  fallback_application_name: anything,
  client_encoding: (value) =>
    /^(?:utf-?8|auto)$/i.test(value) ? undefined : `${AWAY}. Gatehouse speaks UTF8`,
  options: judgeOptions,
  replication: refused(AWAY),
  min_protocol_version: refused(AWAY),
  max_protocol_version: refused(AWAY),
  statement_timeout: refused(`${AWAY}. Gatehouse sets its own`),
  lock_timeout: refused(`${AWAY}. Gatehouse sets its own`),
  idle_in_transaction_session_timeout: refused(`${AWAY}. Gatehouse sets its own`),
  query_timeout: refused(`${AWAY}. Gatehouse sets its own`),
  connect_timeout: refused(`${AWAY}. Gatehouse waits for a connection 5 s at its start, and 2 s later`),
  keepalives: oneOf(['1'], KEEP_ALIVE),
  keepalives_idle: refused(KEEP_ALIVE),
  keepalives_interval: refused(KEEP_ALIVE),
  keepalives_count: refused(KEEP_ALIVE),
  tcp_user_timeout: refused(KEEP_ALIVE),

  // Prisma's.
  schema: oneOf(['public'], `${AWAY}. The tables of Gatehouse are in the schema public`),
  pgbouncer: oneOf(['false'], DIRECT),
  connection_limit: refused(POOL),
  pool_timeout: refused(POOL),
  socket_timeout: refused(POOL),
  max_connection_lifetime: refused(POOL),
  max_idle_connection_lifetime: refused(POOL),
  single_use_connections: refused(POOL),
  statement_cache_size: refused(AWAY),
  sslaccept: refused(
    'write sslmode in its place: verify-full for strict, require for accept_invalid_certs (docs/database-tls.md)',
  ),
  sslidentity: refused('write sslcert and sslkey in its place, with PEM files made of the PKCS #12 file'),
};

function judgeSslMode(value: string): string | undefined {
  if (['disable', 'require', 'verify-ca', 'verify-full'].includes(value)) return undefined;
  if (value === 'allow' || value === 'prefer')
    return `${SSL_MODE}. With ${value} anybody in between could switch the encryption off`;
  return value === 'no-verify' ? 'write require, which means the same here' : SSL_MODE;
}

/** PostgreSQL's options for its backend; what we set ourselves would be set in vain. */
function judgeOptions(value: string): string | undefined {
  for (const [, name = ''] of value.matchAll(/(?:-c\s*|--)([\w.-]+)\s*=/g)) {
    const setting = name.toLowerCase().replaceAll('-', '_');
    if (OUR_SETTINGS.has(setting)) return `take ${setting} away. Gatehouse sets it for each connection`;
  }
  return undefined;
}

/**
 * What is wrong with the parameters, as the end of a sentence that begins with DATABASE_URL; undefined where nothing is.
 * Values are never in it, nor names that nobody knows: they may be pieces of a password.
 */
export function findWrongParameter({ searchParams }: URL): string | undefined {
  const names = [...searchParams.keys()];
  for (const [place, name] of names.entries()) {
    if (!Object.hasOwn(PARAMETERS, name))
      return `holds a parameter that Gatehouse does not know: take away number ${place + 1} after the question mark`;
    if (names.indexOf(name) !== place) return `holds the parameter ${name} twice: take one away`;
    const wrong = PARAMETERS[name]?.(searchParams.get(name) ?? '');
    if (wrong !== undefined) return `holds the parameter ${name}: ${wrong}`;
  }
  return findContradiction(searchParams);
}

function findContradiction(given: URLSearchParams): string | undefined {
  const mode = sslModeOf(given);
  const needsTls = ['sslrootcert', 'sslcert', 'sslkey', 'sslnegotiation'].find((name) => given.has(name));
  if (needsTls !== undefined && mode === 'disable' && given.get('sslnegotiation') !== 'postgres')
    return `holds the parameter ${needsTls} and encrypts nothing: write sslmode=verify-full beside it (docs/database-tls.md)`;
  if (given.has('sslcert') !== given.has('sslkey'))
    return 'holds one of the parameters sslcert and sslkey: write both or none';
  if (given.get('sslrootcert') === 'system' && mode !== 'verify-full')
    return 'holds the parameter sslrootcert=system with another sslmode than verify-full: anybody can have a certificate that the system trusts';
  if (mode === 'verify-ca' && !given.has('sslrootcert'))
    return 'holds the parameter sslmode=verify-ca, which needs a file in sslrootcert: add it, or write verify-full';
  return undefined;
}

/** The mode in force. The URL has no doubt in it. */
export function sslModeOf(given: URLSearchParams): string {
  return given.get('sslmode') ?? (given.get('sslrootcert') === 'system' ? 'verify-full' : 'disable');
}

/** Whether this encrypts without knowing whom it talks to. */
export function trustsAnyServer({ searchParams }: URL): boolean {
  return searchParams.get('sslmode') === 'require' && !searchParams.has('sslrootcert');
}
