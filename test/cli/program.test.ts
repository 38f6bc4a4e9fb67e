// What all commands share: exit statuses, help, --json, and which stream says what.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { gatehouse, inHouse, jsonInHouse } from '../support/command.js';
import { openHouse, type House } from '../support/house.js';

const NOUNS: Record<string, string[]> = {
  users: ['add', 'list', 'disable', 'enable', 'password'],
  clients: ['add', 'list', 'remove'],
  sessions: ['list', 'end'],
  revocations: ['list', 'prune'],
  keys: ['list', 'rotate', 'retire', 'reencrypt'],
};

const COMMANDS = [
  ...Object.entries(NOUNS).flatMap(([noun, verbs]) => verbs.map((verb) => [noun, verb])),
  ['migrate'],
];

/** Wrong on purpose, to show that neither help nor wrong usage asks for a configuration. */
const BROKEN = { environment: { PORT: 'none' } };

let house: House;
beforeAll(async () => (house = await openHouse()));
afterAll(() => house.close());

describe('help', () => {
  it('lists every command that the contract names, and no other', async () => {
    const listed = async (args: string[]) => {
      const { stdout } = await gatehouse([...args, '--help'], BROKEN);
      const list = /^Commands:\n(?<list>(?: .*\n)+)/m.exec(stdout)?.groups?.['list'] ?? '';
      return [...list.matchAll(/^ {2}(\w+)/gm)].map((match) => match[1]).filter((name) => name !== 'help');
    };
    expect(await listed([])).toEqual([...Object.keys(NOUNS), 'migrate']);
    for (const [noun, verbs] of Object.entries(NOUNS)) expect(await listed([noun])).toEqual(verbs);
  });

  it.each([[[]], ...Object.keys(NOUNS).map((noun) => [[noun]]), ...COMMANDS.map((words) => [words])])(
    'of gatehouse %j is on standard output, with a description, exit status 0',
    async (words: string[]) => {
      const { status, stdout, stderr } = await gatehouse([...words, '--help'], BROKEN);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      const [usage, blank, description] = stdout.split('\n');
      expect(usage).toMatch(new RegExp(`^Usage: ${['gatehouse', ...words].join(' ')} \\[options\\]`));
      expect([blank, description?.length]).toEqual(['', expect.any(Number)]);
      expect(description).not.toBe('Options:');
      expect(stdout).toMatch(/^ {2}--json /m);
    },
  );

  it('comes on standard error, with status 2, when no command is given', async () => {
    for (const args of [[], ['users'], ['keys']]) {
      const { status, stdout, stderr } = await gatehouse(args, BROKEN);
      expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
      expect(stderr).toMatch(/^Usage: gatehouse/);
    }
  });
});

it('prints the version of the package', async () => {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  expect(await gatehouse(['--version'], BROKEN)).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
});

describe('wrong usage', () => {
  it.each([
    [['frobnicate'], 'unknown command'],
    [['users', 'frobnicate'], 'unknown command'],
    [['users', 'list', '--frobnicate'], 'unknown option'],
    [['--frobnicate', 'users', 'list'], 'unknown option'],
    [['users', 'add'], 'missing required argument'],
    [['users', 'password'], 'missing required argument'],
    [['clients', 'remove'], 'missing required argument'],
    [['sessions', 'end'], 'missing required argument'],
    [['keys', 'retire'], 'missing required argument'],
    [['users', 'list', 'alice'], 'too many arguments'],
    [['migrate', 'now'], 'too many arguments'],
    [['users', 'add', 'alice', '--scope'], 'argument missing'],
    [['users', 'add', 'alice', '--password', 'x'], 'unknown option'],
  ])('%j is told in a line on standard error, with status 2', async (args, reason) => {
    const { status, stdout, stderr } = await gatehouse([...args, '--json'], BROKEN);
    // Where the value of an option is missing, --json would be it.
    const outcome =
      reason === 'argument missing' ? await gatehouse(args, BROKEN) : { status, stdout, stderr };
    expect(outcome).toMatchObject({ status: 2, stdout: '' });
    expect(outcome.stderr).toMatch(new RegExp(`^gatehouse: .*${reason}.*\n`));
  });

  it.each([
    ['users', 'password', 'alice', 'hunter2'],
    ['users', 'password', 'alice', '-hunter2'],
    ['users', 'password', 'alice', '--hunter2'],
    ['users', 'password', 'alice', '--password=hunter2'],
    ['users', 'password', 'alice', '--password', 'hunter2'],
    ['users', 'password', 'alice', "--it's hunter2'\n(Did you mean"],
    ['users', 'password', 'alice', '--password-stdin=hunter2'],
    ['users', 'password', 'alice', '--password-stdin', 'hunter2'],
    ['users', 'password', 'alice', '--', 'hunter2'],
    ['users', 'passwd', 'hunter2'],
    ['users', 'hunter2'],
    ['hunter2'],
    ['-hunter2'],
    ['--hunter2=hunter2'],
    ['help', 'hunter2'],
    ['users', 'help', 'hunter2'],
    ['users', 'add', 'alice', '--scope', '"hunter2"'],
    ['users', 'add', ' hunter2'],
    ['clients', 'add', ' hunter2'],
    ['clients', 'add', 'a', '--permission', 'hunter2'],
    ['revocations', 'list', '--limit', 'hunter2'],
    ['migrate', 'postgresql://u:hunter2@h/d'],
    ['--json', 'migrate', '--url=postgresql://u:hunter2@h/d'],
  ])('repeats nothing of what was typed in a wrong place: %s %s %s %s %s', async (...args) => {
    const { stdout, stderr } = await gatehouse(
      args.filter((arg) => (arg as string | undefined) !== undefined),
      BROKEN,
    );
    expect(`${stdout}${stderr}`).not.toContain('hunter2');
    expect(`${stdout}${stderr}`).not.toBe('');
  });

  it('offers the command that was probably meant', async () => {
    expect((await gatehouse(['users', 'lst'], BROKEN)).stderr).toBe(
      'gatehouse: unknown command\n(Did you mean list?)\nAdd --help to see how it is used.\n',
    );
  });
});

describe('--json', () => {
  it('is understood before the noun, before the verb and after it', async () => {
    for (const args of [
      ['--json', 'users', 'list'],
      ['users', '--json', 'list'],
      ['users', 'list', '--json'],
    ]) {
      expect(await inHouse(house, args)).toEqual({ status: 0, stdout: '[]\n', stderr: '' });
    }
  });

  it('does not stay for the next command', async () => {
    expect((await inHouse(house, ['--json', 'clients', 'list'])).stdout).toBe('[]\n');
    expect((await inHouse(house, ['clients', 'list'])).stdout).toBe('no clients\n');
  });
});

it('takes what follows an option for its value, whatever it looks like', async () => {
  const { status, stdout } = await inHouse(house, ['users', 'add', 'dashing', '--scope', '--json']);
  expect(status).toBe(0);
  expect(stdout).toMatch(/^added dashing \(\S+\) with the scope --json\n/);
});

it('takes what follows -- for a name', async () => {
  expect(await inHouse(house, ['users', 'add', '--json', '--', '--help'])).toMatchObject({ status: 0 });
  expect(await jsonInHouse(house, ['users', 'disable', '--', '--help'])).toMatchObject({
    username: '--help',
  });
});

it('names every mistake of the configuration, with status 1', async () => {
  const environment = { DATABASE_URL: 'nonsense', PORT: 'none' };
  const { status, stdout, stderr } = await gatehouse(['users', 'list', '--json'], { environment });
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toContain('DATABASE_URL must be');
  expect(stderr).toContain('PORT must be');
});
