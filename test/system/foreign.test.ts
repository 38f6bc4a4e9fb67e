// What programs of others make of ours: generators of clients of the OpenAPI document, React and Vue of the package for pages.
// They are 190 MB: only with GATEHOUSE_REQUIRE_FOREIGN=1 they are installed, from npm, into a directory that is removed afterwards.
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openHouse } from '../support/house.js';

const FOLDER = new URL('foreign', import.meta.url).pathname;

const isRequired = process.env['GATEHOUSE_REQUIRE_FOREIGN'] === '1';

describe.skipIf(!isRequired)('programs of others', () => {
  let directory: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'gatehouse-foreign-'));
    cpSync(FOLDER, directory, { recursive: true });
    const house = await openHouse();
    const { body } = await (await house.replica()).app.inject({ url: '/openapi.json' });
    await house.close();
    writeFileSync(join(directory, 'openapi.json'), body);
    // The lock file names no addresses: npm would ask the registry for each package, also for those that it keeps. Hashes are checked.
    const quietly = ['--no-audit', '--no-fund', '--no-update-notifier'];
    await run('npm', 'ci', '--ignore-scripts', '--prefer-offline', ...quietly);
  }, 600_000);
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  /** Runs a program in the directory, and gives what it prints; fails with all that it says. */
  async function run(program: string, ...args: string[]): Promise<string> {
    // Nobody is told that we ran, and no answer is awaited.
    const quiet = { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true', DO_NOT_TRACK: '1' };
    const options = { cwd: directory, env: { ...process.env, ...quiet }, maxBuffer: 64 * 1024 * 1024 };
    return (await promisify(execFile)(program, args, options)).stdout;
  }

  const installed = (program: string, ...args: string[]) => run(join('node_modules/.bin', program), ...args);

  it('a linter has nothing to say of it', async () => {
    const report = await installed(
      'redocly',
      'lint',
      'openapi.json',
      '--extends=recommended',
      '--format=json',
    );
    const { totals, problems } = JSON.parse(report) as { totals: object; problems: unknown[] };
    expect(problems).toEqual([]);
    expect(totals).toEqual({ errors: 0, warnings: 0, ignored: 0 });
  });

  describe('clients that generators make of it', () => {
    const GENERATORS: [name: string, ...args: string[]][] = [
      ['openapi-typescript', 'openapi.json', '--output', 'made/openapi-typescript.ts'],
      [
        'openapi-ts',
        '--input',
        'openapi.json',
        '--output',
        'made/hey-api',
        '--client',
        '@hey-api/client-fetch',
      ],
      ['orval', '--input', 'openapi.json', '--output', 'made/orval.ts', '--client', 'fetch'],
      ['oazapfts', 'openapi.json', 'made/oazapfts.ts'],
    ];

    it.each(GENERATORS)('are made by %s', async (...command) => {
      await installed(...command);
    });

    it('compile, and their answers can be told apart', async () => {
      expect(await installed('tsc', '--project', '.')).toBe('');
    });
  });

  it('the snippets of docs/browser.md compile, in React and Vue and for a server', async () => {
    const page = readFileSync(new URL('../../docs/browser.md', import.meta.url), 'utf8');
    const snippets = [...page.matchAll(/<!-- compiled: (\S+) -->\n\n```tsx?\n([^]*?)```/g)];
    expect(snippets.map(([, name]) => name)).toEqual([
      'auth.ts',
      'session.tsx',
      'use-session.ts',
      'session-of.ts',
    ]);
    mkdirSync(join(directory, 'snippets'));
    for (const [, name = '', text = ''] of snippets) writeFileSync(join(directory, 'snippets', name), text);
    const browser = join(directory, 'node_modules/@gatehouse/browser');
    cpSync(new URL('../../packages/browser', import.meta.url), browser, { recursive: true });
    expect(await installed('tsc', '--project', 'tsconfig.snippets.json')).toBe('');
  });
});
