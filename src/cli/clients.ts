/** `gatehouse clients`: resource servers and what they may ask. */
import { CLIENT_ID } from '@gatehouse/protocol';
import { InvalidArgumentError, Option, type Command } from 'commander';

import {
  addClient,
  changeClient,
  listClients,
  PERMISSIONS,
  removeClient,
  type Permission,
} from '../domain/clients.js';
import { findClient } from '../domain/operators/clients.js';
import { showClient } from '../domain/operators/shown.js';
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
    .addHelpText(
      'after',
      `\nPermissions: ${PERMISSIONS.join(', ')}.\n` +
        examples(
          'gatehouse clients add orders-api',
          'gatehouse clients add admin-console --permission introspect --permission revoke',
        ),
    )
    .action(
      async (id: string, { permission: permissions = ['introspect'] }: { permission?: Permission[] }) => {
        await withDatabase(
          async (database) => {
            const client = await addClient(database, id, permissions, findActor());
            if (client === null)
              throw new Refusal(
                `there is a client ${id} already: choose another id, or remove that client first`,
              );
            print(
              { id, secret: client.secret, permissions },
              `added the client ${id}, which may ${permissions.join(' and ')}\nsecret, shown this once: ${client.secret}`,
            );
          },
          { mayCreate: true },
        );
      },
    );
}

function defineList(clients: Command, { withDatabase, print }: Shell): void {
  clients
    .command('list')
    .description('list all clients')
    .action(async () => {
      await withDatabase(async (database) => {
        const rows = (await listClients(database)).map(({ id, permissions, createdAt }) => ({
          id,
          permissions,
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
        print(shown, `the client ${id} ${describePermissions(client.permissions)}\n${secrets}`);
      });
    });
}

function defineChange(clients: Command, { withDatabase, print }: Shell): void {
  clients
    .command('change')
    .description('give a client permissions in place of those that it has, at once on every replica')
    .argument('<id>')
    .addOption(
      new Option('--permission <permission>', 'what it may do; repeat it for several').argParser(
        collectPermissions,
      ),
    )
    .option('--no-permissions', 'it may do nothing any more')
    .addHelpText(
      'after',
      `\nPermissions: ${PERMISSIONS.join(', ')}.\n` +
        examples('gatehouse clients change orders-api --permission introspect --permission revoke'),
    )
    .action(async (id: string, options: { permission?: Permission[]; permissions: boolean }) => {
      if ((options.permission === undefined) === options.permissions)
        throw new Refusal('nothing was changed: say --permission for each permission, or --no-permissions', {
          isWrongUsage: true,
        });
      await withDatabase(async (database) => {
        const client = await changeClient(database, id, options.permission ?? [], findActor());
        if (client === null) throw noClient(id);
        print(showClient(client), `the client ${id} ${describePermissions(client.permissions)}`);
      });
    });
}

function describePermissions(permissions: readonly Permission[]): string {
  return permissions.length === 0 ? 'may do nothing' : `may ${permissions.join(' and ')}`;
}

function parseClientId(id: string): string {
  if (CLIENT_ID.test(id)) return id;
  throw new InvalidArgumentError(
    'It is up to 100 letters, digits, dots, hyphens and underscores, begins with a letter or a digit, and is not gatehouse.',
  );
}

function collectPermissions(text: string, previous: Permission[] | undefined): Permission[] {
  const permission = PERMISSIONS.find((known) => known === text);
  if (permission === undefined) throw new InvalidArgumentError(`It is one of ${PERMISSIONS.join(', ')}.`);
  return [...new Set(previous).add(permission)];
}
