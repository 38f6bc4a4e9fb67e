// Who may import whom, and how a file looks: the rules of the house that a machine can hold.
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

/** Whom each room of src/ may import, besides itself: down only, main -> app -> http -> domain -> database. */
const MAY_IMPORT: Record<string, string[]> = {
  main: ['workers', 'replica', 'http', 'domain', 'database', 'config', 'environment', 'demo', 'signals'],
  // The processes that serve when there are several: seen from the first, and each from within.
  workers: ['replica', 'environment', 'database', 'signals'],
  worker: ['workers', 'replica', 'http', 'environment', 'signals'],
  replica: ['app', 'http', 'domain', 'database', 'config', 'signals'],
  cli: ['domain', 'database', 'config', 'environment', 'demo', 'signals'],
  app: ['http', 'domain', 'config'],
  http: ['domain', 'database'],
  domain: ['database'],
  database: [],
  // What the two programs share, service and command line.
  environment: ['config', 'domain', 'database'],
  demo: ['domain', 'database'],
  config: ['variables', 'domain'],
  variables: ['domain'],
  signals: [],
  // Runs in the browser, with nothing of ours but the client for browsers.
  account: ['browser'],
  // Runs in pages: nothing of the service may come with it, nor any package.
  browser: [],
  // What resource servers import: a program of its own, which knows the service by its answers alone.
  'resource-server': [],
};

/** Files of more than 200 lines, each with a word on why it is one thing. */
const LONG_FOR_A_REASON: Record<string, string> = {};

const ROOT = new URL('../src/', import.meta.url).pathname;

interface Source {
  file: string;
  room: string;
  text: string;
  /** Packages by name, our own files by their path below src/. */
  imports: string[];
}

function readSource(file: string): Source {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const imports = ts
    .preProcessFile(text)
    .importedFiles.map(({ fileName }) =>
      fileName.startsWith('.') ? posix.join('/', posix.dirname(file), fileName) : fileName,
    );
  return { file, room: roomOf(file), text, imports };
}

function roomOf(path: string): string {
  return path.replace(/^\//, '').replace(/(?:\/.*|\.[jt]s)$/, '');
}

const sources = readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.startsWith('database/generated'))
  .map(readSource);

function filesThat(does: (source: Source) => boolean): string[] {
  return sources
    .filter(does)
    .map(({ file }) => file)
    .sort();
}

function importersOf(packages: RegExp): string[] {
  return filesThat(({ imports }) => imports.some((name) => packages.test(name)));
}

describe('the rooms', () => {
  it('are all known, and have been read', () => {
    expect([...new Set(sources.map(({ room }) => room))].sort()).toEqual(Object.keys(MAY_IMPORT).sort());
    expect(sources.flatMap(({ imports }) => imports).length).toBeGreaterThan(200);
  });

  it.each(sources)('let $file import downwards alone', ({ room, imports }) => {
    const rooms = imports.filter((name) => name.startsWith('/')).map(roomOf);
    const forbidden = rooms.filter((other) => other !== room && MAY_IMPORT[room]?.includes(other) !== true);
    expect(forbidden).toEqual([]);
  });

  it('keep Fastify in app.ts, http/ and the plugin for resource servers, and @fastify/jwt in one file', () => {
    const outside = importersOf(/^(?:@fastify\/|fastify)/).filter(
      (file) => !/^(?:app\.ts|http\/|resource-server\/fastify\.ts)/.test(file),
    );
    expect(outside).toEqual([]);
    expect(importersOf(/^(?:@fastify\/jwt|fast-jwt)/)).toEqual(['http/jwt.ts']);
  });

  it('keep Prisma in database/', () => {
    const outside = importersOf(/^@prisma\/|\/generated\//).filter((file) => !file.startsWith('database/'));
    expect(outside).toEqual([]);
  });

  it('keep everything out of browser/ but itself', () => {
    const outside = sources
      .filter(({ room }) => room === 'browser')
      .flatMap(({ imports }) => imports.filter((name) => !name.startsWith('/browser/')));
    expect(outside).toEqual([]);
  });

  it('make connections by the driver that is deaf to PG* variables', () => {
    const makers = filesThat(({ text }) => /\bnew pg\.|\bextends pg\.|new PrismaPg\((?!pool\b)/.test(text));
    expect(makers).toEqual(['database/driver.ts']);
  });

  it('read the environment at the two entries alone, and drop PG* variables in the driver', () => {
    const reads = [
      /\bprocess\s*(?:\?\.|\.|\[['"])\s*env\b/,
      /\{[^{}]*\benv\b[^{}]*\}\s*=\s*process\b/,
      /\benv\b[^;]*from '(?:node:)?process'/,
    ];
    const readers = filesThat(({ text }) => reads.some((read) => read.test(text)));
    expect(readers).toEqual(['cli/gatehouse.ts', 'database/driver.ts', 'main.ts']);
  });
});

describe('a file', () => {
  it.each(sources)('$file opens with a sentence on what it is for', ({ text }) => {
    const [opening = ''] = /^(?:\/\*\*[^]*?\*\/|(?:\/\/.*\n)+)/.exec(text) ?? [];
    const words = opening.replaceAll(/^(?:\/\*\*| \*(?!\/)|\/\/)|\*\/$/gm, '').trim();
    expect(words).toMatch(/^\S[^]{15,}[.?!]$/);
    expect(words).not.toMatch(/eslint-|@ts-|TODO/);
  });

  it('of more than 200 lines says why', () => {
    const long = filesThat(({ text }) => text.trimEnd().split('\n').length > 200);
    expect(long).toEqual(Object.keys(LONG_FOR_A_REASON).sort());
  });
});
