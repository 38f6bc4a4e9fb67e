// The SQL that a build would send: its functions are called with values that stand for anything, and nothing is sent.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

type Statement = (template: TemplateStringsArray, ...values: unknown[]) => Promise<unknown[]>;

interface Sql {
  readStatement: (template: TemplateStringsArray, values: readonly unknown[]) => { text: string };
}

/** Stands for every argument: each of its members is the same, and so is what it returns. */
const ANYTHING: unknown = new Proxy(() => undefined, {
  get: (_, name) => {
    if (name === 'then') return undefined;
    if (name === Symbol.toPrimitive) return () => '1';
    return ANYTHING;
  },
  apply: () => ANYTHING,
});

/** More than any function of the domain takes. */
const ARGUMENTS = 8;

/**
 * Texts of the statements that the exported functions of a module send, as PostgreSQL would be given them. No statement
 * finds a row, so that one which follows upon what another has found is not seen.
 *
 * @param dist folder of the build
 * @param file below it
 */
export async function readStatements(dist: string, file: string): Promise<string[]> {
  const load = async (path: string) => (await import(pathToFileURL(join(dist, path)).href)) as object;
  const { readStatement } = (await load('database/sql.js')) as Sql;
  const texts: string[] = [];
  const note: Statement = (template, ...values) => {
    texts.push(readStatement(template, values).text);
    return Promise.resolve([]);
  };
  const database = { query: () => note, prepared: () => note };
  for (const member of Object.values(await load(file))) {
    if (typeof member !== 'function') continue;
    const call = member as (...parameters: unknown[]) => unknown;
    try {
      await call(database, ...Array.from({ length: ARGUMENTS }, () => ANYTHING));
    } catch {
      // It has sent what it sends before it minds that there is no row.
    }
  }
  return texts;
}
