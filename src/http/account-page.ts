/**
 * The files of the account page as the build has left them: read once, so that a missing one is noticed at the start.
 * `@fastify/static` would save 23 of 109 lines, but its ETag is made of size and date: where a build sets all dates alike, a
 * browser would keep an old script when the new one is as long.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';

import { StartError } from '../database/start-error.js';

const PACKAGE = createRequire(import.meta.url).resolve('@gatehouse/account-page/package.json');

const TYPES: Record<string, string> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const FILES = ['main.js', 'account.css', 'favicon.svg'];

export interface PageFile {
  content: Buffer;
  type: string;
  etag: string;
}

export interface AccountPage {
  html: string;
  /** By name: what the page needs beside itself. */
  files: Map<string, PageFile>;
}

/** What claims do not tell, and the page must know. */
interface Rules {
  reissueGraceSeconds: number;
  reissueMax: number;
  passwordMinLength: number;
  /** Plain text of the operator's. */
  accountHelp: string;
}

/** @throws {StartError} when it was not built */
export function readAccountPage(rules: Rules, directory = join(dirname(PACKAGE), 'dist')): AccountPage {
  const missing = ['index.html', ...FILES].find((name) => !existsSync(join(directory, name)));
  if (missing !== undefined) {
    throw new StartError(
      `the account page was not built (${join(directory, missing)} is missing): run \`npm run build\`, or set ACCOUNT_PAGE=off`,
    );
  }
  return {
    html: renderPage(readFileSync(join(directory, 'index.html'), 'utf8'), rules),
    files: new Map(FILES.map((name) => [name, readPageFile(join(directory, name))])),
  };
}

function readPageFile(path: string): PageFile {
  const content = readFileSync(path);
  const etag = `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`;
  return { content, type: TYPES[extname(path)] ?? 'application/octet-stream', etag };
}

/** Tells the page what claims do not. */
function renderPage(
  template: string,
  { reissueGraceSeconds, reissueMax, passwordMinLength, accountHelp }: Rules,
): string {
  return template
    .replace('{{graceSeconds}}', String(reissueGraceSeconds))
    .replace('{{reissueMax}}', String(reissueMax))
    .replaceAll('{{passwordMinLength}}', String(passwordMinLength))
    .replace('{{accountHelp}}', () => escape(accountHelp));
}

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

/** For what stands between two tags. */
function escape(text: string): string {
  return text.replace(/[&<>]/g, (character) => ESCAPES[character] ?? '');
}
