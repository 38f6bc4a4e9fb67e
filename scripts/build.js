// Builds what is stale: Prisma's client after its schema changed, JavaScript from TypeScript, the module for browsers, the account page.
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
const browserSource = join(root, 'src/browser');
const browserModule = join(root, 'dist/browser/gatehouse.js');
const accountSource = join(root, 'src/account');
const accountPage = join(root, 'dist/account');

/** Ends the build with a line that says why, if there is one. */
function refuse(why) {
  if (why === undefined) return;
  process.stderr.write(`${why}\n`);
  process.exit(1);
}

/** A package with a native part, without the stack of its own search for it. */
async function load(name) {
  return await loadNative(name).catch((error) => refuse(error.message));
}

/** Runs a package's own command line in this Node; stops the build with its output when it fails. */
function run(packageFile, ...args) {
  refuse(explainMissingCompiler(root));
  const env = {
    ...process.env,
    // `generate` reads the schema in WebAssembly, yet the CLI insists on a native engine that it would download.
    // Any executable satisfies it; this one is surely there.
    PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
    PRISMA_HIDE_UPDATE_MESSAGE: '1',
    CHECKPOINT_DISABLE: '1',
  };
  const { status, stdout, stderr } = spawnSync(process.execPath, [require.resolve(packageFile), ...args], {
    cwd: root,
    env,
    encoding: 'utf8',
  });
  if (status === 0) return;
  process.stderr.write(`${stdout}${stderr}\nbuild: ${packageFile} ${args.join(' ')} failed\n`);
  process.exit(status ?? 1);
}

/** Types are checked over all, then each module is compiled by itself: the client that they import is bundled apart. */
async function buildAccountPage() {
  run('typescript/bin/tsc', '--project', 'tsconfig.account.json');
  const { default: ts } = await import('typescript');
  const compilerOptions = {
    target: 'ES2022',
    module: 'ES2022',
    verbatimModuleSyntax: true,
    removeComments: true,
  };
  rmSync(accountPage, { recursive: true, force: true });
  mkdirSync(accountPage, { recursive: true });
  for (const name of readdirSync(accountSource)) {
    const source = join(accountSource, name);
    if (!name.endsWith('.ts')) {
      copyFileSync(source, join(accountPage, name));
      continue;
    }
    const { outputText } = ts.transpileModule(readFileSync(source, 'utf8'), { compilerOptions });
    writeFileSync(join(accountPage, name.replace(/\.ts$/, '.js')), outputText);
  }
}

/** Does its work only if there is something new for it to make something of. */
async function make(what, sources, work) {
  const stamp = join(root, 'dist', `.${what}`);
  const all = [...sources, 'tsconfig.json', 'package-lock.json'].map((source) => join(root, source));
  if (!isStale(stamp, all)) return;
  const finish = makeStamp(stamp);
  await work();
  finish();
}

/** Types as TypeScript sees them, and one small file for pages: a page waits for each import of an import. */
async function buildForBrowsers() {
  run('typescript/bin/tsc', '--project', 'tsconfig.browser.json');
  const { rolldown } = await load('rolldown');
  const bundle = await rolldown({
    input: join(browserSource, 'gatehouse.ts'),
    platform: 'browser',
    tsconfig: join(root, 'tsconfig.browser.json'),
  });
  await bundle.write({ file: browserModule, format: 'esm', minify: true });
  await bundle.close();
}

refuse(explainMissing(root));
if (process.argv.includes('--all')) {
  refuse(explainMissingCompiler(root));
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  rmSync(dirname(generated), { recursive: true, force: true });
}
if (isStale(generated, [schema])) run('prisma/build/index.js', 'generate');
if (!process.argv.includes('--generate')) {
  await make('service', ['src', 'tsconfig.resource-server.json'], () => {
    run('typescript/bin/tsc', '--project', 'tsconfig.json');
    // What resource servers import is a program of its own: it comes with declarations, and knows nothing of the service.
    run('typescript/bin/tsc', '--project', 'tsconfig.resource-server.json');
  });
  await make('browser', ['src/browser', 'tsconfig.browser.json'], buildForBrowsers);
  await make('account', ['src/account', 'tsconfig.account.json', 'tsconfig.browser.json'], buildAccountPage);
  // The service hashes with it: what is missing is said here in a line, and not by a stack at its start.
  await load('@node-rs/argon2');
}
