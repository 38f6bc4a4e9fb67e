/** `gatehouse users`: who may log in. */
import { MAX_TOKEN_CHARACTERS } from '@gatehouse/protocol';
import { Option, type Command } from 'commander';

import { fitsIntoTokens } from '../domain/tokens/length.js';
import { showUser } from '../domain/operators/shown.js';
import { canonicalUsername } from '../domain/users/usernames.js';
import { findUser, listUsers } from '../domain/users/found.js';
import { addUser, changePassword, disableUser, enableUser } from '../domain/users/users.js';
import { defineFind } from './find-users.js';
import {
  defineChange,
  defineDelete,
  defineExport,
  defineReset,
  defineUnlock,
  defineShow,
  parseScope,
  parseUsername,
} from './found-users.js';
import { defineImport } from './import.js';
import { findActor } from './options.js';
import { examples, Refusal, toTable } from './output.js';
import type { Shell } from './shell.js';
import { findMeant, readUser, takeUser, type OfClient } from './whom.js';

interface PasswordOptions {
  passwordStdin?: true;
  passwordPrompt?: true;
  withoutPassword?: true;
}

export function defineUsers(users: Command, shell: Shell): void {
  defineAdd(users, shell);
  defineList(users, shell);
  defineFind(users, shell);
  defineShow(users, shell);
  defineChange(users, shell);
  defineDisable(users, shell);
  defineEnable(users, shell);
  definePassword(users, shell);
  defineDelete(users, shell);
  defineExport(users, shell);
  defineUnlock(users, shell);
  defineReset(users, shell);
  defineImport(users, shell);
}

function defineAdd(users: Command, shell: Shell): void {
  const { withDatabase, print } = shell;
  takePassword(users.command('add'))
    .description('add a user; a strong password is made and shown this once, unless you give one')
    .argument('<name>', 'user name; an e-mail address is one', parseUsername)
    .option('--scope <scope>', 'scope of all tokens of the user: words with single spaces', parseScope, '')
    .addOption(
      new Option('--without-password', 'the user cannot log in before a code has set a password').conflicts([
        'passwordStdin',
        'passwordPrompt',
      ]),
    )
    .addHelpText(
      'after',
      examples(
        'gatehouse users add alice@example.com --scope "read write"',
        'gatehouse users add alice@example.com --without-password',
        'gatehouse users add alice@example.com --password-prompt',
        'gatehouse users add alice@example.com --password-stdin < password.txt',
      ),
    )
    .action(async (username: string, { scope, ...options }: PasswordOptions & { scope: string }) => {
      if (!fitsIntoTokens({ username, scope }, await shell.config()))
        throw new Refusal(
          `tokens of ${username} would be longer than ${MAX_TOKEN_CHARACTERS} characters: choose a shorter name or scope`,
        );
      const password =
        options.withoutPassword === true ? NO_PASSWORD : await choosePassword(username, options, shell);
      await withDatabase(
        async (database) => {
          const user = await addUser(database, { username, passwordHash: password.hash, scope }, findActor());
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
        const rows = (await listUsers(database)).map(showUser);
        print(rows, toTable(rows, 'no users'));
      });
    });
}

function defineDisable(users: Command, { withDatabase, print }: Shell): void {
  takeUser(users.command('disable'))
    .description('end every session of a user and refuse further logins')
    .addHelpText(
      'after',
      examples(
        'gatehouse users disable alice@example.com',
        'gatehouse users disable --client-id shop --external-id customer-17',
      ),
    )
    .action(async (name: string | undefined, ofClient: OfClient) => {
      const meant = readUser(name, ofClient);
      await withDatabase(async (database) => {
        if (!(await disableUser(database, meant.whom, findActor()))) throw new Refusal(meant.absence);
        const user = await findMeant(database, meant);
        print(showUser(user), `${user.username} is disabled, every session has ended`);
      });
    });
}

function defineEnable(users: Command, { withDatabase, print }: Shell): void {
  takeUser(users.command('enable'))
    .description('let a disabled user log in again; sessions that have ended stay ended')
    .action(async (name: string | undefined, ofClient: OfClient) => {
      const meant = readUser(name, ofClient);
      await withDatabase(async (database) => {
        if (!(await enableUser(database, meant.whom, findActor()))) throw new Refusal(meant.absence);
        const user = await findMeant(database, meant);
        print(showUser(user), `${user.username} may log in`);
      });
    });
}

function definePassword(users: Command, shell: Shell): void {
  const { withDatabase, print } = shell;
  takePassword(users.command('password'))
    .description('set a new password and end every session; a strong one is made, unless you give one')
    .argument('<name>')
    .addHelpText(
      'after',
      examples(
        'gatehouse users password alice@example.com',
        'gatehouse users password alice@example.com --password-prompt',
        'gatehouse users password alice@example.com --password-stdin < password.txt',
      ),
    )
    .action(async (name: string, options: PasswordOptions) => {
      const { absence } = readUser(name);
      const username = canonicalUsername(name);
      if (username === null) throw new Refusal(absence);
      const password = await choosePassword(username, options, shell);
      await withDatabase(async (database) => {
        const user = await findUser(database, username);
        if (user === null || !(await changePassword(database, username, password.hash, findActor())))
          throw new Refusal(absence);
        print(
          { id: user.id, username, scope: user.scope, ...password.shown },
          `${username} has a new password, every session has ended${password.line}`,
        );
      });
    });
}

const NO_PASSWORD = { hash: null, shown: {}, line: ', without a password' };

/** One way to give a password, or none. */
function takePassword(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--password-prompt',
        'ask for the password on the terminal, twice, and show nothing of it',
      ).conflicts('passwordStdin'),
    )
    .option(
      '--password-stdin',
      'read the password from standard input; a newline at its end is not part of it',
    );
}

/** Loaded by the commands that set a password: the others have no use for argon2. */
async function choosePassword(username: string, options: PasswordOptions, shell: Shell) {
  const { askPassword, keepPassword, makePassword, readPassword } = await import('./password.js');
  const rules = await shell.config();
  if (options.passwordPrompt === true)
    return await keepPassword(username, await askPassword(username, rules, shell), rules);
  if (options.passwordStdin === true)
    return await keepPassword(username, await readPassword(shell.stdin), rules);
  return await makePassword();
}
