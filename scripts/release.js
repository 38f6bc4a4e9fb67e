// @ts-check
// Whether the tree is what a tag says: `node scripts/release.js v0.1.0`. Run before anything is published.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * @param {string} tag
 * @param {Record<string, string>} versions by the file that names each
 * @param {string} changelog
 * @returns {string[]} what is wrong
 */
export function findMismatches(tag, versions, changelog) {
  const version = /^v(\d+\.\d+\.\d+(?:-[\w.]+)?)$/.exec(tag)?.[1];
  if (version === undefined) return [`the tag ${tag} is no version: it looks like v0.1.0`];
  const others = Object.entries(versions).filter(([, each]) => each !== version);
  const heading = new RegExp(`^## \\[${version.replaceAll('.', '\\.')}\\] - \\d{4}-\\d\\d-\\d\\d$`, 'm');
  return [
    ...others.map(([file, each]) => `${file} has version ${each}, and the tag says ${version}`),
    ...(heading.test(changelog) ? [] : [`CHANGELOG.md has no line "## [${version}] - <date>"`]),
  ];
}

/** @param {URL} root */
export function readVersions(root) {
  const folders = readdirSync(new URL('packages/', root)).map((name) => `packages/${name}/package.json`);
  const files = ['package.json', ...folders];
  return Object.fromEntries(
    files.map((file) => [file, JSON.parse(readFileSync(new URL(file, root), 'utf8')).version]),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = new URL('../', import.meta.url);
  const changelog = readFileSync(new URL('CHANGELOG.md', root), 'utf8');
  const problems = findMismatches(process.argv[2] ?? '', readVersions(root), changelog);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
}
