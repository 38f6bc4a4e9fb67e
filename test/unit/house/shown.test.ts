// Programs that a page shows whole are files of examples/, to the letter: a reader copies what the tests run.
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const ROOT = new URL('../../../', import.meta.url).pathname;
const FOLDER = 'examples/any-language';
const page = readFileSync(`${ROOT}docs/any-language.md`, 'utf8');
const shown = [...page.matchAll(/^```(?!sh|console)\w+\n(.*?)^```$/gms)].map(([, program = '']) => program);
// Python leaves a folder there when somebody has tried one.
const files = readdirSync(`${ROOT}${FOLDER}`).filter((name) => name !== '__pycache__');

it('there are programs in five languages, and one with a framework', () => {
  expect(files).toHaveLength(6);
});

it.each(files)('%s is what docs/any-language.md links and shows', (file) => {
  expect(page).toContain(`](../${FOLDER}/${file})`);
  expect(shown).toContain(readFileSync(`${ROOT}${FOLDER}/${file}`, 'utf8'));
});

it('docs/any-language.md shows nothing else', () => {
  expect(shown).toHaveLength(files.length);
});
