// Every command line of our pages works as it stands there: page by page, in its order, for a reader with a fresh clone.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { isAsShown, listPages, readBlocks, readPages, ROOT, type Page } from '../support/manual.js';
import { createReader, type Reader } from '../support/terminal.js';

/** What a page leaves out, by its own words. A new reason is looked at before it stands here. */
const REASONS = [
  'Docker',
  'Gatehouse is stopped before it',
  'a sample runs before it',
  'eight minutes pass before it',
  'hours of tests, or their runs',
  'installs from the registry',
  'it is the test run',
  'minutes of faults',
  'minutes of measuring',
  'not on npm yet',
  'somebody types',
  'the tests of this client run it',
  'the answers are about people',
  'the address is where you found this page',
];

const pages = readPages();

describe.concurrent('a reader with a fresh clone', () => {
  for (const page of pages.filter(isToBeRun)) {
    it.skipIf(!page.needs.every(isThere))(
      `can type, line by line, what stands in ${page.path}`,
      { timeout: 20 * 60_000 },
      () => readPatiently(page),
    );
  }
});

it('npx starts the command of the clone, as a reader of our pages types it', async () => {
  const reader = await createReader();
  try {
    const byNpm = await reader.type('command npx gatehouse help users add');
    expect(byNpm).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('gatehouse users add') as string,
    });
    expect(byNpm.stdout).toBe((await reader.type('npx gatehouse help users add')).stdout);
  } finally {
    await reader.leave();
  }
});

function isToBeRun({ blocks }: Page): boolean {
  return blocks.some(({ is }) => is === 'commands' || is === 'server');
}

/** In CI, where nothing is skipped, every program is there. */
function isThere(program: string): boolean {
  if (process.env[`GATEHOUSE_REQUIRE_${program.toUpperCase()}`] === '1') return true;
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}

/** From the beginning, until no answer of the service was 503. */
async function readPatiently(page: Page): Promise<void> {
  for (;;) {
    // README's own reader, and those of other pages that start it themselves, see the first start.
    const reader = await createReader({ wasStarted: page.followsReadme });
    try {
      await read(reader, page);
      return;
    } catch (error) {
      await reader.leave();
      if (!reader.wasUnavailable()) throw error;
    } finally {
      await reader.leave();
    }
  }
}

async function read(reader: Reader, page: Page): Promise<void> {
  for (const block of page.blocks) await follow(reader, page, block);
}

async function follow(reader: Reader, { path }: Page, block: Page['blocks'][number]): Promise<void> {
  if (block.is === 'file') await reader.save(block.name, block.text);
  if (block.is === 'server') await reader.leaveRunning(block.text, block.ready);
  if (block.is !== 'commands') return;
  for (const { line, text, output } of block.commands) {
    const done = await reader.type(text);
    const where = `${path}:${line}: ${text}`;
    expect({ where, ...done }).toMatchObject({ where, status: 0 });
    if (output === null) continue;
    const shown = reader.translate(output);
    if (!isAsShown(done.stdout, shown))
      expect({ where, output: done.stdout }).toEqual({ where, output: shown });
  }
}

describe('our pages', () => {
  it('say why, where a command is not run here', () => {
    const reasons = pages.flatMap(({ path, blocks }) =>
      blocks.flatMap((block) => (block.is === 'not run' ? [{ path, reason: block.reason }] : [])),
    );
    expect(reasons.filter(({ reason }) => !REASONS.includes(reason))).toEqual([]);
    expect(REASONS.filter((known) => !reasons.some(({ reason }) => reason === known))).toEqual([]);
  });

  it('show commands in fences that say what they are', () => {
    const stray = listPages('').flatMap((path) =>
      findStrayCommands(readFileSync(join(ROOT, path), 'utf8')).map((line) => ({ path, line })),
    );
    expect(stray).toEqual([]);
  });

  it('install in two places alone: on other pages a Gatehouse may run, and would lose its packages', () => {
    const installing = listPages('').filter((path) =>
      /^ *npm ci\b/m.test(readFileSync(join(ROOT, path), 'utf8')),
    );
    expect(installing.sort()).toEqual(['CONTRIBUTING.md', 'README.md']);
  });

  it('were read: most of their commands are run', () => {
    const commands = pages.flatMap(({ blocks }) =>
      blocks.flatMap((block) => (block.is === 'commands' ? block.commands : [])),
    );
    expect(commands.length).toBeGreaterThan(60);
    expect(pages.map(({ path }) => path)).toEqual(expect.arrayContaining(['README.md', 'docs/reference.md']));
  });
});

/** Commands in a fence without a language, or set in by four spaces. */
function findStrayCommands(page: string): string[] {
  const fences = [...page.matchAll(/^( *)```(.*)\n([^]*?)^\1```$/gm)];
  const plain = fences.flatMap(([, , info, text = '']) => (info === '' ? text.split('\n') : []));
  const indented = page.replaceAll(/^( *)```[^]*?^\1```$/gm, '').match(/^ {4}\S.*$/gm) ?? [];
  return [...plain, ...indented].filter((line) =>
    /^ *(?:\$ |[A-Z_]+=\S+ )*(?:npm|npx|node|bash|sh|curl|docker|git|openssl|gatehouse|cp|caddy|nginx|haproxy) /.test(
      line,
    ),
  );
}

describe('this test', () => {
  it.each([
    ['{"a":1}', '{ "a": 1 }', true],
    ['{"a":1}', '{"a":2}', false],
    ['{"a":1,"b":2,"c":3}', '{"a":1,…,"c":3}', true],
    ['{"a":1,"b":2,"c":3}', '{"a":1,…,"d":3}', false],
    ['{"id":"01a2-99ff","at":1795363417}', '{"id":"01b3-…","at":1800000000}', true],
    ['{"at":"2026-11-22T16:03:37.720Z"}', '{"at":"2031-01-01T00:00:00.000Z"}', true],
    ['{"at":"soon"}', '{"at":"2031-01-01T00:00:00.000Z"}', false],
    ['2040', '204', false],
  ])('compares %s with %s', (output, shown, expected) => {
    expect(isAsShown(output, shown)).toBe(expected);
  });

  it('reads commands that go over several lines, and the answers to them', () => {
    const page =
      '# A page\n\n```sh\n# first\na |\n  b\n# → 204\nc\n```\n\n```console\n$ d \\\n  e\nf\n$ g\n```\n';
    expect(readBlocks(page).blocks).toEqual([
      {
        is: 'commands',
        line: 3,
        commands: [
          { line: 5, text: 'a |\n  b', output: '204' },
          { line: 8, text: 'c', output: null },
        ],
      },
      {
        is: 'commands',
        line: 11,
        commands: [
          { line: 12, text: 'd \\\n  e', output: 'f\n' },
          { line: 15, text: 'g', output: null },
        ],
      },
    ]);
  });

  it('finds a command that no fence tells of', () => {
    expect(findStrayCommands('Run\n\n    npm ci\n\n```\nnpx gatehouse users list\n```\n')).toHaveLength(2);
    expect(findStrayCommands('```sh\nnpm ci\n```\n\n    src/main.ts\n')).toEqual([]);
  });

  it('does not know a fence that says something else', () => {
    expect(() => readBlocks('```sh not run\na\n```\n')).toThrow('a fence says “not run”');
  });
});
