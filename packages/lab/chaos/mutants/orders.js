// @ts-check
// Mutants of what administrators do: ends by half, lifts that give too much back, scopes that outlive their change, and users their deletion.
import { ADMINISTERED, DELETING, RESCOPED } from './profiles.js';

/** @typedef {import('../mutants.js').Mutant} Mutant */

/** @type {Mutant} */
export const liftRevivesLogout = {
  name: 'lift-revives-logout',
  sentence: 'A lift takes back every end of the session by itself, a logout too.',
  patches: [
    {
      file: 'domain/operators/lift.js',
      find: `      RETURNING revocations.id, revocations.kind, revocations.target, revocations.user_id, revocations.ending_id
    )`,
      replace: `      RETURNING revocations.id, revocations.kind, revocations.target, revocations.user_id, revocations.ending_id
    ), others AS (
      UPDATE revocations SET lifted_at = now FROM lifted, clock WHERE revocations.id = lifted.target
    ), revived AS (
      UPDATE sessions SET ended_at = NULL FROM lifted WHERE sessions.id = lifted.target
    )`,
    },
  ],
  hunt: { profile: ADMINISTERED },
};

/** @type {Mutant} */
export const bulkByHalf = {
  name: 'bulk-by-half',
  sentence: 'An order that names many writes the first half of its rows, and answers with the number of all.',
  patches: [
    {
      file: 'domain/operators/endings.js',
      find: `      WHERE NOT asked.is_dry_run AND NOT verdict.is_refused
      RETURNING \${WRITTEN}`,
      replace: `      WHERE NOT asked.is_dry_run AND NOT verdict.is_refused
      LIMIT (SELECT (count(*) + 1) / 2 FROM doomed)
      RETURNING \${WRITTEN}`,
    },
  ],
  hunt: { profile: ADMINISTERED },
};

/** @type {Mutant} */
export const oldScopeRenewed = {
  name: 'old-scope-renewed',
  sentence:
    'Another scope of a user leaves the number of its claims as it is: access tokens of before live, and are reissued with the old one.',
  patches: [
    {
      file: 'domain/operators/users.js',
      find: `const isSame = username === before.username && scope === before.scope;`,
      replace: `const isSame = username === before.username;`,
    },
  ],
  hunt: { profile: RESCOPED },
};

/** @type {Mutant} */
export const deletedAlive = {
  name: 'deleted-alive',
  sentence:
    'A deleted user keeps the epoch, and liveness does not mind the deletion: tokens live until their rows are gone.',
  patches: [
    {
      file: 'domain/operators/deletion.js',
      find: `scope = '', epoch = epoch + 1,`,
      replace: `scope = '', epoch = epoch,`,
    },
    {
      file: 'domain/sessions/standing.js',
      find: `users.id = sessions.user_id AND \${USER_IS_ENABLED}\n`,
      replace: `users.id = sessions.user_id AND (\${USER_IS_ENABLED} OR \${IS_DELETED})\n`,
    },
  ],
  hunt: { profile: DELETING },
};
