// The mutants fit the build of today: each patch finds its place once, and leaves JavaScript behind.
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

import { MUTANTS, type Mutant } from '../chaos/mutants.js';
import { buildMutant, patch } from '../chaos/mutants/build.js';

/** The twelve that must be caught, and some more. */
const LEAST = 12;

function mistakesIn(file: string, text: string): string[] {
  const { diagnostics = [] } = ts.transpileModule(text, {
    fileName: file,
    reportDiagnostics: true,
    compilerOptions: { allowJs: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
  });
  return diagnostics.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
}

describe('the mutants', () => {
  it('are told apart by their names, and say what they do wrong', () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(LEAST);
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
    for (const { sentence } of MUTANTS) {
      expect(sentence).toMatch(/^[A-Z`].+\.$/);
    }
  });

  it.each(MUTANTS)('$name fits the build and parses', async (mutant) => {
    const texts = await patch(mutant);
    expect(texts.size).toBeGreaterThan(0);
    for (const [file, text] of texts) expect(mistakesIn(file, text)).toEqual([]);
  });

  it('that no longer fit are named', async () => {
    const [mutant] = MUTANTS as [Mutant];
    const [first] = mutant.patches as [Mutant['patches'][number]];
    const lost = { ...mutant, patches: [{ ...first, find: 'a line that nobody wrote' }] };
    await expect(patch(lost)).rejects.toThrow(`the mutant no longer fits: ${mutant.name}`);
    const twice = { ...mutant, patches: [{ ...first, find: 'const ' }] };
    await expect(buildMutant(twice)).rejects.toThrow('the mutant no longer fits');
  });

  it('are built in a directory of their own, which goes again', async () => {
    const [mutant] = MUTANTS as [Mutant];
    const { dist, remove } = await buildMutant(mutant);
    await access(join(dist, 'main.js'));
    await access(join(dist, '../node_modules/pg/package.json'));
    await remove();
    await expect(access(dist)).rejects.toThrow('ENOENT');
  });
});
