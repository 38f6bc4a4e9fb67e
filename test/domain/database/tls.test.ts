// TLS to PostgreSQL: what each sslmode lets through, on a server with a certificate of a test's own authority.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeCluster } from '@gatehouse/local-postgres';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';

import { readConfig } from '../../../src/config/config.js';
import { openFirstConnection } from '../../../src/database/first-connection.js';
import { openDatabase } from '../../../src/database/prisma.js';
import { createAuthority, type Authority } from '../../support/certificates.js';
import { AMPLE_MS, SECRET } from '../../support/house.js';
import { createOwnCluster, type OwnCluster } from '../../support/own-cluster.js';

let ours: Authority;
let foreign: Authority;
let server: OwnCluster;
let client: { cert: string; key: string };

beforeAll(async () => {
  [ours, foreign] = await Promise.all([createAuthority(), createAuthority()]);
  const { cert, key } = await ours.sign('localhost', 'DNS:localhost');
  client = await ours.sign('owner', 'DNS:owner');
  const { launcher } = await describeCluster(join(ours.directory, 'none'));
  await ours.give(key, launcher.owner);
  server = await createOwnCluster({
    settings: { ssl: 'on', ssl_cert_file: cert, ssl_key_file: key, ssl_ca_file: ours.ca },
  });
});
afterAll(async () => {
  await server.remove();
  await ours.remove();
  await foreign.remove();
});

function urlTo(host: string, parameters: Record<string, string>): string {
  const url = new URL(server.url);
  url.hostname = host;
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url.href;
}

/** Whether it is encrypted, or why it is refused, for the first connection and for a pool. */
async function connect(url: string): Promise<unknown> {
  const sql = 'SELECT ssl AS tls FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
  const first = await openFirstConnection(url).then(
    async (opened) => {
      try {
        return (await opened.query(sql)).rows[0] as unknown;
      } finally {
        await opened.end();
      }
    },
    (error: unknown) => (error as Error).message,
  );
  const database = openDatabase(url, { connections: 1, deadlineMs: AMPLE_MS });
  const text = Object.assign([sql], { raw: [sql] });
  const pooled = await database
    .query({ tls: 'bool' })(text)
    .then(
      ([row]) => row,
      () => 'refused',
    );
  await database.close();
  if (typeof first === 'string') expect(pooled).toBe('refused');
  else expect(pooled).toEqual(first);
  return first;
}

const ENCRYPTED = { tls: true };
const UNTRUSTED =
  /shows a certificate that nobody known here has signed\. Name the file of its CA in sslrootcert/;
const OTHER_NAME = /shows a certificate for another host name\. Write the name/;

describe('sslmode', () => {
  it('disable encrypts nothing, and neither does no sslmode', async () => {
    expect(await connect(urlTo('localhost', { sslmode: 'disable' }))).toEqual({ tls: false });
    expect(await connect(urlTo('localhost', {}))).toEqual({ tls: false });
  });

  it('require encrypts, for any certificate and any name', async () => {
    expect(await connect(urlTo('localhost', { sslmode: 'require' }))).toEqual(ENCRYPTED);
    expect(await connect(urlTo('127.0.0.1', { sslmode: 'require' }))).toEqual(ENCRYPTED);
    expect(await connect(urlTo('localhost', { sslmode: 'require', uselibpqcompat: 'true' }))).toEqual(
      ENCRYPTED,
    );
  });

  it.each(['require', 'verify-ca'])('%s with a file asks who signed, and not for whom', async (sslmode) => {
    expect(await connect(urlTo('localhost', { sslmode, sslrootcert: ours.ca }))).toEqual(ENCRYPTED);
    expect(await connect(urlTo('127.0.0.1', { sslmode, sslrootcert: ours.ca }))).toEqual(ENCRYPTED);
    expect(await connect(urlTo('localhost', { sslmode, sslrootcert: foreign.ca }))).toMatch(UNTRUSTED);
  });

  it('verify-full asks who signed, and for whom', async () => {
    const sslmode = 'verify-full';
    expect(await connect(urlTo('localhost', { sslmode, sslrootcert: ours.ca }))).toEqual(ENCRYPTED);
    expect(await connect(urlTo('127.0.0.1', { sslmode, sslrootcert: ours.ca }))).toMatch(OTHER_NAME);
    expect(await connect(urlTo('localhost', { sslmode, sslrootcert: foreign.ca }))).toMatch(UNTRUSTED);
    expect(await connect(urlTo('localhost', { sslmode }))).toMatch(UNTRUSTED);
    expect(await connect(urlTo('localhost', { sslrootcert: 'system' }))).toMatch(UNTRUSTED);
  });

  it.each(['require', 'verify-full'])('%s never talks to a server without TLS', async (sslmode) => {
    const url = new URL(inject('adminUrl'));
    url.searchParams.set('sslmode', sslmode);
    expect(await connect(url.href)).toMatch(/speaks no TLS\. Switch it on there/);
  });
});

it('shows the server a certificate of its own', async () => {
  const url = urlTo('localhost', {
    sslmode: 'verify-full',
    sslrootcert: ours.ca,
    sslcert: client.cert,
    sslkey: client.key,
    ssl_min_protocol_version: 'TLSv1.3',
    channel_binding: 'prefer',
  });
  const opened = await openFirstConnection(url);
  const { rows } = await opened.query(
    'SELECT client_dn, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
  );
  await opened.end();
  expect(rows).toEqual([{ client_dn: '/CN=owner', version: 'TLSv1.3' }]);
});

describe('a file that cannot be used is named by its parameter, without its path and content', () => {
  const problemsOf = (parameters: Record<string, string>): string => {
    try {
      readConfig({ DATABASE_URL: urlTo('localhost', parameters), AUTH_SECRET: SECRET });
      return 'none';
    } catch (error) {
      return (error as Error).message;
    }
  };

  it('when it is missing', async () => {
    const missing = join(ours.directory, 'missing.pem');
    const parameters = { sslmode: 'verify-full', sslrootcert: missing };
    const message =
      'DATABASE_URL names a file in sslrootcert that cannot be read (ENOENT). Put PEM there that this user can read, or correct the path.';
    expect(problemsOf(parameters)).toBe(message);
    await expect(openFirstConnection(urlTo('localhost', parameters))).rejects.toThrow(message);
  });

  it('when it holds something else', async () => {
    const odd = join(ours.directory, 'odd.pem');
    await writeFile(odd, 'quite-secret');
    expect(problemsOf({ sslmode: 'verify-full', sslrootcert: odd })).toMatch(
      /^DATABASE_URL names a file in sslrootcert that holds no certificate in PEM\./,
    );
    for (const [cert, key] of [
      [odd, client.key],
      [client.cert, odd],
      [ours.ca, client.key],
    ] as const) {
      const message = problemsOf({ sslmode: 'require', sslcert: cert, sslkey: key });
      expect(message).toMatch(
        /^DATABASE_URL names files in sslcert and sslkey that hold no certificate and its key/,
      );
      expect(message).not.toContain('quite-secret');
    }
  });

  it('and files that can be used are no mistake', () => {
    expect(problemsOf({ sslmode: 'verify-full', sslrootcert: ours.ca })).toBe('none');
  });
});

it('warns of a mode that takes any server for the right one', () => {
  const warningsOf = (parameters: Record<string, string>) =>
    readConfig({
      DATABASE_URL: urlTo('localhost', parameters),
      AUTH_SECRET: SECRET,
      ISSUER: 'https://a.test',
    }).warnings;
  expect(warningsOf({ sslmode: 'require' })).toEqual([
    expect.stringContaining('sslmode=require encrypts, and takes any'),
  ]);
  expect(warningsOf({ sslmode: 'require', sslrootcert: ours.ca })).toEqual([]);
  expect(warningsOf({ sslmode: 'verify-full' })).toEqual([]);
});
