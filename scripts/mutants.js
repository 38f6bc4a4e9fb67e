// Changes one thing at a time in the given sources, and names each change that no test notices.
// Usage: npm run mutants -- SOURCE [SOURCE…] [TEST…]. A source may end in lines, `:12-40`; without tests all of five lanes run.
import { readFileSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { Stryker } from '@stryker-mutator/core';

const INCREMENTAL = 'coverage/mutants/incremental.json';

const given = process.argv.slice(2);
const tests = given.filter((path) => path.endsWith('.test.ts'));
const sources = given.filter((path) => !tests.includes(path));
if (sources.length === 0) {
  process.stderr.write('mutants: name the sources to change: npm run mutants -- src/http/doors/cookies.ts\n');
  process.exit(1);
}
// For vitest.mutants.ts, which Stryker's own processes read.
if (tests.length > 0) process.env.MUTANTS_TESTS = tests.join('\n');

const results = await new Stryker({
  mutate: sources,
  testRunner: 'vitest',
  vitest: { configFile: 'vitest.mutants.ts' },
  // Each has a PostgreSQL of its own.
  concurrency: 2,
  // A machine that does other things too is no reason to call a mutant noticed.
  timeoutMS: 60_000,
  dryRunTimeoutMinutes: 30,
  // What a development database holds is not for copies, and belongs to another account.
  ignorePatterns: ['/data', '.env', '/coverage'],
  tempDirName: 'coverage/mutants/copies',
  incremental: true,
  incrementalFile: INCREMENTAL,
  reporters: ['progress-append-only', 'clear-text', 'html', 'json'],
  htmlReporter: { fileName: 'coverage/mutants/report.html' },
  jsonReporter: { fileName: 'coverage/mutants/report.json' },
  clearTextReporter: { logTests: false, reportTests: false },
}).runMutationTest();

// Stryker's runner sees failed tests alone. Where a file cannot even be loaded with a mutant, or no worker could start on a busy machine,
// no test has failed, and it calls the mutant a survivor. It is named here, and the next run tries it again.
const isUntested = ({ status, testsCompleted }) => status === 'Survived' && testsCompleted === 0;
for (const { fileName, location, replacement } of results.filter(isUntested)) {
  const { line, column } = location.start;
  const at = `${relative('', fileName)}:${line}:${column}`;
  process.stderr.write(`mutants: ${at} as ${replacement}: no survivor, no test could run with it\n`);
}
const kept = JSON.parse(readFileSync(INCREMENTAL, 'utf8'));
for (const file of Object.values(kept.files))
  file.mutants = file.mutants.filter((mutant) => !isUntested(mutant));
writeFileSync(INCREMENTAL, JSON.stringify(kept));
