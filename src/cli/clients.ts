/** `gatehouse clients`: resource servers and what they may ask. */
import { InvalidArgumentError, Option, type Command } from 'commander';

import {
  addClient,
  CLIENT_ID,
  listClients,
  PERMISSIONS,
  removeClient,
  type Permission,
} from '../domain/clients.js';
import { examples, Refusal, toLine, toTable } from './output.js';
import type { Shell } from './shell.js';

export function defineClients(clients: Command, shell: Shell): void {
  defineAdd(clients, shell);
  defineList(clients, shell);
  defineRemove(clients, shell);
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
            const client = await addClient(database, id, permissions);
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
        if (!(await removeClient(database, id)))
          throw new Refusal(`there is no client ${toLine(id)}: see \`gatehouse clients list\``);
        print({ id }, `removed the client ${id}`);
      });
    });
}

function parseClientId(id: string): string {
  if (CLIENT_ID.test(id)) return id;
  throw new InvalidArgumentError(
    'It is up to 100 letters, digits, dots, hyphens and underscores, and begins with a letter or a digit.',
  );
}

function collectPermissions(text: string, previous: Permission[] | undefined): Permission[] {
  const permission = PERMISSIONS.find((known) => known === text);
  if (permission === undefined) throw new InvalidArgumentError(`It is one of ${PERMISSIONS.join(', ')}.`);
  return [...new Set(previous).add(permission)];
}
