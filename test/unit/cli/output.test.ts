// How lists and values look, whatever others have written into them.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { toJson, toTable } from '../../../src/cli/output.js';

describe('a table', () => {
  it('lines up columns under the names, without white space at the ends', () => {
    const rows = [
      { id: 'a', signs_at: 'now', permissions: ['introspect', 'revoke'], note: null },
      { id: 'bbbb', signs_at: 'never', permissions: [], note: 'last' },
    ];
    expect(toTable(rows, 'none').split('\n')).toEqual([
      'ID    SIGNS AT  PERMISSIONS        NOTE',
      'a     now       introspect revoke  -',
      'bbbb  never     -                  last',
    ]);
  });

  it('is a sentence when there are no rows', () => {
    expect(toTable([], 'no users')).toBe('no users');
  });

  it('is a line per row and writes nothing to the terminal but text, whatever the cells hold', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ a: fc.string({ unit: 'binary' }), b: fc.string() })), (rows) => {
        const lines = toTable(rows, '').split('\n');
        expect(lines).toHaveLength(Math.max(1, rows.length + Math.sign(rows.length)));
        for (const line of lines) expect(line).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u);
      }),
    );
  });
});

describe('JSON', () => {
  it('is one line without control characters, and means what it was given', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.string({ unit: 'binary' }), (value, text) => {
        const written = toJson([value, text, '\u009b\u007f\u2028\n']);
        expect(written).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
        expect(JSON.parse(written)).toEqual(
          JSON.parse(JSON.stringify([value, text, '\u009b\u007f\u2028\n'])),
        );
      }),
    );
  });
});
