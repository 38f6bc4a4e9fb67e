/** The files of the account page as the build has left them: read once, so that a missing one is noticed at the start. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { StartError } from '../database/start-error.js';

/** Beside us in `dist`, also for a test that runs from `src`. */
const BUILT = fileURLToPath(new URL('../../dist/', import.meta.url));

const TYPES: Record<string, string> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

export interface PageFile {
  content: Buffer;
  type: string;
  etag: string;
}

export interface AccountPage {
  html: string;
  /** By what follows `/account/`: the page's own files, and the client for browsers that it uses. */
  files: Map<string, PageFile>;
}

/** What claims do not tell, and the page must know. */
interface Rules {
  reissueGraceSeconds: number;
  reissueMax: number;
}

/** @throws {StartError} when it was not built */
export function readAccountPage(rules: Rules, directory = BUILT): AccountPage {
  const files = readFiles(directory);
  return { html: renderPage(directory, rules, [...files.keys()]), files };
}

function readFiles(directory: string): Map<string, PageFile> {
  const page = list(directory, 'account', ['main.js', 'account.css', 'favicon.svg', 'index.html']);
  const paths = [
    ...page
      .filter((name) => name !== 'index.html')
      .map((name) => [`page/${name}`, `account/${name}`] as const),
    ...list(directory, 'browser', ['gatehouse.js']).map(
      (name) => [`browser/${name}`, `browser/${name}`] as const,
    ),
  ];
  return new Map(
    paths.flatMap(([path, source]) => {
      const type = TYPES[extname(source)];
      if (type === undefined) return [];
      const content = readFileSync(join(directory, source));
      const etag = `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`;
      return [[path, { content, type, etag }]];
    }),
  );
}

/** @throws {StartError} when the directory is not there, or lacks what the page cannot do without */
function list(directory: string, room: string, needed: string[]): string[] {
  const names = readNames(join(directory, room));
  const missing = needed.find((name) => !names.includes(name));
  if (missing === undefined) return names;
  throw new StartError(
    `the account page was not built (${join(directory, room, missing)} is missing): run \`npm run build\`, or set ACCOUNT_PAGE=off`,
  );
}

function readNames(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Tells the page what claims do not, and the browser which modules it is going to need. */
function renderPage(directory: string, rules: Rules, paths: string[]): string {
  const modules = paths.filter((path) => path.endsWith('.js'));
  const values: Record<string, string> = {
    graceSeconds: String(rules.reissueGraceSeconds),
    reissueMax: String(rules.reissueMax),
    preloads: modules.map((path) => `<link rel="modulepreload" href="account/${path}" />`).join('\n    '),
  };
  const template = readFileSync(join(directory, 'account/index.html'), 'utf8');
  return template.replaceAll(/\{\{(\w+)\}\}/g, (_match, name: string) => values[name] ?? '');
}
