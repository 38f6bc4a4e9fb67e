// What was made before its sources changed, by the dates of files.
import { existsSync, mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * @param {string} made a file that is there once the work is done
 * @param {string[]} sources files and directories; a directory has changed, too, when something in it was added or removed
 */
export function isStale(made, sources) {
  if (!existsSync(made)) return true;
  const madeAt = statSync(made).mtimeMs;
  return sources.some((source) => filesOf(source).some((file) => statSync(file).mtimeMs > madeAt));
}

/** @param {string} source */
function filesOf(source) {
  if (!statSync(source).isDirectory()) return [source];
  return [source, ...readdirSync(source, { recursive: true }).map((name) => join(source, String(name)))];
}

/**
 * Begins the work: what it returns ends it, and leaves a stamp of when it began, since a source that was saved meanwhile
 * may not be in it.
 *
 * @param {string} stamp
 */
export function makeStamp(stamp) {
  const beganAt = new Date();
  return () => {
    mkdirSync(dirname(stamp), { recursive: true });
    writeFileSync(stamp, '');
    utimesSync(stamp, beganAt, beganAt);
  };
}
