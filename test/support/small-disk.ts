// A disk of its own, so small that a test can fill it: memory, mounted for a directory. Linux lets only root do that.
import { execFile } from 'node:child_process';
import { open, mkdtemp, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const PIECE = Buffer.alloc(64 * 1024);

export interface SmallDisk {
  path: string;
  /** Takes all the room that is left. */
  fill: () => Promise<void>;
  /** Gives back what `fill` took. */
  free: () => Promise<void>;
  remove: () => Promise<void>;
}

/** Why there can be no such disk here; undefined where there can. */
export async function findObstacle(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'this system is not Linux';
  if (process.getuid?.() !== 0) return 'we are not root';
  try {
    const disk = await mountSmallDisk(1);
    await disk.remove();
    return undefined;
  } catch (error) {
    return String(error).trim();
  }
}

export async function mountSmallDisk(sizeMib: number): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), 'gatehouse-disk-'));
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeMib}m,mode=0755`, 'gatehouse-test', path]);
  } catch (error) {
    await rmdir(path);
    throw error;
  }
  const ballast = join(path, 'ballast');
  return {
    path,
    fill: () => fill(ballast),
    free: () => rm(ballast, { force: true }),
    remove: async () => {
      // Whoever still has a file open there keeps the room, but not the place.
      await run('umount', ['--lazy', path]);
      await rmdir(path);
    },
  };
}

async function fill(path: string): Promise<void> {
  const file = await open(path, 'a');
  try {
    // A piece that does not fit is written as far as it does, and the next one says that the disk is full.
    for (;;) await file.write(PIECE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    await file.close();
  }
}
