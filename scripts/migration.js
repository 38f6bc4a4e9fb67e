// Writes the migration that leads from the existing ones to schema.prisma, or checks that none is missing.
// Usage: npm run migration -- NAME | npm run migration -- --check
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  choosePort,
  describeCluster,
  ensureCluster,
  startPostmaster,
  stopPostmaster,
} from '@gatehouse/local-postgres';
import { diffMigrations } from './schema-engine.js';

const migrations = join(dirname(fileURLToPath(import.meta.url)), '../prisma/migrations');

const [name] = process.argv.slice(2);
if (name === undefined || !/^(--check|[a-z0-9_]+)$/.test(name)) {
  process.stderr.write('Usage: npm run migration -- NAME (a-z, 0-9, _) | --check\n');
  process.exit(2);
}
const sql = await withTemporaryServer(diffMigrations);
if (name === '--check') check(sql);
else await write(name, sql);

function check(sql) {
  if (sql === '') return;
  process.stderr.write(`The migrations do not lead to schema.prisma. Missing:\n\n${sql}\n`);
  process.exitCode = 1;
}

async function write(name, sql) {
  if (sql === '') {
    process.stdout.write('The migrations lead to schema.prisma already.\n');
    return;
  }
  const timestamp = new Date().toISOString().slice(0, 19).replace(/\D/g, '');
  const directory = join(migrations, `${timestamp}_${name}`);
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'migration.sql'), `${sql}\n`);
  process.stdout.write(`${directory}/migration.sql\n`);
}

/** Hands a PostgreSQL that lives as long as `use` takes to it, as a superuser's URL. */
async function withTemporaryServer(use) {
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-migration-'));
  const cluster = await describeCluster(join(directory, 'postgres'), { fsync: 'off' });
  try {
    await ensureCluster(cluster, "CREATE ROLE admin SUPERUSER LOGIN PASSWORD 'temporary';\n");
    const port = await choosePort(cluster);
    const outcome = await startPostmaster(cluster, { port });
    if (outcome.is !== 'ready') throw new Error(JSON.stringify(outcome));
    return await use(`postgresql://admin:temporary@127.0.0.1:${port}/postgres`);
  } finally {
    await stopPostmaster(cluster);
    await rm(directory, { recursive: true, force: true });
  }
}
