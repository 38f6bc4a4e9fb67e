// DATA_DIR: private to its owner, with the embedded cluster and the password to it.
import { access, chmod, chown, constants, mkdir, readdir, realpath, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { hasCode } from './binaries.js';
import { describeCluster, ensureCluster, keepAccessRules, type Cluster } from './cluster.js';
import { keepSecret } from './secret-file.js';
import { LocalPostgresRefusal } from './refusal.js';

export interface DataDirectory {
  path: string;
  cluster: Cluster;
  /** Of the role `gatehouse`, which owns the database `gatehouse` and is no superuser. */
  password: string;
}

/** Makes what is missing: the directory (0700), the password (0600), the cluster. Throws LocalPostgresRefusal. */
export async function openDataDirectory(dataDir: string): Promise<DataDirectory> {
  const path = await makePrivate(resolve(dataDir));
  const directory = join(path, 'postgres');
  const cluster = await describeCluster(directory);
  const { launcher } = cluster;
  if (launcher.owner !== undefined && !launcher.reachesAll)
    await chown(path, launcher.owner.uid, launcher.owner.gid);
  const password = await keepSecret(join(path, 'postgres.password'));
  await ensureCluster(
    cluster,
    `CREATE ROLE gatehouse LOGIN PASSWORD '${password}';\nCREATE DATABASE gatehouse OWNER gatehouse;\n`,
  );
  await keepAccessRules(directory);
  return { path, cluster, password };
}

async function makePrivate(path: string): Promise<string> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
    await closeToOthers(path);
    return await realpath(path);
  } catch (error) {
    if (error instanceof LocalPostgresRefusal) throw error;
    throw new LocalPostgresRefusal(
      `DATA_DIR ${path} cannot be used (${hasCode(error, 'EACCES', 'EPERM') ? 'permission denied' : String(error)}). Make it writable for this user, set another DATA_DIR, or set DATABASE_URL.`,
      { cause: error },
    );
  }
}

/** Closing a directory to others is fine when it is ours, and a disaster when it is /tmp. */
async function closeToOthers(path: string): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & 0o077) === 0) return;
  const names = await readdir(path);
  if (names.length === 0 || names.includes('postgres.password')) return chmod(path, 0o700);
  throw new LocalPostgresRefusal(
    `DATA_DIR ${path} is open to other users and holds other files. Set DATA_DIR to a directory of its own, or chmod 700 it.`,
  );
}
