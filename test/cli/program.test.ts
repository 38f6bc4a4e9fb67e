// What all commands share: exit statuses, help, --json, and which stream says what.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { gatehouse, inHouse, jsonInHouse } from '../support/command.js';
import { openHouse, type House } from '../support/house.js';

const NOUNS: Record<string, string[]> = {
  users: [
    ...['add', 'list', 'find', 'show', 'change', 'disable', 'enable', 'password'],
    ...['delete', 'export', 'unlock', 'reset', 'import'],
  ],
  clients: ['add', 'list', 'remove', 'show', 'change', 'secrets'],
  sessions: ['list', 'find', 'show', 'end'],
  revocations: ['list', 'find', 'show', 'add', 'lift', 'prune'],
  events: ['find', 'follow'],
  keys: ['list', 'rotate', 'retire', 'reencrypt', 'reset'],
  database: ['accept'],
};

const COMMANDS = [
  ...Object.entries(NOUNS).flatMap(([noun, verbs]) => verbs.map((verb) => [noun, verb])),
  ['migrate'],
  ['completion'],
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
    expect(await listed([])).toEqual([...Object.keys(NOUNS), 'migrate', 'completion']);
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
      const asked = [
        await gatehouse([...words, '-h'], BROKEN),
        await gatehouse(['help', ...words], BROKEN),
        await gatehouse(['help', ...words.toReversed()], BROKEN),
      ];
      for (const other of asked) expect(other).toEqual({ status: 0, stdout, stderr: '' });
    },
  );

  it.each([
    ['users', 'frobnicate'],
    ['frobnicate', 'users'],
    ['users', 'add', 'more'],
    ['frobnicate'],
    ['add'],
  ])('of what is no command is refused: help %s %s %s', async (...words) => {
    const { status, stdout, stderr } = await gatehouse(['help', ...words.filter(Boolean)], BROKEN);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^gatehouse: unknown command\n/);
  });

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
  for (const flag of ['-v', '--version'])
    expect(await gatehouse([flag], BROKEN)).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
});

describe('wrong usage', () => {
  it.each([
    [['frobnicate'], 'unknown command'],
    [['users', 'frobnicate'], 'unknown command'],
    [['users', 'list', '--frobnicate'], 'unknown option'],
    [['--frobnicate', 'users', 'list'], 'unknown option'],
    [['users', 'add'], 'missing required argument'],
    [['users', 'password'], 'missing required argument'],
    [['users', 'disable'], 'name one user'],
    [['users', 'disable', '--client-id', 'shop'], 'name one user'],
    [['users', 'enable', '--external-id', 'customer-7'], 'name one user'],
    [['users', 'delete', 'ada', '--client-id', 'shop', '--external-id', 'customer-7'], 'name one user'],
    [['users', 'show', '--client-id', 'shop', '--external-id', 'a space'], 'printable ASCII'],
    [['users', 'export', '--client-id', 'gatehouse', '--external-id', 'customer-7'], 'is not gatehouse'],
    [['clients', 'remove'], 'missing required argument'],
    [['clients', 'secrets', 'add'], 'missing required argument'],
    [['clients', 'secrets', 'remove', 'shop'], 'missing required argument'],
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
    ['clients', 'secrets', 'hunter2'],
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

  it.each([
    ['users lst', 'users list'],
    ['user list', 'users list'],
    ['event find --type login', 'events find'],
    ['user lst', 'users'],
    ['events list', 'events find'],
    ['events tail', 'events follow'],
    ['users search ada', 'users find'],
    ['users update ada', 'users change'],
    ['users get ada', 'one of users list, users show'],
    ['revocations undo 1', 'revocations lift'],
    ['import users ada.ndjson', 'users import'],
    ['clients rmove', 'clients remove'],
    ['add users', 'users add'],
    ['list users ada', 'users list'],
    ['users create ada', 'users add'],
    ['users remove ada', 'users delete'],
    ['users block ada', 'users disable'],
    ['users invite ada', 'users reset'],
    ['clients delete shop', 'clients remove'],
    ['sessions revoke 1', 'sessions end'],
    ['keys new', 'keys rotate'],
    ['keys revoke 1', 'keys retire'],
    ['revocations ls', 'revocations list'],
    ['rotate', 'keys rotate'],
    ['prune', 'revocations prune'],
    ['add', 'one of users add, clients add, revocations add, keys rotate'],
    ['help usrs', ''],
    ['users add ada --password hunter2', 'one of --password-prompt, --password-stdin'],
    ['users password ada --pass=hunter2', 'one of --password-prompt, --password-stdin'],
    ['users add ada --scop a', '--scope'],
    ['users list --jsn', '--json'],
    ['frobnicate', ''],
    ['users frobnicate', ''],
    ['users list --frobnicate', ''],
  ])('offers what was probably meant: %s', async (line, meant) => {
    const { status, stderr } = await gatehouse(line.split(' '), BROKEN);
    expect(status).toBe(2);
    const offered = meant === '' ? '' : `(Did you mean ${meant}?)\n`;
    expect(stderr.replace(/^gatehouse: unknown (?:command|option)\n/, '')).toBe(
      `${offered}Add --help to see how it is used.\n`,
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
