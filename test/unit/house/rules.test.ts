// Rules that are written once: each has one home in src/ or packages/, and a second one is found.
import { readdirSync, readFileSync } from 'node:fs';
import ts from 'typescript-api';
import { describe, expect, it } from 'vitest';

const ROOT = new URL('../../../src/', import.meta.url).pathname;

type Sources = ReadonlyMap<string, string>;

/** Every source of the service, by its path below src/. */
const SOURCES: Sources = readSources(ROOT, '', (file) => !file.startsWith('database/generated/'));

/** The same with the packages, by their path from the root: `packages/browser/src/gatehouse.ts`. */
const ALL_SOURCES: Sources = new Map([
  ...SOURCES,
  ...readSources(`${ROOT}../packages/`, 'packages/', (file) => /^[\w-]+\/src\//.test(file)),
]);

function readSources(root: string, prefix: string, isTaken: (file: string) => boolean): Sources {
  return new Map(
    readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && isTaken(file))
      .map((file) => [prefix + file, readFileSync(root + file, 'utf8')]),
  );
}

/** Each rule: how its text looks, where it stands, and a line that would be another home of it. */
const RULES: Record<string, { looksLike: RegExp; homes: string[]; another: string }[]> = {
  'this session stands': [
    {
      looksLike: /\bended_at\s+IS\s+NULL/i,
      homes: ['domain/sessions/standing.ts'],
      another: 'sessions.ended_at IS NULL',
    },
    {
      looksLike: /\bdisabled_at\s+IS\s+NULL/i,
      homes: ['domain/sessions/standing.ts'],
      another: 'WHERE disabled_at IS NULL',
    },
    {
      looksLike: /[-+]\s*service\.epoch\b|\bservice\.epoch\s*\+\s*users\b/i,
      homes: ['domain/sessions/standing.ts'],
      another: 'sessions.epoch - service.epoch = users.epoch',
    },
    {
      looksLike: /EXISTS\s*\(\s*SELECT\b[^()]*\bFROM\s+revocations\b/i,
      homes: ['domain/sessions/standing.ts'],
      another: 'NOT EXISTS (SELECT FROM revocations WHERE revocations.id = sessions.id)',
    },
  ],
  'this access token is live': [
    {
      looksLike: /\bisExpired\b/,
      homes: ['domain/liveness/liveness.ts', 'domain/tokens/successor.ts'],
      another: 'if (isExpired(token.claims, now)) return;',
    },
    {
      looksLike: /\bexp\b\s*(?:<|>)|(?:<|>)=?\s*[\w.]*\bexp\b(?!\s*\+)/,
      homes: ['domain/tokens/claims.ts', 'domain/tokens/successor.ts'],
      another: 'const isLive = now < claims.exp;',
    },
  ],
  'how long ended rows are kept': [
    {
      looksLike: /\binterval\s+'\d+ *min/i,
      homes: [],
      another: "now - interval '6 minutes'",
    },
    {
      looksLike: /\bMAX_GRACE_SECONDS\s*=/,
      homes: ['domain/tokens/grace.ts'],
      another: 'const MAX_GRACE_SECONDS = 300;',
    },
    {
      looksLike: /\bREISSUE_GRACE:[^\n]*atMostSeconds: \d/,
      homes: [],
      another: 'REISSUE_GRACE: duration({ atMostSeconds: 300 }),',
    },
  ],
};

/** Rules that the service shares with what is installed without it. */
const SHARED_RULES: typeof RULES = {
  'the claims of a token': [
    {
      looksLike: /\bsession_exp\??: *number\b/,
      homes: ['packages/protocol/src/claims.ts'],
      another: 'session_exp: number;',
    },
  ],
  'the codes of errors': [
    {
      looksLike: /'invalid_credentials',?\s*\|?\s*'invalid_token'/,
      homes: ['packages/protocol/src/errors.ts'],
      another: "type Code = 'invalid_credentials' | 'invalid_token';",
    },
  ],
  'the renewal window': [
    {
      looksLike: /\b0\.2 *\*|\* *0\.2\b/,
      homes: ['packages/protocol/src/renewal.ts'],
      another: 'const window = Math.max(0.2 * life, 30);',
    },
  ],
  'the grammar of scopes': [
    {
      looksLike: /\(\?: \[(?:!#|\\x21\\x23)/i,
      homes: ['packages/protocol/src/scope.ts'],
      another: 'const SCOPE = /^[!#-~]+(?: [!#-~]+)*$/;',
    },
  ],
};

function homesOf(looksLike: RegExp, sources: Sources): string[] {
  return [...sources].flatMap(([file, text]) => (looksLike.test(text) ? [file] : [])).sort();
}

describe.each([
  ...Object.entries(RULES).map(([rule, texts]) => ({ rule, texts, sources: SOURCES })),
  ...Object.entries(SHARED_RULES).map(([rule, texts]) => ({ rule, texts, sources: ALL_SOURCES })),
])('"$rule"', ({ texts, sources }) => {
  it.each(texts)('is written where $another would be another home', ({ looksLike, homes, another }) => {
    expect(homesOf(looksLike, sources)).toEqual(homes);
    const planted = 'http/routes/planted.ts';
    expect(homesOf(looksLike, new Map([...sources, [planted, another]]))).toEqual([...homes, planted].sort());
  });
});

/** The names that a file takes from the domain to use them, not only as types; by the file that they come from. */
function valuesFromDomain(file: string, text: string): { from: string; name: string }[] {
  const { statements } = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true);
  return statements.filter(ts.isImportDeclaration).flatMap(({ importClause, moduleSpecifier }) => {
    const from = /\bdomain\/(.*)\.js'$/.exec(moduleSpecifier.getText())?.[1];
    const bindings = importClause?.namedBindings;
    if (
      from === undefined ||
      bindings === undefined ||
      importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword
    )
      return [];
    if (!ts.isNamedImports(bindings)) return [{ from, name: '*' }];
    return bindings.elements
      .filter(({ isTypeOnly }) => !isTypeOnly)
      .map((element) => ({ from, name: (element.propertyName ?? element.name).text }));
  });
}

/** What goes past the facade: to the database, or to a verb beside a statement. Constants may be taken from anywhere. */
function shortcutsIn(file: string, text: string): string[] {
  const asksSql = (from: string) => /\bdatabase: Database\b/.test(SOURCES.get(`domain/${from}.ts`) ?? '');
  const verbs = valuesFromDomain(file, text).filter(
    ({ from, name }) => asksSql(from) && !/^[A-Z][A-Z_]*$/.test(name) && from !== 'gatehouse',
  );
  const reaches = /\bgatehouse\.database\b|\bDatabase\b(?!Unavailable)/.test(text) ? ['Database'] : [];
  return [...reaches, ...verbs.map(({ name }) => name)];
}

describe('the facade', () => {
  const http = [...SOURCES].filter(([file]) => /^(?:http\/|app\.ts)/.test(file));

  it.each(http)('is all of the domain that %s asks', (file, text) => {
    expect(shortcutsIn(file, text)).toEqual([]);
  });

  it('is missed where a verb is taken from elsewhere, and where the database is', () => {
    const planted = (text: string) => shortcutsIn('http/routes/planted.ts', text);
    expect(planted("import { endSession } from '../../domain/sessions/endings.js';")).toEqual(['endSession']);
    expect(planted("import * as endings from '../../domain/sessions/endings.js';")).toEqual(['*']);
    expect(planted('await gatehouse.database.query({})`SELECT 1`;')).toEqual(['Database']);
    expect(planted("import type { Ending } from '../../domain/sessions/endings.js';")).toEqual([]);
  });

  it('leaves the verdict on a token to the domain: no file of http/ reads the time or whether a session stands', () => {
    const curious = http.flatMap(([file, text]) =>
      /\bjudgement\.(?:stands|now|snapshot)\b|[{,]\s*stands\b/.test(text) ? [file] : [],
    );
    expect(curious).toEqual([]);
  });
});

describe('the domain', () => {
  const domain = [...SOURCES].filter(([file]) => file.startsWith('domain/'));

  it.each(domain)('knows no word of HTTP: %s', (_file, text) => {
    const code = text.replaceAll(/\/\*[^]*?\*\/|\/\/.*/g, '');
    expect(
      code.match(/['"`]\/[a-z-]+['"`]|\bbody\/|\b(?:reply|statusCode|headers|Bearer|Cookie)\b/g) ?? [],
    ).toEqual([]);
  });
});

it('no file imports itself by way of others, inside folders and packages too, types included', () => {
  const importsOf = (file: string): string[] =>
    ts
      .preProcessFile(ALL_SOURCES.get(file) ?? '')
      .importedFiles.map(({ fileName }) => fileName)
      .filter((name) => name.startsWith('.'))
      .map((name) => new URL(name.replace(/\.js$/, '.ts'), `file:///${file}`).pathname.slice(1));
  const done = new Set<string>();
  const circles: string[] = [];
  function visit(file: string, way: string[]): void {
    if (way.includes(file)) circles.push([...way.slice(way.indexOf(file)), file].join(' -> '));
    if (done.has(file) || way.includes(file)) return;
    for (const next of importsOf(file)) visit(next, [...way, file]);
    done.add(file);
  }
  for (const file of ALL_SOURCES.keys()) visit(file, []);
  expect(circles).toEqual([]);
});
