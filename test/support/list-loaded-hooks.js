// The other half of list-loaded.js, in the thread in which Node runs such hooks: notes each module that is imported.
import { appendFileSync } from 'node:fs';

let file;

export function initialize(data) {
  file = data.file;
}

export async function load(url, context, nextLoad) {
  appendFileSync(file, `${url}\n`);
  return await nextLoad(url, context);
}
