/** `gatehouse sessions`: where a user is logged in, and how an operator ends it. */
import type { Command } from 'commander';

import { endSession } from '../domain/sessions/endings.js';
import { listSessions } from '../domain/sessions/listed.js';
import { isUuid } from '../domain/tokens/claims.js';
import { findUser } from '../domain/users/users.js';
import { examples, Refusal, toId, toLine, toTable } from './output.js';
import type { Shell } from './shell.js';

export function defineSessions(sessions: Command, shell: Shell): void {
  defineList(sessions, shell);
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
        const rows = (await listSessions(database, user.id)).map((session) => ({
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

function defineEnd(sessions: Command, { withDatabase, print }: Shell): void {
  sessions
    .command('end')
    .description('end one session with all its tokens; one that has ended already counts as done')
    .argument('<id>', 'id of the session, the `sid` of its tokens')
    .addHelpText('after', examples('gatehouse sessions end 019b1c2d-3e4f-7a5b-8c6d-7e8f9a0b1c2d'))
    .action(async (id: string) => {
      await withDatabase(async (database) => {
        const ending = { reason: 'session_ended', actor: 'operator' } as const;
        if (!isUuid(id) || !(await endSession(database, { sid: id, sub: null }, ending, null)).isKnown) {
          throw new Refusal(
            `there is no session ${toId(id)}: see \`gatehouse sessions list NAME\`, or the claim sid of a token`,
          );
        }
        print({ id }, `the session ${id} has ended`);
      });
    });
}
