// The service and the command line read .env of the folder in which they are called, and start nothing beside what it says.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, writeFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';

import { SECRET } from '../../support/house.js';
import { createWorkshop } from '../../support/service.js';

const PROGRAMS = [
  ['the service', fileURLToPath(new URL('../../../dist/main.js', import.meta.url)), []],
  [
    'the command line',
    fileURLToPath(new URL('../../../dist/cli/gatehouse.js', import.meta.url)),
    ['users', 'list'],
  ],
] as const;

const workshop = createWorkshop();
afterEach(() => workshop.clear());

/** Nobody listens on port 1. */
const SETTINGS = `DATABASE_URL=postgresql://gatehouse:hunter2@127.0.0.1:1/auth\nAUTH_SECRET=${SECRET}\n`;
const UNREACHABLE = /^gatehouse: The database auth at 127\.0\.0\.1:1 cannot be reached\. [^\n]*\n$/;

describe.each(PROGRAMS)('%s', (_who, program, args) => {
  async function run(
    prepare: (file: string) => Promise<unknown>,
    more: Record<string, string> = {},
    given: readonly string[] = args,
  ): Promise<{ code: number; stdout: string; stderr: string; files: string[] }> {
    const cwd = await workshop.directory();
    await prepare(join(cwd, '.env'));
    const env = { PATH: process.env['PATH'], ...more };
    const child = spawn(process.execPath, [program, ...given], {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close') as Promise<[number]>,
    ]);
    return { code, stdout, stderr, files: await readdir(cwd) };
  }

  it.each([
    ['UTF-8', Buffer.from(SETTINGS)],
    ['UTF-8 with a byte-order mark', Buffer.from(`\uFEFF${SETTINGS}`)],
    [
      'UTF-16 with a byte-order mark and CRLF',
      Buffer.from(`\uFEFF${SETTINGS.replaceAll('\n', '\r\n')}`, 'utf16le'),
    ],
    ['lines that end with a carriage return', Buffer.from(SETTINGS.replaceAll('\n', '\r'))],
  ])('finds its database in a file of %s', async (_encoding, bytes) => {
    const { code, stderr, files } = await run((file) => writeFile(file, bytes));
    expect(stderr).toMatch(UNREACHABLE);
    expect({ code, files }).toEqual({ code: 1, files: ['.env'] });
  });

  it('makes no database of its own where the name of ours has an invisible character in it', async () => {
    const lines = [
      'gatehouse: the configuration is wrong, see .env.example:',
      '  .env line 1: DATABASE_URL is written with an invisible or a full-width character in its name: type the name anew\n',
    ];
    const { code, stderr, files } = await run((file) => writeFile(file, `\u200B${SETTINGS}`));
    expect({ code, stderr, files }).toEqual({ code: 1, stderr: lines.join('\n'), files: ['.env'] });
  });

  it('says so where it stands in the environment', async () => {
    const { code, stderr } = await run(() => Promise.resolve(), { '\u200BDATABASE_URL': 'postgresql://h/d' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^ {2}DATABASE_URL is written with an invisible or a full-width character/m);
  });

  it('says in a line that it cannot read the file', async () => {
    const { code, stderr } = await run((file) => mkdir(file));
    expect(code).toBe(1);
    expect(stderr).toMatch(/^ {2}\.env cannot be read \(EISDIR\): make it a file/m);
  });

  it('lets what is set already win', async () => {
    const DATABASE_URL = 'postgresql://gatehouse@127.0.0.1:1/other';
    const { stderr } = await run((file) => writeFile(file, SETTINGS), { DATABASE_URL });
    expect(stderr).toMatch(/^gatehouse: The database other at /);
  });

  if (args.length > 0) {
    it('helps without reading the file', async () => {
      const { code, stdout } = await run((file) => mkdir(file), {}, ['--help']);
      expect(code).toBe(0);
      expect(stdout).toMatch(/^Usage: gatehouse/);
    });
  }
});
