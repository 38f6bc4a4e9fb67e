// Whether this machine has what the build and the service need. Each refusal is one line that says what to do.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** What the build needs and the service can do without: compilers, and the types that they read. */
const FOR_THE_BUILD = [
  'typescript',
  'prisma',
  'rolldown',
  '@types/node',
  '@types/pg',
  '@types/ms',
  '@gatehouse/local-postgres',
];

/** @param {string} root of the package */
export function explainMissing(root) {
  const { engines, dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const [least] = /[\d.]+/.exec(engines.node);
  if (!isAtLeast(process.versions.node, least))
    return `Gatehouse needs Node ${least} or newer, and this is ${process.versions.node}: install a newer one`;
  const missing = Object.keys(dependencies).filter((name) => !isInstalled(root, name));
  if (missing.length === 0) return undefined;
  const more = missing.length > 1 ? ` and ${missing.length - 1} more` : '';
  return `Packages are missing, ${missing[0]}${more}: run \`npm ci\` first`;
}

/** @param {string} root of the package */
export function explainMissingCompiler(root) {
  const missing = FOR_THE_BUILD.find((name) => !isInstalled(root, name));
  return missing === undefined
    ? undefined
    : `Gatehouse is not built, and ${missing}, which the build needs, is not installed: run \`npm ci --include=dev\`, then the same again`;
}

/**
 * Loads a package whose native part is a package of its own, one for each kind of machine.
 *
 * @param {string} name
 * @throws {Error} with what to do when that part is not there
 */
export async function loadNative(name) {
  try {
    return await import(name);
  } catch {
    throw new Error(
      `${name} cannot be loaded, it may lack its part for ${process.platform}-${process.arch}: run \`npm ci --include=optional\` on this machine`,
    );
  }
}

/** @param {string} root @param {string} name */
function isInstalled(root, name) {
  const directories = createRequire(join(root, 'package.json')).resolve.paths(name) ?? [];
  return directories.some((directory) => existsSync(join(directory, name, 'package.json')));
}

/** @param {string} version @param {string} least */
export function isAtLeast(version, least) {
  const [major, minor = 0] = version.split('.').map(Number);
  const [leastMajor, leastMinor = 0] = least.split('.').map(Number);
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}
