// Preloaded with `node --import`: writes the files of all modules that the process has loaded to LOADED_MODULES when it ends.
import { appendFileSync } from 'node:fs';
import { createRequire, register } from 'node:module';

const file = process.env.LOADED_MODULES;
register('./list-loaded-hooks.js', import.meta.url, { data: { file } });
// CommonJS modules that others require are not seen by the hooks.
process.on('exit', () =>
  appendFileSync(file, Object.keys(createRequire(import.meta.url).cache).join('\n') + '\n'),
);
