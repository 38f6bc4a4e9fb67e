// @ts-check
// Mutants that the tests catch and no hunt does: each says which tests, and why no client of the proof would see it.
import { FAMILIES, STEALING } from './profiles.js';

/** @typedef {import('../mutants.js').Mutant} Mutant */

/**
 * Tests: test/domain/fence.test.ts, test/system/faults/promotion.test.ts. The proof would have to reach a primary that was replaced and runs on,
 * while the service has connections to both: `chaos:promotion` kills it.
 *
 * @type {Mutant}
 */
export const fenceIgnored = {
  name: 'fence-ignored',
  sentence: 'A primary that was replaced is believed as long as it answers.',
  patches: [
    {
      file: 'database/fence.js',
      find: `        const known = highest.get(server.identifier) ?? 0;`,
      replace: `        const known = 0;`,
    },
    {
      file: 'database/fence.js',
      find: `        breakOff((other) =>`,
      replace: `        void ((other) =>`,
    },
  ],
  hunt: { profile: STEALING },
};

/**
 * Tests: test/http/races/logouts.test.ts. What the number says is promised for calls that do not overlap with others, and clients of the proof are
 * many at once.
 *
 * @type {Mutant}
 */
export const countBeforeRaise = {
  name: 'count-before-raise',
  sentence:
    '`/logout-all` counts the sessions first, and then raises the epoch: two at once count the same ones.',
  patches: [
    {
      file: 'domain/sessions/endings.js',
      find: `export async function endAllSessions(database, asked, { exceptCurrent }, trail) {
    const { userId, sid } = asked;`,
      replace: `export async function endAllSessions(database, asked, { exceptCurrent, counted }, trail) {
    const { userId, sid } = asked;
    if (typeof counted !== 'number') counted = (await database.query({ ended: 'int4' }) \`
    SELECT count(*)::int4 AS ended
    FROM users, service, LATERAL (
      SELECT FROM \${LATEST_OF_USER} AS sessions
      WHERE sessions.expires_at > clock_timestamp() AND \${STANDS}
        AND NOT (\${exceptCurrent}::boolean AND sessions.id = \${sid}::uuid)
      LIMIT \${ONE_TOO_MANY}::int4
    ) AS doomed
    WHERE users.id = \${userId}::uuid\`)[0]?.ended;`,
    },
    {
      file: 'domain/sessions/endings.js',
      find: `        return toEnded(row.ended);`,
      replace: `        return toEnded(counted);`,
    },
    {
      file: 'domain/sessions/endings.js',
      find: `await endAllSessions(database, asked, { exceptCurrent }, trail)`,
      replace: `await endAllSessions(database, asked, { exceptCurrent, counted }, trail)`,
    },
  ],
  hunt: { profile: FAMILIES },
};
