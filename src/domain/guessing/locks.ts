/** Until when an account is locked: somebody, or everybody, has used up the attempts at its password. */
import type { Database } from '../../database/prisma.js';
import { accountOf } from './guesses.js';
import { LOGIN_LIMITS } from './throttle.js';

/** The budgets of an account, whatever network an attempt comes from. */
const BUDGETS = ['account', 'familiarAccount'] as const;

/**
 * Of those accounts that are locked, by name: when the next attempt is let in for everybody. An attempt that is under way counts like
 * a wrong one. One network that has used up its own attempts locks nobody else out, and is not looked at.
 *
 * @param usernames canonical
 */
export async function findLocks(
  database: Database,
  usernames: readonly string[],
): Promise<ReadonlyMap<string, Date>> {
  if (usernames.length === 0) return new Map();
  const budgets = usernames.flatMap((username) =>
    BUDGETS.map((name) => ({
      username,
      key: `${name}:${accountOf(username)}`,
      most: LOGIN_LIMITS[name].points,
    })),
  );
  const rows = await database.query({ username: 'text', untilMs: 'float8' })`
    SELECT budgets.username, max(expire)::float8 AS "untilMs"
    FROM unnest(
      ${budgets.map(({ username }) => username)}::text[], ${budgets.map(({ key }) => key)}::text[],
      ${budgets.map(({ most }) => most)}::int4[]
    ) AS budgets (username, key, most)
    JOIN login_attempts ON login_attempts.key = budgets.key
    WHERE points >= most AND expire > ${Date.now()}::float8::bigint
    GROUP BY budgets.username`;
  return new Map(rows.map(({ username, untilMs }) => [username, new Date(untilMs)]));
}
