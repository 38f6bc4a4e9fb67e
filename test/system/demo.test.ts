// The lines to try Gatehouse with: until the service listens they lead nowhere.
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { openDatabase } from '../../src/database/prisma.js';
import { addressDemo, createDemo } from '../../src/process/demo.js';
import { AMPLE_MS, openHouse } from '../support/house.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-demo-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function readDemo(): Promise<string> {
  return readFile(join(folder, 'demo.txt'), 'utf8');
}

it('a demo that was made for a start that never listened names no place where a password could go', async () => {
  const house = await openHouse();
  const database = openDatabase(house.database.url, { connections: 1, deadlineMs: AMPLE_MS });
  await house.database.admin.query('DELETE FROM clients');
  expect(await createDemo(database, house.hasher, folder)).toBe(true);
  expect(new Set((await readDemo()).match(/https?:\/\/[^\s/]+/g))).toEqual(
    new Set(['http://not-listening.invalid']),
  );
  expect(await createDemo(database, house.hasher, folder)).toBe(false);
  await database.close();
  await house.close();
});

it.each(['http://127.0.0.1:3000', 'http://[::1]:80', 'http://192.168.7.7:65535'])(
  'the address %s goes into every line, and nothing else changes',
  async (url) => {
    const line = `curl -s http://localhost:3000/sessions -H "Authorization: Bearer $ACCESS"; echo see https://example.org/a\n`;
    await writeFile(join(folder, 'demo.txt'), line, { mode: 0o600 });
    const text = line.replace('http://localhost:3000', url);
    expect(await addressDemo(folder, url)).toEqual({ file: join(folder, 'demo.txt'), text });
    expect(await readDemo()).toBe(text);
    expect((await stat(join(folder, 'demo.txt'))).mode & 0o777).toBe(0o600);
  },
);

it('no demo is made where its file was deleted', async () => {
  expect(await addressDemo(folder, 'http://127.0.0.1:3000')).toBeNull();
  await expect(readDemo()).rejects.toThrow('ENOENT');
});
