// docs/traces.md names every attribute that is sent, and no other.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

import { SENT_ATTRIBUTES } from '../../../src/observability/traces/outlet.js';

it('the page on traces has a row for each attribute that is sent', () => {
  const page = readFileSync('docs/traces.md', 'utf8');
  const rows = [...page.matchAll(/^\| `([a-z]+\.[a-z._]+)` *\|/gm)].map(([, name = '']) => name);
  expect(rows.toSorted()).toEqual([...SENT_ATTRIBUTES].sort());
});
