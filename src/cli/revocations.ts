/** `gatehouse revocations`: what was ended, and the end of remembering it. */
import type { Command } from 'commander';

import { liftRevocation } from '../domain/operators/lift.js';
import { findRevocation, findRevocations } from '../domain/operators/found-revocations.js';
import { showRevocation } from '../domain/operators/shown.js';
import { pruneDeletedUsers } from '../domain/operators/deletion.js';
import { pruneCodes } from '../domain/passwords/codes.js';
import { listRevocations, prune } from '../domain/sessions/revocations.js';
import { isUuid } from '../domain/tokens/claims.js';
import {
  findActor,
  parseCountTo,
  parseId,
  parseNote,
  parseTime,
  refusing,
  takePage,
  type PageOptions,
} from './options.js';
import { defineAdd } from './ending.js';
import { examples, Refusal, toId, toPage, toRecord, toTable } from './output.js';
import type { Shell } from './shell.js';

const MAX_LIMIT = 10_000;

export function defineRevocations(revocations: Command, shell: Shell): void {
  defineList(revocations, shell);
  defineFind(revocations, shell);
  defineShow(revocations, shell);
  defineAdd(revocations, shell);
  defineLift(revocations, shell);
  definePrune(revocations, shell);
}

function defineList(revocations: Command, { withDatabase, print }: Shell): void {
  revocations
    .command('list')
    .description('list the latest revocations, newest first')
    .option('--limit <count>', `how many at most, up to ${MAX_LIMIT}`, parseCountTo(MAX_LIMIT), 100)
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
          lifted_at: revocation.liftedAt?.toISOString() ?? null,
        }));
        print(rows, toTable(rows, 'no revocations'));
      });
    });
}

interface FindOptions extends PageOptions {
  userId?: string;
  sessionId?: string;
  endingId?: string;
  actor?: string;
  since?: Date;
  until?: Date;
}

function defineFind(revocations: Command, { withDatabase, print }: Shell): void {
  takePage(
    revocations
      .command('find')
      .description('find what was ended, newest first, page by page')
      .option('--user-id <id>', 'of one user', parseId)
      .option('--session-id <id>', 'what has ended one session by itself', parseId)
      .option('--ending-id <id>', 'what one `revocations add` has ended', parseId)
      .option(
        '--actor <actor>',
        'by whom: user:ID, user for all of them, client:ID, cli:ACCOUNT or gatehouse',
      )
      .option('--since <time>', 'from here on', parseTime)
      .option('--until <time>', 'before', parseTime),
  )
    .addHelpText(
      'after',
      examples('gatehouse revocations find --actor client:console --since 2026-11-30T00:00:00Z'),
    )
    .action(async ({ limit, after = null, ...options }: FindOptions) => {
      const {
        userId = null,
        sessionId = null,
        endingId = null,
        actor = null,
        since = null,
        until = null,
      } = options;
      await withDatabase(async (database) => {
        const filter = { userId, sessionId, endingId, actor, since, until };
        const page = await refusing(() => findRevocations(database, filter, { limit, after }));
        const rows = page.rows.map(showRevocation);
        print({ revocations: rows, next: page.next }, toPage(rows, page.next, 'no revocations'));
      });
    });
}

function defineShow(revocations: Command, { withDatabase, print }: Shell): void {
  revocations
    .command('show')
    .description('show one revocation')
    .argument('<id>', 'id of its row')
    .action(async (id: string) => {
      await withDatabase(async (database) => {
        const revocation = isUuid(id) ? await findRevocation(database, id) : null;
        if (revocation === null) throw noRevocation(id);
        print(showRevocation(revocation), toRecord(showRevocation(revocation)));
      });
    });
}

function defineLift(revocations: Command, { withDatabase, print }: Shell): void {
  revocations
    .command('lift')
    .description(
      'take an end back that `revocations add` has written: the row stays, and ends nothing any more',
    )
    .argument('<id>', 'id of its row')
    .option('--note <text>', 'for those who ask later why', parseNote)
    .addHelpText(
      'after',
      examples('gatehouse revocations lift 0c1d2e3f-4a5b-4c6d-8e7f-901a2b3c4d5e --note "laptop found"'),
    )
    .action(async (id: string, { note = null }: { note?: string | null }) => {
      await withDatabase(async (database) => {
        if (!isUuid(id)) throw noRevocation(id);
        const { isRestored } = await refusing(() => liftRevocation(database, id, findActor(), note));
        const state = isRestored
          ? 'is ended by nothing else'
          : 'stays dead: it has expired, or something else has ended it';
        print({ restored: isRestored ? 1 : 0 }, `the end is lifted; what it had ended ${state}`);
      });
    });
}

function noRevocation(id: string): Refusal {
  return new Refusal(`there is no revocation ${toId(id)}: see \`gatehouse revocations find\``);
}

function definePrune(revocations: Command, { withDatabase, print }: Shell): void {
  revocations
    .command('prune')
    .description(
      'delete revocations, sessions and codes that can no longer matter, and what is left of deleted users; the service does so by itself',
    )
    .action(async () => {
      await withDatabase(async (database) => {
        const others = (await pruneDeletedUsers(database)) + (await pruneCodes(database));
        const rows = others + (await prune(database, { waitTurn: true }));
        print({ pruned: rows }, `${rows} ${rows === 1 ? 'row' : 'rows'} went`);
      });
    });
}
