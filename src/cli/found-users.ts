/** `gatehouse users show`, `change`, `delete`, `export`, `unlock` and `reset`: what /admin/users does, typed. */
import { InvalidArgumentError, type Command } from 'commander';

import { forgetAttempts } from '../domain/guessing/forgetting.js';
import { locksOf } from '../domain/guessing/guesses.js';
import { deleteUser } from '../domain/operators/deletion.js';
import { exportUser, type UserExport } from '../domain/operators/export.js';
import { changeUser } from '../domain/operators/users.js';
import { issueCode, MOST_CODE_SECONDS } from '../domain/passwords/codes.js';
import { showExport, showUser } from '../domain/operators/shown.js';
import { explainScope } from '../domain/users/scopes.js';
import { judgeUsername } from '../domain/users/usernames.js';
import { findActor, refusing } from './options.js';
import { examples, Refusal, toJson, toRecord } from './output.js';
import type { Shell } from './shell.js';
import { findMeant, readUser, takeUser, type OfClient } from './whom.js';

export function parseUsername(typed: string): string {
  const { username, problem } = judgeUsername(typed);
  if (username === null) throw new InvalidArgumentError(`The user name ${problem}.`);
  return username;
}

export function parseScope(text: string): string {
  const problem = explainScope(text);
  if (problem !== null) throw new InvalidArgumentError(`The scope ${problem}.`);
  return text;
}

export function defineShow(users: Command, { withDatabase, print }: Shell): void {
  takeUser(users.command('show'))
    .description('show one user')
    .action(async (name: string | undefined, ofClient: OfClient) => {
      const meant = readUser(name, ofClient);
      await withDatabase(async (database) => {
        const shown = showUser(await findMeant(database, meant));
        print(shown, toRecord(shown));
      });
    });
}

export function defineChange(users: Command, { withDatabase, print, config }: Shell): void {
  users
    .command('change')
    .description('change the name or the scope of a user: access tokens end at once, sessions live on')
    .argument('<name>', 'user name, or id')
    .option('--username <name>', 'another name', parseUsername)
    .option('--scope <scope>', 'another scope: words with single spaces, or "" for none', parseScope)
    .addHelpText('after', examples('gatehouse users change alice@example.com --scope "read write"'))
    .action(async (name: string, change: { username?: string; scope?: string }) => {
      if (change.username === undefined && change.scope === undefined)
        throw new Refusal('name what is to be changed: --username, --scope, or both', { isWrongUsage: true });
      const rules = await config();
      await withDatabase(async (database) => {
        const { id } = await findMeant(database, readUser(name));
        const shown = showUser(await refusing(() => changeUser(database, id, change, findActor(), rules)));
        print(shown, `${shown.username} has the scope ${shown.scope === '' ? '-' : shown.scope}`);
      });
    });
}

export function defineDelete(users: Command, { withDatabase, print }: Shell): void {
  takeUser(users.command('delete'))
    .description('delete a user: every session ends, the name is free; it cannot be taken back')
    .addHelpText('after', examples('gatehouse users delete alice@example.com'))
    .action(async (name: string | undefined, ofClient: OfClient) => {
      const meant = readUser(name, ofClient);
      await withDatabase(async (database) => {
        const { id, username } = await findMeant(database, meant);
        await refusing(() => deleteUser(database, id, findActor()));
        print({ id, username }, `${username} (${id}) is deleted, every session has ended`);
      });
    });
}

export function defineExport(users: Command, { withDatabase, print }: Shell): void {
  takeUser(users.command('export'))
    .description('print all that is kept about a user, as JSON; no hash is in it')
    .addHelpText('after', examples('gatehouse users export alice@example.com > alice.json'))
    .action(async (name: string | undefined, ofClient: OfClient) => {
      const meant = readUser(name, ofClient);
      await withDatabase(async (database) => {
        const { id } = await findMeant(database, meant);
        const parts: ReturnType<typeof showExport>[] = [];
        let after: string | null = null;
        do {
          const part: UserExport | null = await exportUser(database, id, after);
          if (part === null) throw new Refusal(meant.absence);
          parts.push(showExport(part));
          after = part.next;
        } while (after !== null);
        const { next: _next, ...last } = parts.at(-1) ?? {};
        const sessions = parts.flatMap((part) => part.sessions);
        const revocations = parts.flatMap((part) => part.revocations);
        const events = parts.flatMap((part) => part.events);
        const whole = { ...last, sessions, revocations, events };
        print(whole, toJson(whole));
      });
    });
}

export function defineUnlock(users: Command, { withDatabase, print }: Shell): void {
  users
    .command('unlock')
    .description('let the next attempt at the password of a user in, where too many were wrong')
    .argument('<name>', 'user name, or id')
    .addHelpText('after', examples('gatehouse users unlock alice@example.com'))
    .action(async (name: string) => {
      await withDatabase(async (database) => {
        const { id, username } = await findMeant(database, readUser(name));
        await forgetAttempts(database, locksOf(username), { userId: id, by: findActor() });
        print({ id, username }, `${username} is not locked`);
      });
    });
}

export function defineReset(users: Command, { withDatabase, print }: Shell): void {
  users
    .command('reset')
    .description('make a code with which a user sets a password, once: to reset it, or as an invitation')
    .argument('<name>', 'user name, or id')
    .option('--expires-in <time>', 'such as 2h: 15m by default, 7d at most', parseCodeTime)
    .addHelpText('after', examples('gatehouse users reset alice@example.com --expires-in 2h'))
    .action(async (name: string, { expiresIn }: { expiresIn?: number }) => {
      await withDatabase(async (database) => {
        const { id, username } = await findMeant(database, readUser(name));
        const { code, expiresInSeconds } = await refusing(() =>
          issueCode(database, id, expiresIn, findActor()),
        );
        const minutes = Math.floor(expiresInSeconds / 60);
        const about = minutes > 0 ? `${minutes} min` : `${expiresInSeconds} s`;
        print(
          { code, expires_in: expiresInSeconds },
          `${username} sets a password with this code, once, within ${about}; it is shown this once: ${code}`,
        );
      });
    });
}

const SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

function parseCodeTime(text: string): number {
  const { count, unit } = /^(?<count>[1-9][0-9]{0,6})(?<unit>[smhd])$/.exec(text)?.groups ?? {};
  const seconds = Number(count) * (SECONDS[unit ?? ''] ?? NaN);
  if (seconds <= MOST_CODE_SECONDS) return seconds;
  throw new InvalidArgumentError('It is a duration such as 30s, 15m, 2h or 7d, and 7d at most.');
}
