// Every path, link, anchor and npm script that our texts name exists: in docs, examples, Docker files, CI and comments.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = new URL('../../../', import.meta.url).pathname;

/** What a build, an install or a run makes: a fresh clone has none of it. */
const MADE = /^(?:\.git|node_modules|dist|generated|data|try|coverage|reports|\.stryker-tmp)$/;

/** A file of a package that the image installs, what a quick run of the bench writes, and actions of Docker's. */
const FOREIGN = /^scripts\/hydrate-symlinks\.js$|-quick\.(?:json|svg)$|^docker\/[\w-]+-action@[0-9a-f]{40}$/;

/** Names of what is gone are right in the page that tells the history. */
const HISTORY = 'CHANGELOG.md';

/** Paths below the root, files and folders. */
function list(folder = ''): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true })
    .filter(({ name }) => !MADE.test(name))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? [path, ...list(path)] : [path];
    });
}

const paths = new Set(list());
const folders = [...paths].filter((path) => !path.includes('/') && /^[a-z]+$/.test(path));
/** The folders that are gone count, too: what still names them names nothing. */
const FOLDERS = [...folders, 'bench', 'chaos'].join('|');

const texts = [...paths]
  .filter((path) => path !== HISTORY && path !== 'test/unit/house/links.test.ts')
  .filter((path) =>
    /\.(?:md|ts|js|ya?ml|conf|cfg|lua|html|css)$|(?:Dockerfile|Caddyfile|\.ci\/.*|\.example)$/.test(path),
  )
  .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));

const pages = texts.filter(({ path }) => path.endsWith('.md'));
const scripts = new Set(
  Object.keys((JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object }).scripts),
);

/** In programs, comments alone: a test may well invent paths. */
function proseOf({ path, text }: { path: string; text: string }): string {
  if (!/\.[tj]s$/.test(path)) return text;
  return text.match(/^\s*(?:\/\/|\/?\*).*|\s\/\/ .*/gm)?.join('\n') ?? '';
}

/** A path that begins with one of our folders, as a reader would open it from the root. */
function findPaths(prose: string): string[] {
  const mentioned = new RegExp(`(?<![\\w/.@:-])(?:${FOLDERS})/[\\w@*][\\w@*./-]*`, 'g');
  return (prose.replace(/\]\([^)]*\)/g, ']').match(mentioned) ?? [])
    .map((path) => path.replace(/[./]+$/, ''))
    .filter((path) => !path.split('/').some((part) => MADE.test(part)) && !FOREIGN.test(path));
}

/** A star stands for anything within one name, two for any depth. */
function exists(path: string): boolean {
  if (!path.includes('*')) return paths.has(path);
  const pattern = path
    .replaceAll('.', '\\.')
    .replaceAll('**', '.+')
    .replace(/(?<!\.)\*/g, '[^/]*');
  return [...paths].some((known) => new RegExp(`^${pattern}$`).test(known));
}

/** As GitHub makes them: lower case, no punctuation, a hyphen for each space. */
function anchorsOf(text: string): Set<string> {
  const headings = text.replace(/^```.*?^```/gms, '').match(/^#+ .+$/gm) ?? [];
  return new Set(
    headings.map((heading) =>
      heading
        .replace(/^#+ /, '')
        .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    ),
  );
}

function findBrokenLinks({ path, text }: { path: string; text: string }): string[] {
  const targets = [...text.matchAll(/\]\((?!\w+:)([^)\s]*)\)|\b(?:src|href)="(?!\w+:)([^"]*)"/g)];
  return targets
    .map(([, link, attribute]) => link ?? attribute ?? '')
    .filter((target) => {
      const [file = '', anchor] = target.split('#');
      const page = file === '' ? path : normalize(join(dirname(path), file)).replace(/\/$/, '');
      if (!paths.has(page)) return true;
      return anchor !== undefined && !anchorsOf(readFileSync(join(ROOT, page), 'utf8')).has(anchor);
    });
}

function lines(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([, found = '']) => found);
}

describe('what our texts name', () => {
  it('was read: many paths, links and scripts', () => {
    expect(texts.flatMap((text) => findPaths(proseOf(text))).length).toBeGreaterThan(150);
    expect(pages.length).toBeGreaterThan(30);
  });

  it.each(texts.map((text) => [text.path, text] as const))('is there: paths in %s', (_path, text) => {
    expect(findPaths(proseOf(text)).filter((path) => !exists(path))).toEqual([]);
  });

  it.each(pages.map((page) => [page.path, page] as const))('is there: links in %s', (_path, page) => {
    expect(findBrokenLinks(page)).toEqual([]);
  });

  it('is there: npm scripts', () => {
    const named = texts.flatMap(({ path, text }) =>
      lines(text, /\bnpm run ([a-z][\w:-]*)/g).map((script) => ({ path, script })),
    );
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter(({ script }) => !scripts.has(script))).toEqual([]);
  });

  it('is there: what the Dockerfile copies and the Compose file mounts', () => {
    const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
    const copied = lines(dockerfile, /^COPY (?!--from)(.+) \S+$/gm).flatMap((sources) => sources.split(' '));
    const compose = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8');
    const mounted = lines(compose, /^\s*- \.\/([\w./-]+):/gm);
    expect(copied.length).toBeGreaterThan(5);
    expect([...copied, ...mounted].filter((path) => !paths.has(path))).toEqual([]);
  });
});

describe('the README', () => {
  const readme = pages.find(({ path }) => path === 'README.md')?.text ?? '';

  it('is read in two minutes', () => {
    expect(readme.split('\n').length).toBeLessThanOrEqual(250);
  });

  it('leads to every page of docs/', () => {
    const own = [...paths].filter((path) => /^docs\/[^/]+\.md$/.test(path));
    expect(own.length).toBeGreaterThan(15);
    expect(own.filter((path) => !readme.includes(`](${path})`))).toEqual([]);
  });
});

describe('this test', () => {
  it.each([
    ['see bench/README.md.', ['bench/README.md']],
    ['[this](docs/page.md) in docs/', []],
    ['`test/http/`, `test/http/{a,b}`', ['test/http', 'test/http']],
    ['https://example.org/docs/x and ./docs/y and @scope/src/z', []],
    ['dist/main.js, packages/browser/dist/gatehouse.js', []],
    ['`packages/*/package.json`', ['packages/*/package.json']],
  ])('finds the paths in “%s”', (prose, expected) => {
    expect(findPaths(prose)).toEqual(expected);
  });

  it('knows a path that is not there, with a star or without', () => {
    expect(['src/app.ts', 'packages/*/package.json', 'test/**/*.test.ts'].filter(exists)).toHaveLength(3);
    expect(['src/nothing.ts', 'packages/*/nothing.json', 'bench/README.md'].filter(exists)).toEqual([]);
  });

  it('knows a link and an anchor that are not there', () => {
    const text = '# A page\n[a](#a-page) [b](#nowhere) [c](docs/nothing.md) [d](https://example.org)';
    expect(findBrokenLinks({ path: 'README.md', text: `${text} [e](SECURITY.md)` })).toEqual(
      expect.arrayContaining(['docs/nothing.md', '#nowhere']),
    );
  });
});
