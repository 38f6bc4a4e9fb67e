/** `gatehouse clients`: resource servers and what they may ask. */
import { Option, type Command } from 'commander';

import { addClient, changeClient, listClients, PERMISSIONS, removeClient } from '../domain/clients.js';
import { findClient } from '../domain/operators/clients.js';
import { showClient } from '../domain/operators/shown.js';
import {
  AUDIENCE_HELP,
  collectAudiences,
  collectPermissions,
  describeClient,
  parseClientId,
  readChange,
  type Granting,
} from './client-options.js';
import { defineSecrets, noClient } from './client-secrets.js';
import { findActor } from './options.js';
import { examples, Refusal, toTable } from './output.js';
import type { Shell } from './shell.js';

export function defineClients(clients: Command, shell: Shell): void {
  defineAdd(clients, shell);
  defineList(clients, shell);
  defineRemove(clients, shell);
  defineShow(clients, shell);
  defineChange(clients, shell);
  defineSecrets(
    clients.command('secrets').description('replace the secret of a client without an outage'),
    shell,
  );
}

function defineAdd(clients: Command, { withDatabase, print }: Shell): void {
  clients
    .command('add')
    .description('add a client; its secret is made here and shown this once')
    .argument('<id>', 'what the client calls itself, for example orders-api', parseClientId)
    .addOption(
      new Option('--permission <permission>', 'what it may do; repeat it for several')
        .argParser(collectPermissions)
        .default(undefined, 'introspect'),
    )
    .option('--audience <name>', AUDIENCE_HELP, collectAudiences)
    .addHelpText(
      'after',
      `\nPermissions: ${PERMISSIONS.join(', ')}.\n` +
        examples(
          'gatehouse clients add orders-api',
          'gatehouse clients add admin-console --permission introspect --permission revoke',
          'gatehouse clients add shop --permission sessions:open --audience orders --audience stock',
        ),
    )
    .action(async (id: string, options: Granting) => {
      const { permission: permissions = ['introspect'], audience: audiences = [] } = options;
      await withDatabase(
        async (database) => {
          const client = await addClient(database, { id, permissions, audiences }, findActor());
          if (client === null)
            throw new Refusal(
              `there is a client ${id} already, or was one: an id is never given again, so choose another one`,
            );
          print(
            { id, secret: client.secret, permissions, audiences },
            `added the client ${id}, which ${describeClient(client)}\nsecret, shown this once: ${client.secret}`,
          );
        },
        { mayCreate: true },
      );
    });
}

function defineList(clients: Command, { withDatabase, print }: Shell): void {
  clients
    .command('list')
    .description('list all clients')
    .action(async () => {
      await withDatabase(async (database) => {
        const rows = (await listClients(database)).map(({ id, permissions, audiences, createdAt }) => ({
          id,
          permissions,
          audiences,
          created_at: createdAt.toISOString(),
        }));
        print(rows, toTable(rows, 'no clients'));
      });
    });
}

function defineRemove(clients: Command, { withDatabase, print }: Shell): void {
  clients
    .command('remove')
    .description('remove a client: from now on every replica refuses it')
    .argument('<id>')
    .action(async (id: string) => {
      await withDatabase(async (database) => {
        if (!(await removeClient(database, id, findActor()))) throw noClient(id);
        print({ id }, `removed the client ${id}`);
      });
    });
}

function defineShow(clients: Command, { withDatabase, print }: Shell): void {
  clients
    .command('show')
    .description('show a client with the ids of its secrets')
    .argument('<id>')
    .action(async (id: string) => {
      await withDatabase(async (database) => {
        const client = await findClient(database, id);
        if (client === null) throw noClient(id);
        const shown = showClient(client);
        const secrets = toTable(
          shown.secrets.map(({ id: secret, created_at }) => ({ secret, created_at })),
          'no secrets: nobody can be this client',
        );
        print(shown, `the client ${id} ${describeClient(client)}\n${secrets}`);
      });
    });
}

function defineChange(clients: Command, { withDatabase, print }: Shell): void {
  clients
    .command('change')
    .description(
      'give a client permissions, or audiences, in place of those that it has, at once on every replica',
    )
    .argument('<id>')
    .addOption(
      new Option('--permission <permission>', 'what it may do; repeat it for several').argParser(
        collectPermissions,
      ),
    )
    .option('--no-permissions', 'it may do nothing any more')
    .option('--audience <name>', AUDIENCE_HELP, collectAudiences)
    .option('--no-audiences', 'its audiences are no limit any more')
    .addHelpText(
      'after',
      `\nPermissions: ${PERMISSIONS.join(', ')}.\n` +
        examples(
          'gatehouse clients change orders-api --permission introspect --permission revoke',
          'gatehouse clients change orders-api --audience orders',
        ),
    )
    .action(async (id: string, options: Granting & { permissions: boolean; audiences: boolean }) => {
      const change = {
        permissions: readChange(options.permission, !options.permissions, 'permission'),
        audiences: readChange(options.audience, !options.audiences, 'audience'),
      };
      if (change.permissions === null && change.audiences === null)
        throw new Refusal(
          'nothing was changed: say --permission for each permission, or --no-permissions, or the same of audiences',
          { isWrongUsage: true },
        );
      await withDatabase(async (database) => {
        const client = await changeClient(database, id, change, findActor());
        if (client === null) throw noClient(id);
        print(showClient(client), `the client ${id} ${describeClient(client)}`);
      });
    });
}
