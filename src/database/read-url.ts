/** What DATABASE_URL configures the driver with: TLS and its files are ours to read, the rest is the driver's. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type ConnectionOptions, type SecureVersion } from 'node:tls';
import type pg from 'pg';

import { StartError } from './start-error.js';
import { sslModeOf } from './url-parameters.js';

/** Those that the driver reads in the URL by itself, as libpq does. All others are taken out of what it gets. */
const OF_THE_DRIVER = new Set([
  'host',
  'port',
  'user',
  'password',
  'application_name',
  'fallback_application_name',
  'options',
]);

/**
 * What the driver is configured with, the files that the URL names included.
 *
 * @throws {StartError} which names the parameter of a file that cannot be used
 */
export function readUrl(text: string): pg.ClientConfig {
  const url = new URL(text);
  const given = new URLSearchParams(url.searchParams);
  for (const name of given.keys()) if (!OF_THE_DRIVER.has(name)) url.searchParams.delete(name);
  const isSocket = /^(?:%2f|\/)/i.test(given.get('host') ?? url.hostname);
  const isDirect = given.get('sslnegotiation') === 'direct';
  return {
    connectionString: url.href,
    // PostgreSQL speaks no TLS on a socket, and libpq asks for none there.
    ssl: isSocket ? false : readTls(given),
    sslnegotiation: isDirect && !isSocket ? 'direct' : 'postgres',
    enableChannelBinding: given.get('channel_binding') === 'prefer',
  };
}

function readTls(given: URLSearchParams): ConnectionOptions | false {
  const mode = sslModeOf(given);
  if (mode === 'disable') return false;
  const rootFile = given.get('sslrootcert');
  // Without a file, and with `system`, Node's own list of authorities counts, and NODE_EXTRA_CA_CERTS.
  const ca = rootFile === null || rootFile === 'system' ? undefined : readCertificates(rootFile);
  const options: ConnectionOptions = { ...readClientCertificate(given), ...(ca !== undefined && { ca }) };
  const minVersion = given.get('ssl_min_protocol_version');
  if (minVersion !== null) options.minVersion = minVersion as SecureVersion;
  if (mode === 'verify-full') return options;
  // As libpq does: with a file `require` is `verify-ca`, which asks nothing about the name of the host.
  if (ca !== undefined) return { ...options, checkServerIdentity: () => undefined };
  return { ...options, rejectUnauthorized: false };
}

function readCertificates(file: string): Buffer {
  const content = readNamed('sslrootcert', file);
  try {
    new X509Certificate(content);
  } catch (error) {
    throw unusable('sslrootcert', 'that holds no certificate in PEM', error);
  }
  return content;
}

function readClientCertificate(given: URLSearchParams): Pick<ConnectionOptions, 'cert' | 'key'> {
  const [certFile, keyFile] = [given.get('sslcert'), given.get('sslkey')];
  if (certFile === null || keyFile === null) return {};
  const pair = { cert: readNamed('sslcert', certFile), key: readNamed('sslkey', keyFile) };
  try {
    createSecureContext(pair);
  } catch (error) {
    throw unusable('sslcert and sslkey', 'that hold no certificate and its key in PEM', error);
  }
  return pair;
}

function readNamed(parameter: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    throw unusable(parameter, `that cannot be read (${code})`, error);
  }
}

function unusable(parameter: string, why: string, cause: unknown): StartError {
  const files = parameter.includes(' ') ? 'files' : 'a file';
  return new StartError(
    `DATABASE_URL names ${files} in ${parameter} ${why}. Put PEM there that this user can read, or correct the path.`,
    { cause },
  );
}
