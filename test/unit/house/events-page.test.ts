// docs/events.md names every type of event and every field, and no other.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

import { EVENT_TYPES } from '../../../src/domain/events/recorded.js';

const ROOT = new URL('../../../', import.meta.url);
const page = readFileSync(new URL('docs/events.md', ROOT), 'utf8');
const schema = readFileSync(new URL('prisma/schema.prisma', ROOT), 'utf8');

/** The first word in backticks of each row of a section. */
function rowsOf(title: string): string[] {
  const section = page.split(`\n## ${title}\n`)[1]?.split('\n## ')[0] ?? '';
  return [...section.matchAll(/^\| `([^`]+)`/gm)].map(([, word = '']) => word);
}

it('has each type', () => {
  expect(rowsOf('What is told').toSorted()).toEqual(EVENT_TYPES.toSorted());
});

it('has each field', () => {
  const [, body = ''] = /^model Event \{\n(.*?)^\}/ms.exec(schema) ?? [];
  const columns = [...body.matchAll(/^ {2}(\w+) +\w+\?? *(.*)$/gm)].map(
    ([, name = '', rest = '']) => /@map\("(\w+)"\)/.exec(rest)?.[1] ?? name,
  );
  expect(columns.length).toBeGreaterThan(10);
  expect(rowsOf('Fields').toSorted()).toEqual(columns.toSorted());
});
