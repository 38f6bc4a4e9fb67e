/** `gatehouse database`: the PostgreSQL that the service keeps its promises on. */
import type { Command } from 'commander';

import { storesNoCluster } from '../database/verify-connection.js';
import { acceptCluster } from '../domain/service/cluster.js';
import { firstRow } from '../domain/service/service-row.js';
import { examples, Refusal } from './output.js';
import type { Shell } from './shell.js';

export function defineDatabase(command: Command, { withDatabase, print }: Shell): void {
  command
    .command('accept')
    .description(
      'go on with a database in another PostgreSQL cluster: a restored dump, a clone, or after pg_upgrade',
    )
    .addHelpText(
      'after',
      '\nUntil then Gatehouse does not start on it, applies no migration to it, and answers every request 503: the database\n' +
        'may be a copy, from which ends are missing. Make sure that nothing serves from the other one any more. If the copy is\n' +
        'older than what was acknowledged, end all sessions.\n' +
        examples('gatehouse database accept'),
    )
    .action(async () => {
      await withDatabase(
        async (database) => {
          const { before, identifier } = firstRow(await acceptCluster(database).catch(explain));
          const result = { system_identifier: identifier, before };
          if (before === identifier) print(result, `the cluster ${identifier} was the right one already`);
          else
            print(
              result,
              `the cluster ${identifier} is the right one from now on; before it was ${before ?? 'none'}`,
            );
        },
        // What is pending is not applied to a foreign database, so this comes first.
        { acceptsForeign: true, mayBeOutdated: true },
      );
    });
}

function explain(error: unknown): never {
  if (!storesNoCluster(error)) throw error;
  throw new Refusal('this database belongs to no cluster yet: run `gatehouse migrate` first');
}
