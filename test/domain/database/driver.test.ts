// PG* variables in the environment: whatever they say, every connection is what it would be without them.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

import { openFirstConnection } from '../../../src/database/first-connection.js';
import { migrate } from '../../../src/database/migrate.js';
import { openDatabase } from '../../../src/database/prisma.js';
import { diffMigrations } from '../../../scripts/schema-engine.js';
import { createEmptyDatabase, type EmptyDatabase } from '../../support/empty-database.js';
import { AMPLE_MS } from '../../support/house.js';
import { HOSTILE_VARIABLES } from '../../support/pg-variables.js';

/** What a connection is, as its server sees it. */
const FINGERPRINT = `
  SELECT current_user::text AS "user", current_database()::text AS "database",
         (SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings
          WHERE source IN ('client', 'session', 'interactive')) AS settings,
         (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS tls`;

const COLUMNS = { user: 'text', database: 'text', settings: 'text?', tls: 'bool' } as const;

let empty: EmptyDatabase;

beforeAll(async () => {
  empty = await createEmptyDatabase();
});
afterAll(() => empty.drop());
afterEach(() => void vi.unstubAllEnvs());

function pollute(variables: Record<string, string>): void {
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
}

async function firstConnection(): Promise<unknown> {
  const client = await openFirstConnection(empty.url);
  try {
    return (await client.query(FINGERPRINT)).rows[0];
  } finally {
    await client.end();
  }
}

async function pooled(): Promise<unknown> {
  const database = openDatabase(empty.url, { connections: 1, deadlineMs: AMPLE_MS });
  const text = Object.assign([FINGERPRINT], { raw: [FINGERPRINT] });
  try {
    const [once] = await database.query(COLUMNS)(text);
    const [prepared] = await database.prepared('fingerprint', COLUMNS)(text);
    return [once, prepared];
  } finally {
    await database.close();
  }
}

describe.each([
  ['the first connection', firstConnection],
  ['the pool', pooled],
])('%s', (_what, connect) => {
  it('is what it is without', async () => {
    const without = await connect();
    for (const [name, value] of HOSTILE_VARIABLES) {
      pollute({ [name]: value });
      expect([name, await connect()]).toEqual([name, without]);
      vi.unstubAllEnvs();
    }
    pollute(Object.fromEntries(HOSTILE_VARIABLES));
    expect(await connect()).toEqual(without);
  });
});

it('a pool opens its connections without them, also when they came after it was made', async () => {
  const database = openDatabase(empty.url, { connections: 1, deadlineMs: AMPLE_MS });
  pollute(Object.fromEntries(HOSTILE_VARIABLES));
  expect(await database.query({ n: 'int4' })`SELECT 1::int4 AS n`).toEqual([{ n: 1 }]);
  await database.close();
});

it('migrations know nothing of them, nor does the comparison of schemas', async () => {
  const another = await createEmptyDatabase();
  pollute(Object.fromEntries(HOSTILE_VARIABLES));
  expect(await migrate(empty.url)).not.toEqual([]);
  pollute(Object.fromEntries(HOSTILE_VARIABLES));
  expect(await diffMigrations(another.url)).toBe('');
  vi.unstubAllEnvs();
  await another.drop();
});

it('a password that the URL lacks is not taken from PGPASSWORD', async () => {
  const url = new URL(empty.url);
  pollute({ PGPASSWORD: url.password });
  url.password = '';
  await expect(openFirstConnection(url.href)).rejects.toThrow(/refuses the user or password/);
});

it('the list of the tests names every variable that the driver reads', () => {
  const require = createRequire(import.meta.url);
  const files = [
    'pg/lib/connection-parameters',
    'pg/lib/defaults',
    require.resolve('pgpass', { paths: [require.resolve('pg')] }),
  ];
  const text = files.map((file) => readFileSync(require.resolve(file), 'utf8')).join('\n');
  const named = text.match(/\bPG[A-Z_]{3,}\b/g) ?? [];
  const built = [...text.matchAll(/\bval\('(\w+)', config\)/g)].map(
    ([, key = '']) => `PG${key.toUpperCase()}`,
  );
  expect(built.length).toBeGreaterThan(5);
  const ours = new Set<string>(HOSTILE_VARIABLES.map(([name]) => name));
  expect([...named, ...built].filter((name) => !ours.has(name))).toEqual([]);
});
