/** `gatehouse clients secrets`: a client's second secret, and the end of the first. */
import type { Command } from 'commander';

import { addSecret, removeSecret } from '../domain/clients.js';
import { AuthError } from '../domain/errors.js';
import { isUuid } from '../domain/tokens/claims.js';
import { findActor } from './options.js';
import { examples, Refusal, toId, toLine } from './output.js';
import type { Shell } from './shell.js';

export function defineSecrets(secrets: Command, shell: Shell): void {
  defineAddSecret(secrets, shell);
  defineRemoveSecret(secrets, shell);
}

function defineAddSecret(secrets: Command, { withDatabase, print }: Shell): void {
  secrets
    .command('add')
    .description('make a second secret, which is shown this once; both count until one is removed')
    .argument('<id>')
    .addHelpText('after', examples('gatehouse clients secrets add orders-api'))
    .action(async (id: string) => {
      await withDatabase(async (database) => {
        const added = await addSecret(database, id, findActor()).catch((error: unknown) => {
          if (!(error instanceof AuthError) || error.code !== 'too_many_secrets') throw error;
          throw new Refusal(
            `the client ${id} has two secrets already: remove the one that is not used any more first, see ` +
              `\`gatehouse clients show ${id}\``,
          );
        });
        if (added === null) throw noClient(id);
        print(
          { id: added.id, created_at: added.createdAt.toISOString(), secret: added.secret },
          `the client ${id} has a further secret, ${added.id}\nsecret, shown this once: ${added.secret}`,
        );
      });
    });
}

function defineRemoveSecret(secrets: Command, { withDatabase, print }: Shell): void {
  secrets
    .command('remove')
    .description('remove a secret: from now on every replica refuses it')
    .argument('<id>')
    .argument('<secret-id>', 'its id, see `gatehouse clients show`; not the secret itself')
    .addHelpText(
      'after',
      examples('gatehouse clients secrets remove orders-api 0b3f9c1e-5a77-4d02-9e64-2f8c1d7b6a30'),
    )
    .action(async (id: string, secretId: string) => {
      await withDatabase(async (database) => {
        if (!isUuid(secretId) || !(await removeSecret(database, id, secretId, findActor())))
          throw new Refusal(
            `there is no secret ${isUuid(secretId) ? secretId : 'of this id'} of a client ${toId(id)}: see \`gatehouse clients show\``,
          );
        print({ id: secretId }, `removed the secret ${secretId} of the client ${id}`);
      });
    });
}

export function noClient(id: string): Refusal {
  return new Refusal(`there is no client ${toLine(id)}: see \`gatehouse clients list\``);
}
