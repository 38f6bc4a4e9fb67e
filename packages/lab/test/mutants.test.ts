// The mutants fit the build of today: each patch finds its place once, and leaves JavaScript and SQL behind.
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import ts from 'typescript-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { MUTANTS, UNHUNTED, type Mutant } from '../chaos/mutants.js';
import { buildMutant, DIST, patch } from '../chaos/mutants/build.js';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { readStatements } from './mutant-statements.js';

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

/** The statements in a file of the build, each as its pieces between values. */
function templatesIn(file: string, text: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isTaggedTemplateExpression(node)) found.push(node.template.getText());
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true));
  return found;
}

/** The files in which a mutant has another statement than the build. */
async function filesWithOtherStatements(mutant: Mutant): Promise<string[]> {
  const files: string[] = [];
  for (const [file, text] of await patch(mutant)) {
    const before = templatesIn(file, await readFile(join(DIST, file), 'utf8'));
    if (templatesIn(file, text).join() !== before.join()) files.push(file);
  }
  return files;
}

/** Statements of a file as the mutant sends them, where the build sends others. */
async function otherStatements(mutant: Mutant, file: string): Promise<string[]> {
  const { dist, remove } = await buildMutant(mutant);
  try {
    const before = new Set(await readStatements(DIST, file));
    return (await readStatements(dist, file)).filter((text) => !before.has(text));
  } finally {
    await remove();
  }
}

describe('the mutants', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.drop());

  it('are told apart by their names, and say what they do wrong', () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(LEAST);
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
    for (const { sentence } of MUTANTS) {
      expect(sentence).toMatch(/^[A-Z`].+\.$/);
    }
  });

  it.each([...MUTANTS, ...UNHUNTED])('$name fits the build and parses', async (mutant) => {
    const texts = await patch(mutant);
    expect(texts.size).toBeGreaterThan(0);
    for (const [file, text] of texts) expect(mistakesIn(file, text)).toEqual([]);
  });

  /** One that PostgreSQL refuses is caught by anything, and shows nothing. */
  it.each([...MUTANTS, ...UNHUNTED])(
    '$name says nothing that PostgreSQL does not understand',
    async (mutant) => {
      for (const file of await filesWithOtherStatements(mutant)) {
        const statements = await otherStatements(mutant, file);
        expect(statements, `${file} sends a statement that the build does not send`).not.toEqual([]);
        for (const text of statements)
          await database.admin.query(`PREPARE mutated AS ${text}; DEALLOCATE mutated`);
      }
    },
  );

  it('that PostgreSQL would not understand are named', async () => {
    const before = `epoch = epoch + 1,`;
    const broken = { file: 'domain/users/users.js', find: before, replace: 'epoch = epok + 1,' };
    const mutant = { ...(MUTANTS[0] as Mutant), patches: [broken] };
    const [text] = await otherStatements(mutant, broken.file);
    await expect(database.admin.query(`PREPARE mutated AS ${String(text)}`)).rejects.toThrow('"epok"');
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
