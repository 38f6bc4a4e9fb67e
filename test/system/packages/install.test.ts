// What somebody gets who installs a package without the service: packed, installed into an empty project, and used there.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

const directory = mkdtempSync(join(tmpdir(), 'gatehouse-packages-'));
afterAll(() => rmSync(directory, { recursive: true }));

// Windows starts `npm` by a shell alone.
const npm = (parameters: string[], cwd: string): string =>
  execFileSync(
    'npm',
    [...parameters, '--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier'],
    {
      cwd,
      encoding: 'utf8',
      shell: process.platform === 'win32',
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );

/** Every package that comes along, by the folders in which `npm ci` has put them. */
function findDependencies(folder: string): string[] {
  const text = readFileSync(join(ROOT, folder, 'package.json'), 'utf8');
  const { dependencies = {} } = JSON.parse(text) as { dependencies?: Record<string, string> };
  const direct = Object.keys(dependencies).map((name) => `node_modules/${name}`);
  return [...direct, ...direct.flatMap(findDependencies)];
}

/**
 * Installs the package with npm into a project of its own. Packed from what is installed here, its dependencies need no
 * registry.
 *
 * @returns the project's directory
 */
function install(name: string): string {
  const [archives, project] = ['archives', 'project'].map((what) => join(directory, name, what)) as [
    string,
    string,
  ];
  for (const each of [archives, project]) mkdirSync(each, { recursive: true });
  const folders = [`packages/${name}`, ...new Set(findDependencies(`packages/${name}`))];
  npm(['pack', '--silent', '--pack-destination', archives, ...folders.map((folder) => `./${folder}`)], ROOT);
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }\n');
  npm(['install', '--offline', ...readdirSync(archives).map((file) => join(archives, file))], project);
  return project;
}

function sizeOf(path: string): number {
  const files = readdirSync(path, { recursive: true, encoding: 'utf8' }).map((file) =>
    statSync(join(path, file)),
  );
  return files.filter((file) => file.isFile()).reduce((sum, { size }) => sum + size, 0);
}

/** Runs a module in the project, and gives what it prints. */
function run(project: string, text: string): string {
  writeFileSync(join(project, 'use.js'), text);
  return execFileSync(process.execPath, ['use.js'], { cwd: project, encoding: 'utf8' }).trim();
}

/** The language's own types, parsed once for all projects. */
const OF_LANGUAGE = new Map<string, ts.SourceFile | undefined>();

function createHost(options: ts.CompilerOptions): ts.CompilerHost {
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile.bind(host);
  const isOfLanguage = (file: string) => /\/lib\.[\w.]+\.d\.ts$/.test(file);
  host.getSourceFile = (file, ...rest) => {
    if (!isOfLanguage(file)) return read(file, ...rest);
    if (!OF_LANGUAGE.has(file)) OF_LANGUAGE.set(file, read(file, ...rest));
    return OF_LANGUAGE.get(file);
  };
  return host;
}

/**
 * What TypeScript, at its strictest, says of two modules in the project: of the one that holds a mistake, and of all else.
 * The language's own types are checked by those who make them.
 */
function check(project: string, modules: { use: string; misuse: string }) {
  const [use, misuse] = ['use.ts', 'misuse.ts'].map((name) => join(project, name)) as [string, string];
  writeFileSync(use, modules.use);
  writeFileSync(misuse, modules.misuse);
  const options = {
    noEmit: true,
    skipDefaultLibCheck: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
    types: [],
  };
  const program = ts.createProgram([use, misuse], options, createHost(options));
  const ofMisuse = program.getSourceFile(misuse);
  const faults = ts.getPreEmitDiagnostics(program);
  const say = ({ messageText }: ts.Diagnostic) => ts.flattenDiagnosticMessageText(messageText, '\n');
  return {
    ofMisuse: faults.filter(({ file }) => file !== undefined && file === ofMisuse).map(say),
    ofAllElse: faults.filter(({ file }) => file === undefined || file !== ofMisuse).map(say),
  };
}

const CASES = [
  {
    name: 'browser',
    mostBytes: 100_000,
    exports: { '.': ['GatehouseError', 'createGatehouse'] },
    use: `import { createGatehouse, type Session } from '@gatehouse/browser';
      export const session: Promise<Session | null> = createGatehouse({ url: 'https://auth.example' }).session();
      export const name: Promise<string | undefined> = session.then((found) => found?.username);`,
    misuse: `import type { Session } from '@gatehouse/browser';
      export const name = (session: Session): number => session.username;`,
  },
  {
    name: 'backend',
    mostBytes: 100_000,
    exports: { '.': ['BackendError', 'createBackend'] },
    use: `import { createBackend, type OpenedSession } from '@gatehouse/backend';
      const backend = createBackend({ url: 'https://auth.example', clientId: 'a', clientSecret: 'b' });
      export const opened: Promise<OpenedSession> = backend.openSession({ external_id: 'ada', ext: { plan: 'gold' } });
      export const hasEnded: Promise<boolean> = opened.then(({ session_id }) => backend.endSession(session_id));`,
    misuse: `import type { OpenedSession } from '@gatehouse/backend';
      export const end = (opened: OpenedSession): string => opened.expires_in;`,
  },
  {
    name: 'resource-server',
    mostBytes: 8_000_000,
    exports: {
      '.': ['Refusal', 'createIntrospector', 'hasScope'],
      './fastify': ['default', 'hasScope'],
      './watch': ['createWatch'],
    },
    use: `import { createIntrospector, type User } from '@gatehouse/resource-server';
      const introspect = createIntrospector({ url: 'https://auth.example', clientId: 'a', clientSecret: 'b' });
      export const user: Promise<Readonly<User>> = introspect('Bearer x').then((admission) => admission.user);`,
    misuse: `import type { User } from '@gatehouse/resource-server';
      export const end = (user: User): string => user.exp;`,
  },
];

describe.each(CASES)('@gatehouse/$name', ({ name, mostBytes, exports, use, misuse }) => {
  let project: string;
  beforeAll(() => {
    project = install(name);
  });

  it('is imported by name', () => {
    for (const [path, names] of Object.entries(exports)) {
      const from = join('@gatehouse', name, path).replaceAll('\\', '/');
      const text = `import * as all from '${from}'; console.log(JSON.stringify(Object.keys(all).sort()));`;
      expect(JSON.parse(run(project, text))).toEqual(names);
    }
  });

  it('brings types that need nothing else, and that tell mistakes', () => {
    const { ofMisuse, ofAllElse } = check(project, { use, misuse });
    expect(ofAllElse).toEqual([]);
    expect(ofMisuse).toHaveLength(1);
  });

  it('says what it is, in a README', () => {
    const text = readFileSync(join(project, 'node_modules/@gatehouse', name, 'README.md'), 'utf8');
    expect(text).toContain(`npm install @gatehouse/${name}`);
  });

  it('holds neither sources nor names of packages that are not published', () => {
    const files = readdirSync(join(project, 'node_modules/@gatehouse', name), {
      recursive: true,
      encoding: 'utf8',
    });
    expect(files.filter((file) => /(?:^|[\\/])src\b|(?<!\.d)\.ts$/.test(file))).toEqual([]);
    const texts = files
      .filter((file) => /\.(?:js|ts|json)$/.test(file))
      .map((file) => readFileSync(join(project, 'node_modules/@gatehouse', name, file), 'utf8'));
    expect(texts.filter((text) => text.includes('@gatehouse/protocol'))).toEqual([]);
  });

  it(`weighs less than ${mostBytes / 1000} kB with all that it brings`, () => {
    expect(sizeOf(join(project, 'node_modules'))).toBeLessThan(mostBytes);
  });
});
