// A certification authority of a test's own, and the certificates that it signs.
import { execFile } from 'node:child_process';
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export interface Authority {
  directory: string;
  /** Its own certificate, a PEM file. */
  ca: string;
  /** Signs a certificate for this name, with these alternative names. */
  sign: (name: string, alternatives: string) => Promise<{ cert: string; key: string }>;
  /** Lets another account have a key, as PostgreSQL demands of its own. */
  give: (file: string, owner: { uid: number; gid: number } | undefined) => Promise<void>;
  remove: () => Promise<void>;
}

export async function createAuthority(): Promise<Authority> {
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-ca-'));
  await chmod(directory, 0o755);
  const inside = (name: string) => join(directory, name);
  const [ca, caKey] = [inside('ca.pem'), inside('ca.key')];
  await run('openssl', [
    ...['req', '-x509', ...NEW_KEY, '-days', '2', '-subj', '/CN=authority of a test'],
    ...['-keyout', caKey, '-out', ca],
  ]);
  return {
    directory,
    ca,
    sign: async (name, alternatives) => {
      const [cert, key, request, extension] = ['pem', 'key', 'csr', 'ext'].map((end) =>
        inside(`${name}.${end}`),
      ) as [string, string, string, string];
      await writeFile(extension, `subjectAltName=${alternatives}\n`);
      await run('openssl', ['req', ...NEW_KEY, '-subj', `/CN=${name}`, '-keyout', key, '-out', request]);
      await run('openssl', [
        ...['x509', '-req', '-days', '2', '-in', request, '-extfile', extension],
        ...['-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-out', cert],
      ]);
      return { cert, key };
    },
    give: async (file, owner) => {
      await chmod(file, 0o600);
      if (owner !== undefined) await chown(file, owner.uid, owner.gid);
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
