// When the build makes something again.
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { isStale, makeStamp } from '../../../scripts/stale.js';

let directory: string;
let sources: string[];
let made: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gatehouse-stale-'));
  sources = [join(directory, 'src'), join(directory, 'settings.json')];
  made = join(directory, 'dist', '.made');
  await mkdir(join(directory, 'src', 'deep'), { recursive: true });
  await writeFile(join(directory, 'src', 'deep', 'one.ts'), '');
  await writeFile(join(directory, 'src', 'two.ts'), '');
  await writeFile(join(directory, 'settings.json'), '');
  for (const name of ['src/deep/one.ts', 'src/two.ts', 'src/deep', 'src', 'settings.json'])
    await age(name, 60);
});
afterEach(() => rm(directory, { recursive: true }));

async function age(name: string, seconds: number): Promise<void> {
  const at = Date.now() / 1000 - seconds;
  await utimes(join(directory, name), at, at);
}

describe('what was made', () => {
  it('is stale before it was ever made, and not afterwards', () => {
    expect(isStale(made, sources)).toBe(true);
    makeStamp(made)();
    expect(isStale(made, sources)).toBe(false);
  });

  it.each(['src/two.ts', 'src/deep/one.ts', 'settings.json'])('is stale once %s was saved', async (name) => {
    makeStamp(made)();
    await age(name, -1);
    expect(isStale(made, sources)).toBe(true);
  });

  it('is stale once a source was removed', async () => {
    makeStamp(made)();
    await rm(join(directory, 'src', 'deep', 'one.ts'));
    await age('src/deep', -1);
    expect(isStale(made, sources)).toBe(true);
  });

  it('is stale when a source was saved while it was made', async () => {
    const finish = makeStamp(made);
    await sleep(20);
    await writeFile(join(directory, 'src', 'two.ts'), 'saved');
    await sleep(20);
    finish();
    expect(isStale(made, sources)).toBe(true);
  });
});
