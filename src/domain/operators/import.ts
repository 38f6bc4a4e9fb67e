/** Users of another system, added many at once with the hashes that it has made of their passwords. */
import { MAX_TOKEN_CHARACTERS } from '@gatehouse/protocol';
import { v7 as uuidv7 } from 'uuid';

import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import { eventOf, recorded } from '../events/recorded.js';
import type { Trail } from '../reports/told.js';
import { mapInPortions } from '../scheduling/portions.js';
import type { TokenRules } from '../tokens/claims.js';
import { fitsIntoTokens } from '../tokens/length.js';
import { readImportLine, type ImportedUser, type WrongLine } from '../users/import-line.js';
import type { ImportLine } from './import-lines.js';

/** A line that has added nobody. */
export interface RefusedLine extends WrongLine {
  line: number;
  error: 'invalid_request' | 'username_taken';
}

export interface Imported {
  created: number;
  /** In the order of the lines. */
  refused: RefusedLine[];
}

interface NumberedUser extends ImportedUser {
  line: number;
}

/** Lines between two turns of others: a hostile user name, of marks in the worst order, takes 10 ms to put right. */
const PORTION = 1;

const TOO_LONG = `Tokens of this user would be longer than ${MAX_TOKEN_CHARACTERS} characters`;

/**
 * Adds a user for each line that is right, all of them or, where the statement fails, none. A user who is there stays as he is.
 *
 * @param lines at most {@link MOST_LINES}; others of the process have turns while they are read
 * @param by the actor, as it stands in rows
 */
export async function importUsers(
  database: Database,
  lines: readonly ImportLine[],
  by: string,
  rules: Pick<TokenRules, 'issuer' | 'audience'>,
  trail?: Trail,
): Promise<Imported> {
  const refused: RefusedLine[] = [];
  const users = new Map<string, NumberedUser>();
  const refuse = (line: number, error: RefusedLine['error'], member: string | null, message: string) =>
    refused.push({ line, error, member, message });

  const read = ({ line, text }: ImportLine) => {
    const reading = readImportLine(text);
    if ('wrong' in reading)
      return refuse(line, 'invalid_request', reading.wrong.member, reading.wrong.message);
    const { user } = reading;
    if (!fitsIntoTokens(user, rules)) return refuse(line, 'invalid_request', 'scope', TOO_LONG);
    const earlier = users.get(user.username);
    if (earlier !== undefined)
      return refuse(line, 'username_taken', 'username', `The line ${earlier.line} has this user name`);
    return users.set(user.username, { ...user, line });
  };
  await mapInPortions(lines, read, PORTION);

  const outcomes = users.size === 0 ? [] : await insert(database, [...users.values()], by, trail);
  for (const { line, isFuture, isCreated } of outcomes) {
    if (isFuture) refuse(line, 'invalid_request', 'created_at', 'The time lies in the future');
    else if (!isCreated)
      refuse(line, 'username_taken', 'username', 'There is a user of this name, who stays as before');
  }
  return {
    created: outcomes.filter(({ isCreated }) => isCreated).length,
    refused: refused.sort((one, other) => one.line - other.line),
  };
}

const USERS_IMPORTED = eventOf({
  from: sql`counted`,
  where: sql`counted.users > 0`,
  detail: sql`jsonb_build_object('users', counted.users)`,
});

async function insert(
  database: Database,
  users: NumberedUser[],
  by: string,
  trail: Trail | undefined,
): Promise<{ line: number; isCreated: boolean; isFuture: boolean }[]> {
  const rows = users.map((user) => ({
    line: user.line,
    id: uuidv7(),
    username: user.username,
    password_hash: user.passwordHash,
    scope: user.scope,
    created_at: user.createdAt?.toISOString(),
    is_disabled: user.isDisabled,
  }));
  // Settles two additions of one name: the unique index lets one in, and the other waits for it. Two imports of the same names insert
  // them in one order, so that neither waits for the other at the same time.
  return await database.query({ line: 'int4', isCreated: 'bool', isFuture: 'bool' })`
    WITH clock AS MATERIALIZED (
      SELECT date_trunc('milliseconds', clock_timestamp()) AS now
    ), given AS MATERIALIZED (
      SELECT * FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS given (
        line int4, id uuid, username text, password_hash text, scope text, created_at timestamptz, is_disabled boolean
      )
    ), imported AS (
      INSERT INTO users (id, username, password_hash, scope, created_at, disabled_at)
      SELECT id, username, password_hash, scope, coalesce(created_at, now), CASE WHEN is_disabled THEN now END
      FROM given, clock
      WHERE created_at IS NULL OR created_at <= now
      ORDER BY username COLLATE "C"
      ON CONFLICT (username) DO NOTHING
      RETURNING id
    ), counted AS (
      SELECT now, (SELECT count(*) FROM imported) AS users FROM clock
    )${recorded(database, USERS_IMPORTED, { type: 'user.imported', actor: by }, trail)}
    SELECT given.line, imported.id IS NOT NULL AS "isCreated", coalesce(given.created_at > clock.now, false) AS "isFuture"
    FROM clock, given LEFT JOIN imported ON imported.id = given.id`;
}
