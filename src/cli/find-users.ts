/** `gatehouse users find`: what GET /admin/users does, typed. */
import { InvalidArgumentError, type Command } from 'commander';

import { findUsers } from '../domain/operators/found-users.js';
import { showUser } from '../domain/operators/shown.js';
import { parseClientId } from './client-options.js';
import { parseUsername } from './found-users.js';
import { refusing, takePage, type PageOptions } from './options.js';
import { examples, Refusal, toPage } from './output.js';
import type { Shell } from './shell.js';
import { parseExternalId, type OfClient } from './whom.js';

interface FindOptions extends PageOptions, OfClient {
  username?: string;
  disabled?: boolean;
}

export function defineFind(users: Command, { withDatabase, print }: Shell): void {
  takePage(
    users
      .command('find')
      .description('find users, latest added first, page by page')
      .option('--username <name>', 'of this name', parseUsername)
      .option('--disabled <answer>', 'who may not log in (yes), or who may (no)', parseAnswer)
      .option('--client-id <id>', 'of a client, which opens sessions for them', parseClientId)
      .option('--external-id <id>', 'with --client-id: whom the client calls so', parseExternalId),
  )
    .addHelpText(
      'after',
      examples(
        'gatehouse users find --disabled yes',
        'gatehouse users find --client-id shop --external-id customer-17',
      ),
    )
    .action(async ({ limit, after = null, ...options }: FindOptions) => {
      const { username = null, disabled: isDisabled = null, clientId, externalId = null } = options;
      if (clientId === undefined && externalId !== null)
        throw new Refusal('--external-id wants --client-id beside it', { isWrongUsage: true });
      const ofClient = clientId === undefined ? null : { clientId, externalId };
      await withDatabase(async (database) => {
        const page = await refusing(() =>
          findUsers(database, { username, isDisabled, ofClient }, { limit, after }),
        );
        const rows = page.rows.map(showUser);
        print({ users: rows, next: page.next }, toPage(rows, page.next, 'no users'));
      });
    });
}

function parseAnswer(text: string): boolean {
  if (text !== 'yes' && text !== 'no') throw new InvalidArgumentError('It is yes or no.');
  return text === 'yes';
}
