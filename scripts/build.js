// Builds what is stale: Prisma's client after its schema changed, the service, and each package of packages/. Says on standard
// error which part it builds; where nothing is stale it says nothing.
// Usage: node scripts/build.js [--all | --generate]
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { explainMissing, explainMissingCompiler, loadNative } from './installed.js';
import { isStale, makeStamp } from './stale.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
const generated = join(root, 'src/database/generated/client.ts');
const schema = join(root, 'prisma/schema.prisma');
const packageOf = (name) => join(root, 'packages', name);

/** Ends the build with a line that says why, if there is one. */
function refuse(why) {
  if (why === undefined) return;
  process.stderr.write(`${why}\n`);
  process.exit(1);
}

/** @param {string} part that is built from now on, if its compiler is there */
function begin(part) {
  refuse(explainMissingCompiler(root));
  process.stderr.write(`build: ${part}\n`);
}

/** A package with a native part, without the stack of its own search for it. */
async function load(name) {
  return await loadNative(name).catch((error) => refuse(error.message));
}

/** Runs a package's own command line in this Node; stops the build with its output when it fails. */
function run(name, program, ...args) {
  const file = join(dirname(require.resolve(`${name}/package.json`)), program);
  const env = {
    ...process.env,
    // `generate` reads the schema in WebAssembly, yet the CLI insists on a native engine that it would download.
    // Any executable satisfies it; this one is surely there.
    PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
    PRISMA_HIDE_UPDATE_MESSAGE: '1',
    CHECKPOINT_DISABLE: '1',
  };
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args], {
    cwd: root,
    env,
    encoding: 'utf8',
  });
  if (status === 0) return;
  process.stderr.write(`${stdout}${stderr}\nbuild: ${name} ${args.join(' ')} failed\n`);
  process.exit(status ?? 1);
}

/** @param {string} name of a folder in packages/ */
function compile(name) {
  rmSync(join(packageOf(name), 'dist'), { recursive: true, force: true });
  run('typescript', 'bin/tsc', '--project', join(packageOf(name), 'tsconfig.json'));
}

/**
 * Copies the protocol into a package that is installed without the service, and lets its files import the copy: the
 * protocol itself is never published.
 */
function bundleProtocol(name, isTaken) {
  const [source, target] = [packageOf('protocol'), packageOf(name)].map((path) => join(path, 'dist'));
  for (const file of readdirSync(target).filter(isTaken)) {
    const text = readFileSync(join(target, file), 'utf8');
    writeFileSync(join(target, file), text.replaceAll("'@gatehouse/protocol'", "'./protocol/index.js'"));
  }
  mkdirSync(join(target, 'protocol'));
  for (const file of readdirSync(source).filter(isTaken))
    copyFileSync(join(source, file), join(target, 'protocol', file));
}

/** One file with all that it imports: a page waits for each import of an import. */
async function bundleForBrowsers(name, entry, file, { minify }) {
  const { rolldown } = await load('rolldown');
  const bundle = await rolldown({
    input: join(packageOf(name), 'src', entry),
    platform: 'browser',
    tsconfig: join(packageOf(name), 'tsconfig.json'),
  });
  await bundle.write({ file: join(packageOf(name), 'dist', file), format: 'esm', minify });
  await bundle.close();
}

/** A package for Node: a file for each source. */
function buildForServers(name) {
  compile(name);
  bundleProtocol(name, (file) => /\.(?:js|d\.ts)$/.test(file));
}

async function buildBrowser() {
  compile('browser');
  bundleProtocol('browser', (file) => file.endsWith('.d.ts'));
  await bundleForBrowsers('browser', 'gatehouse.ts', 'gatehouse.js', { minify: true });
}

/** Not minified: the browser shows under "sources" what people may want to read before they type a password. */
async function buildAccountPage() {
  compile('account-page');
  await bundleForBrowsers('account-page', 'main.ts', 'main.js', { minify: false });
  const [source, target] = ['src', 'dist'].map((folder) => join(packageOf('account-page'), folder));
  for (const name of readdirSync(source).filter((file) => !file.endsWith('.ts')))
    copyFileSync(join(source, name), join(target, name));
}

/** Builds a part whose sources have changed since it was built. */
async function make(what, sources, work) {
  const stamp = join(root, 'dist', `.${what}`);
  const all = [...sources, 'tsconfig.json', 'package-lock.json'].map((source) => join(root, source));
  if (!isStale(stamp, all)) return;
  begin(what);
  const finish = makeStamp(stamp);
  await work();
  finish();
}

/** What a package is made from. A package that was built into another one counts there too. */
function sourcesOf(...names) {
  return names.flatMap((name) => [`packages/${name}/src`, `packages/${name}/tsconfig.json`]);
}

refuse(explainMissing(root));
if (process.argv.includes('--all')) {
  refuse(explainMissingCompiler(root));
  for (const built of ['dist', ...readdirSync(join(root, 'packages')).map((name) => `packages/${name}/dist`)])
    rmSync(join(root, built), { recursive: true, force: true });
  rmSync(dirname(generated), { recursive: true, force: true });
}
if (isStale(generated, [schema])) {
  begin('prisma client');
  run('prisma', 'build/index.js', 'generate');
}
if (!process.argv.includes('--generate')) {
  await make('protocol', sourcesOf('protocol'), () => compile('protocol'));
  await make('local-postgres', sourcesOf('local-postgres'), () => compile('local-postgres'));
  await make('service', ['src', ...sourcesOf('protocol', 'local-postgres')], () =>
    run('typescript', 'bin/tsc', '--project', 'src/tsconfig.json'),
  );
  await make('resource-server', sourcesOf('protocol', 'resource-server'), () =>
    buildForServers('resource-server'),
  );
  await make('backend', sourcesOf('protocol', 'backend'), () => buildForServers('backend'));
  await make('browser', sourcesOf('protocol', 'browser'), buildBrowser);
  await make('account-page', sourcesOf('protocol', 'browser', 'account-page'), buildAccountPage);
  // The service hashes with it: what is missing is said here in a line, and not by a stack at its start.
  await load('@node-rs/argon2');
}
