/** `gatehouse revocations add`: ends what has leaked. */
import { InvalidArgumentError, Option, type Command } from 'commander';

import {
  DEFAULT_MAX_SESSIONS,
  end,
  MOST_ENDED,
  MOST_NAMED,
  type Doomed,
} from '../domain/operators/endings.js';
import { DEFAULT_REASON, REASON } from '../domain/operators/notes.js';
import { showEnding, showForeseen } from '../domain/operators/shown.js';
import { isJti, parseJti } from '../domain/tokens/claims.js';
import { parseClientId } from './client-options.js';
import {
  collectIds,
  findActor,
  parseCountTo,
  parseNetwork,
  parseNote,
  parseTime,
  refusing,
} from './options.js';
import { examples, Refusal, toTable } from './output.js';
import type { Shell } from './shell.js';

interface AddOptions {
  sessionId?: string[];
  userId?: string[];
  jti?: string;
  tokenStdin?: true;
  ip?: string[];
  clientId?: string;
  since?: Date;
  until?: Date;
  all?: true;
  openedBefore?: Date | 'now';
  dryRun?: true;
  maxSessions?: number;
  reason: string;
  note?: string;
}

export function defineAdd(revocations: Command, { withDatabase, print, stdin }: Shell): void {
  revocations
    .command('add')
    .description('end sessions and tokens at once, on every replica; all that is named, or nothing')
    .option('--session-id <id>', 'a session; repeat it for several', collectIds)
    .option('--user-id <id>', 'every session of a user, for good; repeat it for several', collectIds)
    .option(
      '--jti <jti>',
      'the tokens of this `jti`: of an access token its lineage, of a refresh token its session',
      parseTypedJti,
    )
    .option(
      '--token-stdin',
      'the same of a token that is read from standard input; its signature is not looked at',
    )
    .option(
      '--ip <network>',
      'sessions opened from an address or a CIDR range, with --since and --until',
      parseNetwork,
    )
    .option('--client-id <id>', 'sessions that a client has opened, with --since and --until', parseClientId)
    .option('--since <time>', 'with --ip or --client-id: opened from here on', parseTime)
    .option('--until <time>', 'with --ip or --client-id: opened before', parseTime)
    .option('--all', 'sessions of everybody, for good, with --opened-before')
    .option('--opened-before <time>', 'with --all: a time that has passed, or now', parsePast)
    .option('--dry-run', 'end nothing, and show what would end')
    .addOption(
      new Option(
        '--max-sessions <count>',
        `with more sessions nothing ends: ${DEFAULT_MAX_SESSIONS} by default, none with --user-id and --all`,
      ).argParser(parseCountTo(MOST_ENDED)),
    )
    .addOption(
      new Option('--reason <word>', 'one word, for lists').argParser(parseReason).default(DEFAULT_REASON),
    )
    .option('--note <text>', 'for those who ask later why', parseNote)
    .addHelpText(
      'after',
      '\nWhat is ended by --session-id, --ip, --client-id, --jti or --token-stdin can be lifted.\n' +
        examples(
          'gatehouse revocations add --ip 198.51.100.0/24 --since 2026-11-30T15:00:00Z --until 2026-11-30T18:00:00Z --dry-run',
          'gatehouse revocations add --session-id 019b1c2d-3e4f-7a5b-8c6d-7e8f9a0b1c2d --note "laptop lost"',
          'gatehouse revocations add --all --opened-before now',
        ),
    )
    .action(async (options: AddOptions) => {
      const doomed = await readDoomed(options, stdin);
      const isDryRun = options.dryRun ?? false;
      await withDatabase(async (database) => {
        const outcome = await refusing(() =>
          end(database, doomed, {
            actor: findActor(),
            reason: options.reason,
            note: options.note ?? null,
            maxSessions: options.maxSessions ?? null,
            isDryRun,
          }),
        );
        const { sessions, users, tokens, isMore, sample } = outcome;
        const number = `${isMore ? 'more than ' : ''}${sessions} ${sessions === 1 ? 'session' : 'sessions'}`;
        const what = `${number} of ${users} ${users === 1 ? 'user' : 'users'}${tokens > 0 ? ', and the tokens of one jti' : ''}`;
        if (!isDryRun) print(showEnding(outcome), `${what}: ended\nending id: ${outcome.endingId}`);
        else {
          const shown = showForeseen(outcome);
          print(shown, `${what}: would end${sample.length === 0 ? '' : `\n${toTable(shown.sample, '')}`}`);
        }
      });
    });
}

const WAYS = '--session-id, --user-id, --jti, --token-stdin, --ip, --client-id, --all';

async function readDoomed(
  options: AddOptions,
  stdin: Shell['stdin'],
): Promise<Exclude<Doomed, { token: unknown }>> {
  const { sessionId, userId, jti, tokenStdin, ip, clientId, since, until, all, openedBefore } = options;
  const ways = [sessionId, userId, jti, tokenStdin, ip, clientId, all].filter((way) => way !== undefined);
  const refuse = (line: string) => new Refusal(line, { isWrongUsage: true });
  if (ways.length !== 1) throw refuse(`name exactly one of ${WAYS}`);
  if ((sessionId ?? userId ?? []).length > MOST_NAMED) throw refuse(`name at most ${MOST_NAMED} at once`);
  if ((ip ?? clientId) === undefined && (since ?? until) !== undefined)
    throw refuse('--since and --until go with --ip or --client-id');
  if ((all === undefined) !== (openedBefore === undefined))
    throw refuse('--all and --opened-before go together');
  if (sessionId !== undefined) return { sessionIds: sessionId };
  if (userId !== undefined) return { userIds: userId };
  if (jti !== undefined) return { lineage: parseJti(jti).lineage };
  if (tokenStdin === true) return { lineage: parseJti(await readJti(stdin)).lineage };
  if (openedBefore !== undefined) return { openedBefore: openedBefore === 'now' ? null : openedBefore };
  if (since === undefined || until === undefined)
    throw refuse(`${ip === undefined ? '--client-id' : '--ip'} wants --since and --until beside it`);
  if (since >= until) throw refuse('--until must be later than --since');
  if (clientId !== undefined) return { clientId, since, until };
  return { networks: ip ?? [], since, until };
}

function parseTypedJti(text: string): string {
  if (isJti(text)) return text;
  throw new InvalidArgumentError('It is the claim `jti` of a token: a UUID, a dot and a number.');
}

/** A token is a secret: it does not belong into a history of commands. */
async function readJti(stdin: Shell['stdin']): Promise<string> {
  if (stdin.isTTY === true)
    throw new Refusal('--token-stdin reads from a pipe or a file, as in `… --token-stdin < token.txt`', {
      isWrongUsage: true,
    });
  let text = '';
  for await (const chunk of stdin) text += String(chunk);
  try {
    const payload = Buffer.from(text.trim().split('.')[1] ?? '', 'base64url').toString();
    const { jti } = JSON.parse(payload) as { jti?: unknown };
    if (typeof jti === 'string' && isJti(jti)) return jti;
  } catch {
    // What cannot be read is no token.
  }
  throw new Refusal('standard input holds no token of Gatehouse', { isWrongUsage: true });
}

function parsePast(text: string): Date | 'now' {
  return text === 'now' ? text : parseTime(text);
}

function parseReason(text: string): string {
  if (REASON.test(text)) return text;
  throw new InvalidArgumentError('It is one word of small letters, digits and underscores.');
}
