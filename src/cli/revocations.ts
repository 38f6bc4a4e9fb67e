/** `gatehouse revocations`: what was ended, and the end of remembering it. */
import { InvalidArgumentError, type Command } from 'commander';

import { listRevocations, prune } from '../domain/sessions/revocations.js';
import { examples, toTable } from './output.js';
import type { Shell } from './shell.js';

const MAX_LIMIT = 10_000;

export function defineRevocations(revocations: Command, shell: Shell): void {
  defineList(revocations, shell);
  definePrune(revocations, shell);
}

function defineList(revocations: Command, { withDatabase, print }: Shell): void {
  revocations
    .command('list')
    .description('list the latest revocations, newest first')
    .option('--limit <count>', `how many at most, up to ${MAX_LIMIT}`, parseLimit, 100)
    .addHelpText('after', examples('gatehouse revocations list --limit 20'))
    .action(async ({ limit }: { limit: number }) => {
      await withDatabase(async (database) => {
        const rows = (await listRevocations(database, limit)).map((revocation) => ({
          kind: revocation.kind,
          id: revocation.id,
          user_id: revocation.userId,
          username: revocation.username,
          reason: revocation.reason,
          actor: revocation.actor,
          revoked_at: revocation.revokedAt.toISOString(),
          kept_until: revocation.keptUntil.toISOString(),
        }));
        print(rows, toTable(rows, 'no revocations'));
      });
    });
}

function definePrune(revocations: Command, { withDatabase, print }: Shell): void {
  revocations
    .command('prune')
    .description('delete revocations and sessions that can no longer matter; the service does so by itself')
    .action(async () => {
      await withDatabase(async (database) => {
        const rows = await prune(database, { waitTurn: true });
        print({ pruned: rows }, `${rows} ${rows === 1 ? 'row' : 'rows'} went`);
      });
    });
}

function parseLimit(text: string): number {
  const limit = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > MAX_LIMIT)
    throw new InvalidArgumentError(`It is a number from 1 to ${MAX_LIMIT}.`);
  return limit;
}
