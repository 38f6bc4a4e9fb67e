/** What operators see of the counting: until when an account is locked, and what is kept about it. */
import type { Database } from '../../database/prisma.js';
import { accountOf, rowsOf } from './guesses.js';
import { LOGIN_LIMITS } from './throttle.js';

/** The budgets of an account, which attempts from every network use up. */
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

/** Attempts at the password of one account that were wrong, or are under way. */
export interface CountedAttempts {
  /** Which of {@link LOGIN_LIMITS} they are counted for. */
  limit: string;
  attempts: number;
  until: Date;
}

/**
 * What is counted of one account, and until when each network is remembered that its user logged in from.
 *
 * @param username canonical
 */
export async function findAttempts(
  database: Database,
  username: string,
): Promise<{ attempts: CountedAttempts[]; knownNetworks: Date[] }> {
  const { account, keys } = rowsOf(username);
  const rows = await database.query({ limit: 'text', attempts: 'int4', untilMs: 'float8' })`
    SELECT split_part(key, ':', 1) AS limit, points AS attempts, expire::float8 AS "untilMs"
    FROM login_attempts
    WHERE (key = ANY (${keys}::text[]) OR account = ${account}::text) AND expire > ${Date.now()}::float8::bigint
    ORDER BY expire, key`;
  const shown = rows.map(({ untilMs, ...row }) => ({ ...row, until: new Date(untilMs) }));
  // The points of a familiar row are no number, but a part of a hash.
  const isFamiliar = ({ limit }: CountedAttempts) => limit === 'familiar';
  return {
    attempts: shown.filter((row) => !isFamiliar(row)),
    knownNetworks: shown.filter(isFamiliar).map(({ until }) => until),
  };
}
