/** `gatehouse events`: who did what, when and from where. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Option, type Command } from 'commander';

import { EVENT_TYPES, type EventType } from '../domain/events/recorded.js';
import { findEvents, followEvents, OVERLAP_SECONDS } from '../domain/operators/events.js';
import { showEvent } from '../domain/operators/shown.js';
import { parseId, parseTime, refusing, takePage, type PageOptions } from './options.js';
import { examples, toLine, toPage, type Row } from './output.js';
import type { Shell } from './shell.js';

/** Between two looks. */
const LOOKS_EVERY_MS = 1000;

export function defineEvents(events: Command, shell: Shell): void {
  defineFind(events, shell);
  defineFollow(events, shell);
}

interface FindOptions extends PageOptions {
  userId?: string;
  actor?: string;
  type?: EventType;
  since?: Date;
  until?: Date;
}

function defineFind(events: Command, { withDatabase, print }: Shell): void {
  takePage(
    events
      .command('find')
      .description('find events, latest first, page by page')
      .addOption(new Option('--user-id <id>', 'about one user').argParser(parseId).conflicts('actor'))
      .option('--actor <actor>', 'by whom: user:ID, client:ID, cli:ACCOUNT or gatehouse')
      .addOption(new Option('--type <type>', 'of one type, such as session.opened').choices(EVENT_TYPES))
      .option('--since <time>', 'from here on', parseTime)
      .option('--until <time>', 'before', parseTime),
  )
    .addHelpText(
      'after',
      '\nOf one type a page may be shorter than asked for, even empty, and --after leads on.\n' +
        examples(
          'gatehouse events find --actor client:console --since 2026-11-30T00:00:00Z',
          'gatehouse events find --type user.disabled',
        ),
    )
    .action(async ({ limit, after = null, ...options }: FindOptions) => {
      const { userId = null, actor = null, type = null, since = null, until = null } = options;
      await withDatabase(async (database) => {
        const filter = { userId, actor, type, since, until };
        const page = await refusing(() => findEvents(database, filter, { limit, after }));
        const shown = page.rows.map(showEvent);
        print({ events: shown, next: page.next }, toPage(shown.map(toRow), page.next, 'no events'));
      });
    });
}

function toRow({ detail, request_id: _request, ...event }: ReturnType<typeof showEvent>): Row {
  return { ...event, detail: detail === null ? null : JSON.stringify(detail) };
}

function defineFollow(events: Command, { withDatabase, print, isOver }: Shell): void {
  events
    .command('follow')
    .description('print new events as they come, one line each, until it is interrupted')
    .addHelpText(
      'after',
      `\nIt looks once a second. Events come in the order of their times, nearly: one whose commit takes longer is printed later,\nand one that takes more than ${OVERLAP_SECONDS} seconds may be missed. events find has them all.\n` +
        examples('gatehouse events follow --json'),
    )
    .action(async () => {
      await withDatabase(async (database) => {
        const readNew = followEvents(database);
        while (!isOver()) {
          for (const event of (await readNew()).map(showEvent)) print(event, toText(event));
          await sleep(LOOKS_EVERY_MS);
        }
      });
    });
}

function toText({ at, type, outcome, actor, ...rest }: ReturnType<typeof showEvent>): string {
  const { user_id: user, session_id: session, client_id: client, ip, reason, detail } = rest;
  const told = { user, session, client, ip, reason, detail: detail === null ? null : JSON.stringify(detail) };
  const members = Object.entries(told).flatMap(([name, value]) => (value === null ? [] : `${name}=${value}`));
  return toLine([at, type, outcome, actor, ...members].join('  '));
}
