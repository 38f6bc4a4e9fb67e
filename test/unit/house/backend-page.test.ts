// The example in the README of the package for backends is the program of docs/backends.md, which a test types and runs.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

function programIn(path: string): string | undefined {
  return /^```js(?: .*)?\n([^]*?)^```$/m.exec(readFileSync(path, 'utf8'))?.[1];
}

it('the README of @gatehouse/backend shows the program that is run', () => {
  const program = programIn('packages/backend/README.md');
  expect(program).toContain('createBackend({');
  expect(programIn('docs/backends.md')).toBe(program);
});
