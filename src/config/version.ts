/** The version of this installation. */
import { readFileSync } from 'node:fs';

/** Both src/config and dist/config are two levels below the package. */
export function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
