/** `gatehouse sessions`: where a user is logged in, and how an operator ends it. */
import type { Command } from 'commander';

import { findSession, findSessions } from '../domain/operators/found-sessions.js';
import { showSession } from '../domain/operators/shown.js';
import { endSession } from '../domain/sessions/endings.js';
import { listSessions } from '../domain/sessions/listed.js';
import { isUuid } from '../domain/tokens/claims.js';
import { findUser } from '../domain/users/found.js';
import {
  findActor,
  parseId,
  parseNetwork,
  parseTime,
  refusing,
  takePage,
  type PageOptions,
} from './options.js';
import { examples, Refusal, toId, toJson, toLine, toPage, toRecord, toTable } from './output.js';
import type { Shell } from './shell.js';

export function defineSessions(sessions: Command, shell: Shell): void {
  defineList(sessions, shell);
  defineFind(sessions, shell);
  defineShow(sessions, shell);
  defineEnd(sessions, shell);
}

function defineList(sessions: Command, { withDatabase, print }: Shell): void {
  sessions
    .command('list')
    .description("list a user's living sessions, latest opened first")
    .argument('<name>', 'user name')
    .action(async (name: string) => {
      await withDatabase(async (database) => {
        const user = await findUser(database, name);
        if (user === null)
          throw new Refusal(`there is no user ${toLine(name)}: see \`gatehouse users list\``);
        const rows = (await listSessions(database, user.id, null)).map((session) => ({
          id: session.id,
          created_at: session.openedAt.toISOString(),
          last_used_at: session.rotatedAt.toISOString(),
          expires_at: session.expiresAt.toISOString(),
          ip: session.ip,
          user_agent: session.userAgent,
        }));
        print(rows, toTable(rows, 'no sessions'));
      });
    });
}

interface FindOptions extends PageOptions {
  userId?: string;
  ip?: string[];
  since?: Date;
  until?: Date;
}

function defineFind(sessions: Command, { withDatabase, print }: Shell): void {
  takePage(
    sessions
      .command('find')
      .description('find sessions of everybody, ended or not, latest opened first')
      .option('--user-id <id>', 'of one user', parseId)
      .option(
        '--ip <network>',
        'opened from an address or a CIDR range; with --since and --until',
        parseNetwork,
      )
      .option('--since <time>', 'opened from here on', parseTime)
      .option('--until <time>', 'opened before', parseTime),
  )
    .addHelpText(
      'after',
      '\nOf a network a page may be shorter than asked for, even empty, and --after leads on: it ends where 500,000 sessions were looked at.\n' +
        examples(
          'gatehouse sessions find --limit 10',
          'gatehouse sessions find --ip 198.51.100.0/24 --since 2026-11-30T15:00:00Z --until 2026-11-30T18:00:00Z',
        ),
    )
    .action(async ({ limit, after = null, ...options }: FindOptions) => {
      const { userId = null, ip: networks = null, since = null, until = null } = options;
      if (networks !== null && (since === null || until === null))
        throw new Refusal('--ip wants --since and --until beside it', { isWrongUsage: true });
      await withDatabase(async (database) => {
        const filter = { userId, networks, since, until };
        const page = await refusing(() => findSessions(database, filter, { limit, after }));
        const rows = page.rows.map(showSession);
        // What a client says of a session is longer than a line: `sessions show` has it.
        const short = rows.map(({ claims: _claims, ...row }) => row);
        print({ sessions: rows, next: page.next }, toPage(short, page.next, 'no sessions'));
      });
    });
}

function defineShow(sessions: Command, { withDatabase, print }: Shell): void {
  sessions
    .command('show')
    .description('show one session, ended or not')
    .argument('<id>', 'id of the session, the `sid` of its tokens')
    .action(async (id: string) => {
      await withDatabase(async (database) => {
        const session = isUuid(id) ? await findSession(database, id) : null;
        if (session === null)
          throw new Refusal(`there is no session ${toId(id)}, or its row is not kept any more`);
        const shown = showSession(session);
        const claims = shown.claims === null ? null : toJson(shown.claims);
        print(shown, toRecord({ ...shown, claims }));
      });
    });
}

function defineEnd(sessions: Command, { withDatabase, print }: Shell): void {
  sessions
    .command('end')
    .description('end one session with all its tokens; one that has ended already counts as done')
    .argument('<id>', 'id of the session, the `sid` of its tokens')
    .addHelpText('after', examples('gatehouse sessions end 019b1c2d-3e4f-7a5b-8c6d-7e8f9a0b1c2d'))
    .action(async (id: string) => {
      await withDatabase(async (database) => {
        const ending = { reason: 'session_ended', actor: findActor() } as const;
        if (!isUuid(id) || !(await endSession(database, { sid: id, userId: null }, ending, null)).isKnown) {
          throw new Refusal(
            `there is no session ${toId(id)}: see \`gatehouse sessions list NAME\`, or the claim sid of a token`,
          );
        }
        print({ id }, `the session ${id} has ended`);
      });
    });
}
