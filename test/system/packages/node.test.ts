// @gatehouse/browser on a server that renders pages: made there, it does nothing, and the process ends by itself.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const PROGRAM = fileURLToPath(new URL('made-on-a-server.js', import.meta.url));

it('holds up no process, refuses to ask where it has no address, and keeps nothing in a storage of the process', async () => {
  // Ends when the program does: while anything holds it up, this waits.
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM]);
  expect(JSON.parse(stdout)).toEqual({
    cookie: { code: 'unreachable', message: expect.stringMatching(/url/) as string },
    path: { code: 'unreachable', message: expect.stringMatching(/url/) as string },
    signedIn: null,
    read: [],
  });
});
