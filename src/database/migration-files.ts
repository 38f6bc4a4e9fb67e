/** The migrations that this build brings, and how to tell whether one of them was applied in the same wording. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// Both src/database and dist/database are two levels below the package.
const directory = fileURLToPath(new URL('../../prisma/migrations', import.meta.url));

export interface Migration {
  /** Of its directory: `<time>_<what it changes>`. */
  name: string;
  sql: string;
}

/** All of them, oldest first. */
export async function readMigrations(): Promise<Migration[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return await Promise.all(
    names
      .sort()
      .map(async (name) => ({ name, sql: await readFile(join(directory, name, 'migration.sql'), 'utf8') })),
  );
}

/** As Prisma writes it into the history: SHA-256 of the file, in hexadecimal digits. */
export function checksumOf({ sql }: Migration): string {
  return createHash('sha256').update(sql).digest('hex');
}

/** Whether this is the text that was applied. Git may have turned the ends of its lines into those of Windows, or back. */
export function isUnchanged({ name, sql }: Migration, appliedChecksum: string): boolean {
  const unix = sql.replaceAll('\r\n', '\n');
  const spellings = [sql, unix, unix.replaceAll('\n', '\r\n')];
  return spellings.some((spelling) => checksumOf({ name, sql: spelling }) === appliedChecksum);
}
