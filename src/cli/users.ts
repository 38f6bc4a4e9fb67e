/** `gatehouse users`: who may log in. */
import { isScope } from '@gatehouse/protocol';
import { InvalidArgumentError, type Command } from 'commander';

import { canonicalUsername, explainUsername } from '../domain/usernames.js';
import {
  addUser,
  changePassword,
  disableUser,
  enableUser,
  findUser,
  listUsers,
  type ListedUser,
} from '../domain/users/users.js';
import { examples, Refusal, toLine, toTable } from './output.js';
import type { Shell } from './shell.js';

/** Scopes travel in every access token, which must stay well below what proxies take for a header. */
const MAX_SCOPE_CHARACTERS = 1024;

const PASSWORD_STDIN = [
  '--password-stdin',
  'read the password from standard input; a newline at its end is not part of it',
] as const;

interface PasswordOptions {
  passwordStdin?: true;
}

export function defineUsers(users: Command, shell: Shell): void {
  defineAdd(users, shell);
  defineList(users, shell);
  defineDisable(users, shell);
  defineEnable(users, shell);
  definePassword(users, shell);
}

function defineAdd(users: Command, { stdin, withDatabase, print }: Shell): void {
  users
    .command('add')
    .description('add a user; without --password-stdin a strong password is made and shown this once')
    .argument('<name>', 'user name; an e-mail address is one', parseUsername)
    .option('--scope <scope>', 'scope of all tokens of the user: words with single spaces', parseScope, '')
    .option(...PASSWORD_STDIN)
    .addHelpText(
      'after',
      examples(
        'gatehouse users add alice@example.com --scope "read write"',
        'gatehouse users add alice@example.com --password-stdin < password.txt',
      ),
    )
    .action(async (username: string, { scope, passwordStdin }: PasswordOptions & { scope: string }) => {
      const password = await choosePassword(username, passwordStdin === true ? stdin : null);
      await withDatabase(
        async (database) => {
          const user = await addUser(database, { username, passwordHash: password.hash, scope });
          if (user === null)
            throw new Refusal(
              `there is a user ${username} already: choose another name, or see \`gatehouse users password --help\``,
            );
          const about = `added ${username} (${user.id})${scope === '' ? '' : ` with the scope ${scope}`}`;
          print({ id: user.id, username, scope, ...password.shown }, about + password.line);
        },
        { mayCreate: true },
      );
    });
}

function defineList(users: Command, { withDatabase, print }: Shell): void {
  users
    .command('list')
    .description('list all users')
    .action(async () => {
      await withDatabase(async (database) => {
        const rows = (await listUsers(database)).map(userOnTheWire);
        print(rows, toTable(rows, 'no users'));
      });
    });
}

function defineDisable(users: Command, { withDatabase, print }: Shell): void {
  users
    .command('disable')
    .description('end every session of a user and refuse further logins')
    .argument('<name>')
    .addHelpText('after', examples('gatehouse users disable alice@example.com'))
    .action(async (name: string) => {
      await withDatabase(async (database) => {
        if (!(await disableUser(database, name))) throw noUser(name);
        const user = await findUser(database, name);
        if (user === null) throw noUser(name);
        print(userOnTheWire(user), `${user.username} is disabled, every session has ended`);
      });
    });
}

function defineEnable(users: Command, { withDatabase, print }: Shell): void {
  users
    .command('enable')
    .description('let a disabled user log in again; sessions that have ended stay ended')
    .argument('<name>')
    .action(async (name: string) => {
      await withDatabase(async (database) => {
        if (!(await enableUser(database, name))) throw noUser(name);
        const user = await findUser(database, name);
        if (user === null) throw noUser(name);
        print(userOnTheWire(user), `${user.username} may log in`);
      });
    });
}

function definePassword(users: Command, { stdin, withDatabase, print }: Shell): void {
  users
    .command('password')
    .description('set a new password and end every session; without --password-stdin a strong one is made')
    .argument('<name>')
    .option(...PASSWORD_STDIN)
    .addHelpText(
      'after',
      examples(
        'gatehouse users password alice@example.com',
        'gatehouse users password alice@example.com --password-stdin < password.txt',
      ),
    )
    .action(async (name: string, { passwordStdin }: PasswordOptions) => {
      const username = canonicalUsername(name);
      if (username === null) throw noUser(name);
      const password = await choosePassword(username, passwordStdin === true ? stdin : null);
      await withDatabase(async (database) => {
        const user = await findUser(database, username);
        if (user === null || !(await changePassword(database, username, password.hash))) throw noUser(name);
        print(
          { id: user.id, username, scope: user.scope, ...password.shown },
          `${username} has a new password, every session has ended${password.line}`,
        );
      });
    });
}

/** Loaded by the commands that set a password: the others have no use for argon2. */
async function choosePassword(...args: Parameters<typeof import('./password.js').choosePassword>) {
  const password = await import('./password.js');
  return await password.choosePassword(...args);
}

function noUser(name: string): Refusal {
  return new Refusal(`there is no user ${toLine(name)}: see \`gatehouse users list\``);
}

function userOnTheWire({ id, username, scope, createdAt, disabledAt }: ListedUser) {
  return {
    id,
    username,
    scope,
    created_at: createdAt.toISOString(),
    disabled_at: disabledAt?.toISOString() ?? null,
  };
}

function parseUsername(typed: string): string {
  const username = canonicalUsername(typed);
  if (username === null)
    throw new InvalidArgumentError(`The user name ${explainUsername(typed) ?? 'is none'}.`);
  return username;
}

function parseScope(text: string): string {
  if (text === '') return text;
  if (!isScope(text))
    throw new InvalidArgumentError(
      'It is words of printable ASCII without " and \\, with single spaces between them (RFC 6749 section 3.3).',
    );
  if (text.length > MAX_SCOPE_CHARACTERS)
    throw new InvalidArgumentError(`It has at most ${MAX_SCOPE_CHARACTERS} characters.`);
  const words = text.split(' ');
  if (new Set(words).size < words.length) throw new InvalidArgumentError('It names something twice.');
  return text;
}
