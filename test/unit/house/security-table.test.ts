// docs/security.md, docs/threat-model.md and SECURITY.md name tests that exist, for every item of the standards that they answer.
import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const ROOT = new URL('../../../', import.meta.url);
const page = readFileSync(new URL('docs/security.md', ROOT), 'utf8');
const rows = page.split('\n').filter((line) => /^\| [0-9]/.test(line));
const REFERENCE = /`(test\/[\w./-]+)`(?:\s+“([^”]+)”)?/g;

const others = ['SECURITY.md', 'docs/threat-model.md'].map((file) =>
  readFileSync(new URL(file, ROOT), 'utf8'),
);
const references = [page, ...others].flatMap((text) =>
  [...text.matchAll(REFERENCE)].map(([, file = '', sentence]) => ({
    file,
    // A sentence may go on in the next line.
    sentence: sentence?.replaceAll(/\s+/g, ' '),
  })),
);

function itemsFrom(first: string, last: string): string[] {
  const [section, from] = [first.slice(0, first.lastIndexOf('.')), Number(first.split('.').at(-1))];
  const count = Number(last.split('.').at(-1)) - from + 1;
  return Array.from({ length: count }, (_, at) => `${section}.${from + at}`);
}

/** `6.4.4, 6.4.5` and `6.5.1–6.5.8` are several. */
function itemsOf(row: string): string[] {
  const [, cell = ''] = row.split('|');
  return cell.split(',').flatMap((part) => {
    const [first = '', last = first] = part.trim().split('–');
    return itemsFrom(first, last);
  });
}

it('names tests that exist, and quotes sentences of theirs', () => {
  expect(references.length).toBeGreaterThan(50);
  for (const { file, sentence } of references) {
    expect(existsSync(new URL(file, ROOT)), file).toBe(true);
    if (sentence === undefined) continue;
    const text = readFileSync(new URL(file, ROOT), 'utf8').replaceAll("\\'", "'");
    expect(text.includes(sentence), `${file}: ${sentence}`).toBe(true);
  }
});

it('answers each item once', () => {
  const answered = rows.flatMap(itemsOf).sort();
  const expected = [
    ...[
      ['6.1.1', '6.1.3'],
      ['6.2.1', '6.2.12'],
      ['6.3.1', '6.3.8'],
      ['6.4.1', '6.4.6'],
      ['6.5.1', '6.5.8'],
    ],
    ...[
      ['6.6.1', '6.6.4'],
      ['6.7.1', '6.7.2'],
      ['6.8.1', '6.8.4'],
    ],
    ...[
      ['7.1.1', '7.1.3'],
      ['7.2.1', '7.2.4'],
      ['7.3.1', '7.3.2'],
      ['7.4.1', '7.4.5'],
      ['7.5.1', '7.5.3'],
    ],
    ...[
      ['7.6.1', '7.6.2'],
      ['9.1.1', '9.1.3'],
      ['9.2.1', '9.2.4'],
      ['2.1', '2.9'],
      ['3.1', '3.12'],
    ],
  ].flatMap(([first = '', last = '']) => itemsFrom(first, last));
  expect(answered).toEqual(expected.sort());
});

it('says of each how it stands, and shows a test for whatever is met but speaks for itself', () => {
  const SPEAKS_FOR_ITSELF = ['6.3.6'];
  for (const row of rows) {
    const [, items = '', , stands = '', shown = ''] = row.split('|').map((cell) => cell.trim());
    expect(stands, items).toMatch(/^\*\*(?:Met|Partly|Not met|n\/a)\.?\*\*/);
    if (stands.startsWith('**Met') && !SPEAKS_FOR_ITSELF.includes(items))
      expect(shown, items).toContain('`test/');
  }
});
