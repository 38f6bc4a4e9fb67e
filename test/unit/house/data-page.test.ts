// docs/data.md names every table and column of the database: who adds one has to say what it tells about people.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const ROOT = new URL('../../../', import.meta.url);
const page = readFileSync(new URL('docs/data.md', ROOT), 'utf8');
const schema = readFileSync(new URL('prisma/schema.prisma', ROOT), 'utf8');

/** Columns by their table, as PostgreSQL names them. */
const tables = new Map(
  [...schema.matchAll(/^model \w+ \{\n(.*?)^\}/gms)].map(([, body = '']) => {
    const table = /@@map\("(\w+)"\)/.exec(body)?.[1] ?? '';
    const fields = [...body.matchAll(/^ {2}(\w+) +(\w+)[?[\]]*(.*)$/gm)];
    const columns = fields
      .filter(
        ([, , type = '', rest = '']) =>
          !/@relation/.test(rest) && !/^(?:Session|User|ClientSecret|PasswordCode)$/.test(type),
      )
      .map(([, name = '', , rest = '']) => /@map\("(\w+)"\)/.exec(rest)?.[1] ?? name);
    return [table, columns] as const;
  }),
);

/** What the page says of a table: its rows, and its part of the list of those about nobody. */
function namesBeside(table: string): string {
  const rows = page.split('\n').filter((line) => line.startsWith(`| \`${table}\` `));
  const inList = new RegExp(`\`${table}\` \\(([^)]*)\\)`).exec(page.replaceAll('\n', ' '))?.[1] ?? '';
  return [...rows.map((row) => row.split('|')[2]), inList].join(' ');
}

it('the schema was read: all tables, with their columns', () => {
  expect([...tables.keys()].sort()).toEqual([
    'beat',
    'client_ids',
    'client_secrets',
    'clients',
    'events',
    'login_attempts',
    'password_codes',
    'revocations',
    'service',
    'sessions',
    'signing_keys',
    'users',
  ]);
  expect(tables.get('sessions')).toContain('user_agent');
  expect(tables.get('users')).toContain('password_hash');
});

it.each([...tables])(
  '%s is on the page, column by column, and no column that is not there',
  (table, columns) => {
    const named = [...namesBeside(table).matchAll(/`(\w+)`/g)].map(([, name = '']) => name);
    expect([...new Set(named)].sort()).toEqual([...columns].sort());
  },
);
