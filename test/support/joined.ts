// The built service, with the packages that it loads, joined into few files. Half of what a start costs is to find and load 600 files.
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

/** As deep below the root as the files that look for others beside them. */
const DIRECTORY = fileURLToPath(new URL('../../dist/joined/', import.meta.url));

const PROCESSES = { main: '../../dist/main.js', worker: '../../dist/process/worker.js' };

/** What looks for files of its own, or for a program; `#` is for what has a process or a thread of its own. */
const APART = [/^#/, '@fastify/swagger-ui', '@gatehouse/local-postgres', '@node-rs/argon2'];

/** The first process of the joined service. */
export const JOINED_MAIN = `${DIRECTORY}main.js`;

/** Takes a second. Done once for a run, before its tests. */
export async function joinService(): Promise<void> {
  const input = Object.entries(PROCESSES).map(
    ([name, path]) => [name, fileURLToPath(new URL(path, import.meta.url))] as const,
  );
  const bundle = await rolldown({ input: Object.fromEntries(input), platform: 'node', external: APART });
  await bundle.write({ dir: DIRECTORY, format: 'esm', entryFileNames: '[name].js' });
  await bundle.close();
}
