/** A secret that is made once and kept in a file of its owner. */
import { randomBytes } from 'node:crypto';
import { link, readFile, rm, writeFile } from 'node:fs/promises';

/**
 * The secret in the file; at first 256 random bits in base64url. It is written aside and linked into place, so two
 * first starts end up with the same one, and no crash leaves half of one.
 */
export async function keepSecret(file: string): Promise<string> {
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    const existing = await readFile(file, 'utf8').catch(ignore('ENOENT'));
    if (existing !== undefined) return existing.trim();
    await writeFile(draft, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flush: true });
    await link(draft, file).catch(ignore('EEXIST'));
    return (await readFile(file, 'utf8')).trim();
  } finally {
    await rm(draft, { force: true });
  }
}

function ignore(code: string): (error: unknown) => undefined {
  return (error) => {
    if ((error as NodeJS.ErrnoException).code !== code) throw error;
  };
}
