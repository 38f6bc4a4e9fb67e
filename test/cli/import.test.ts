// gatehouse users import: a file of any length, its wrong lines by number, and how far it is.
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { gatehouse, inHouse, jsonInHouse } from '../support/command.js';
import { FOREIGN, FOREIGN_PASSWORD } from '../support/foreign-hashes.js';
import { login, openHouse, type House } from '../support/house.js';

const HASH = FOREIGN['bcrypt $2y$'] ?? '';

let house: House;
let directory: string;
beforeAll(async () => {
  house = await openHouse();
  directory = await mkdtemp(join(tmpdir(), 'gatehouse-import-'));
});
afterAll(async () => {
  await rm(directory, { recursive: true });
  await house.close();
});

const newName = () => `imported-${randomUUID()}`;
const lineOf = (username: string, more = {}) => JSON.stringify({ username, password_hash: HASH, ...more });

async function save(content: string | Buffer): Promise<string> {
  const file = join(directory, `${randomUUID()}.ndjson`);
  await writeFile(file, content);
  return file;
}

async function countUsers(): Promise<number> {
  const { rows } = await house.database.admin.query<{ users: number }>(
    'SELECT count(*)::int4 AS users FROM users',
  );
  return rows[0]?.users ?? 0;
}

it('adds the users of a file, or of standard input, who then log in', async () => {
  const [ada, ben] = [newName(), newName()];
  expect(await jsonInHouse(house, ['users', 'import', await save(`${lineOf(ada)}\n`)])).toEqual({
    created: 1,
    refused: 0,
  });
  const outcome = await inHouse(house, ['users', 'import', '-'], { input: lineOf(ben, { scope: 'read' }) });
  expect(outcome).toEqual({ status: 0, stdout: 'users added: 1\n', stderr: '' });
  const replica = await house.replica();
  for (const username of [ada, ben]) await login(replica, { id: '', username, password: FOREIGN_PASSWORD });
});

it('names the wrong lines by their numbers in the file, takes the others, and ends with status 1', async () => {
  // More than one statement takes, with lines that are empty, too long for the memory to keep, no UTF-8, and cut.
  const names = Array.from({ length: 2100 }, newName);
  const lines: (string | Buffer)[] = names.map((username) => lineOf(username));
  lines.splice(5, 0, '', '\r');
  lines.splice(1500, 0, 'x'.repeat(300_000));
  lines.splice(1600, 0, lineOf('two words'));
  lines.splice(1700, 0, Buffer.from(lineOf('andré'), 'latin1'));
  lines.push(lineOf(names[0] ?? ''), lineOf(newName()).slice(0, -1));
  const bytes = Buffer.concat(lines.flatMap((line) => [Buffer.from(line), Buffer.from('\n')]).slice(0, -1));
  const before = await countUsers();
  const { status, stdout, stderr } = await inHouse(house, ['users', 'import', await save(bytes)]);
  expect([status, stdout, (await countUsers()) - before]).toEqual([1, 'users added: 2100\n', 2100]);
  expect(stderr.split('\n')).toEqual([
    'gatehouse: line 1501: The line is longer than 16384 characters',
    'gatehouse: line 1601: username: The user name contains a space, which user names do not admit',
    'gatehouse: line 1701: The line is not UTF-8',
    'gatehouse: line 2106: username: There is a user of this name, who stays as before',
    'gatehouse: line 2107: The line is no JSON object',
    'gatehouse: lines that have added nobody: 5, see above',
    '',
  ]);
});

it('prints what was added as JSON beside the wrong lines, and nobody twice', async () => {
  const file = await save([lineOf(newName()), lineOf(newName())].join('\n'));
  expect(await jsonInHouse(house, ['users', 'import', file])).toEqual({ created: 2, refused: 0 });
  const again = await inHouse(house, ['--json', 'users', 'import', file]);
  expect([again.status, JSON.parse(again.stdout)]).toEqual([1, { created: 0, refused: 2 }]);
});

it('says on a terminal how far it is, and nowhere else', async () => {
  const names = Array.from({ length: 2500 }, newName);
  const file = await save([...names.map((username) => lineOf(username)), '{'].join('\n'));
  const { status, stdout, stderr } = await inHouse(house, ['users', 'import', file], { showsTo: 'terminal' });
  expect([status, stdout]).toEqual([1, 'users added: 2500\n']);
  expect(stderr).toBe(
    '\r\u001B[K1000 lines read, 1000 users added' +
      '\r\u001B[K2000 lines read, 2000 users added' +
      '\r\u001B[Kgatehouse: line 2501: The line is no JSON object\n' +
      '2501 lines read, 2500 users added' +
      '\r\u001B[Kgatehouse: lines that have added nobody: 1, see above\n',
  );
});

it('is refused a file that is not there, a folder, and a terminal', async () => {
  for (const [file, code] of [
    [join(directory, 'none'), 'ENOENT'],
    [directory, 'EISDIR'],
  ] as const)
    expect(await inHouse(house, ['users', 'import', file])).toEqual({
      status: 1,
      stdout: '',
      stderr: `gatehouse: the file cannot be read (${code})\n`,
    });
  const typed = await inHouse(house, ['users', 'import', '-'], { isTerminal: true });
  expect([typed.status, typed.stderr]).toEqual([2, expect.stringContaining('put it in a pipe or a file')]);
  expect((await gatehouse(['users', 'import'])).status).toBe(2);
});
