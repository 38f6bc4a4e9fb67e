// Each migration says which older builds can live with it: those that know the migration that it names.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = new URL('../../../prisma/migrations/', import.meta.url).pathname;

/** The first that says it: before there was nothing to be rolled back to. */
const FIRST = '20261129235500_judge_before_invoking';

const names = readdirSync(ROOT)
  .filter((name) => /^\d{14}_/.test(name))
  .sort();

function findNamed(name: string): string[] {
  const sql = readFileSync(join(ROOT, name, 'migration.sql'), 'utf8');
  const pattern = /^UPDATE "service" SET "must_know" = greatest\("must_know", '(\w+)'\);$/gm;
  return [...sql.matchAll(pattern)].map(([, named = '']) => named);
}

it.each(names.filter((name) => name >= FIRST))('%s names one that it is not older than', (name) => {
  const [named, ...more] = findNamed(name);
  expect(more).toEqual([]);
  expect(names.filter((known) => known <= name)).toContain(named);
});
