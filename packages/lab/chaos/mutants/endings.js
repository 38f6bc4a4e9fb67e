// @ts-check
// Mutants of how things end: ends that are claimed, forgotten, pruned away, or met by a login that looks the other way.
import { AGEING, FAMILIES, LEAVING, OPERATING, RENEWING, REVOKING, STRANGE } from './profiles.js';

/** @typedef {import('../mutants.js').Mutant} Mutant */

/** @type {Mutant} */
export const logoutInAnyCase = {
  name: 'logout-in-any-case',
  sentence: 'A logout that the database did not answer is answered with 204.',
  patches: [
    {
      file: 'http/routes/logout.js',
      find: `            throw failure;`,
      replace: `            refuseOnly(failure);`,
    },
    {
      file: 'http/routes/logout.js',
      find: `export const logoutRoute = `,
      replace: `function refuseOnly(error) {
    if (error instanceof AuthError)
        throw error;
}
export const logoutRoute = `,
    },
  ],
  hunt: { profile: LEAVING, faults: ['black-hole', 'cut'] },
};

/** @type {Mutant} */
export const loginWithoutEpoch = {
  name: 'login-without-epoch',
  sentence:
    'A login opens its session under the epoch of that moment, not the one that was read with the hash.',
  patches: [
    {
      file: 'domain/sessions/sessions.js',
      find: `users.id, proved.epoch, greatest(`,
      replace: `users.id, users.epoch + service.epoch, greatest(`,
    },
    {
      file: 'domain/sessions/sessions.js',
      find: `        WHERE users.id = \${user.id}::uuid AND \${USER_IS_ENABLED} AND \${PROVED_EPOCH_IS_IN_FORCE}\n`,
      replace: `        WHERE users.id = \${user.id}::uuid\n`,
    },
  ],
  hunt: { profile: OPERATING },
};

/** @type {Mutant} */
export const hastyCommit = {
  name: 'hasty-commit',
  sentence: 'Commits are acknowledged before they are on disk (`synchronous_commit=off`).',
  patches: [
    {
      file: 'database/settings.js',
      find: `    synchronous_commit: 'on',`,
      replace: `    synchronous_commit: 'off',`,
    },
  ],
  hunt: { profile: LEAVING, faults: ['kill-postgres'], killsPostgres: true },
};

/** @type {Mutant} */
export const earlyPruning = {
  name: 'early-pruning',
  sentence: "Revocations and sessions are pruned at the access token's `exp`.",
  patches: [
    {
      file: 'domain/sessions/revocations.js',
      find: `to_timestamp(\${claims.session_exp}::float8) + \${RETENTION})`,
      replace: `to_timestamp(\${claims.exp}::float8))`,
    },
    {
      file: 'domain/sessions/revocations.js',
      find: `        WHERE expires_at <= (SELECT now FROM clock) - \${RETENTION}
          AND date_bin('10 minutes', expires_at, 'epoch') <= (SELECT now FROM clock) - \${RETENTION}`,
      replace: `        WHERE rotated_at <= (SELECT now FROM clock) - interval '30 seconds'`,
    },
  ],
  hunt: { profile: AGEING, count: 24, leastSeconds: 30 },
};

/** @type {Mutant} */
export const earlyForgetting = {
  name: 'early-forgetting',
  sentence: "Revocations alone are pruned at the access token's `exp`, when its successor still lives.",
  patches: [
    {
      file: 'domain/sessions/revocations.js',
      find: `to_timestamp(\${claims.session_exp}::float8) + \${RETENTION})`,
      replace: `to_timestamp(\${claims.exp}::float8))`,
    },
  ],
  hunt: { profile: REVOKING, count: 24, leastSeconds: 30 },
};

/** @type {Mutant} */
export const anyoneEnds = {
  name: 'anyone-ends',
  sentence: '`DELETE /sessions/:id` ends the session of that id, whose ever it is.',
  patches: [
    {
      file: 'domain/gatehouse.js',
      find: `endSession(database, { sid, userId }, ending, null, trail)`,
      replace: `endSession(database, { sid, userId: null }, ending, null, trail)`,
    },
  ],
  hunt: { profile: STRANGE },
};

/** @type {Mutant} */
export const disablingAlone = {
  name: 'disabling-alone',
  sentence: 'Disabling a user leaves the epoch as it is: enabling brings the old sessions back.',
  patches: [
    {
      file: 'domain/users/users.js',
      find: `        epoch = epoch + 1,`,
      replace: `        epoch = CASE WHEN \${change.isDisabling}::boolean THEN epoch ELSE epoch + 1 END,`,
    },
  ],
  hunt: { profile: OPERATING },
};

/** @type {Mutant} */
export const everyoneKept = {
  name: 'everyone-kept',
  sentence: '`except_current` keeps all sessions of the user, not the one that asks.',
  patches: [
    {
      file: 'domain/sessions/endings.js',
      find: `      WHERE \${exceptCurrent}::boolean AND sessions.id = \${sid}::uuid\n`,
      replace: `      WHERE \${exceptCurrent}::boolean AND sessions.user_id = caller.id
        AND sessions.epoch = (SELECT epoch FROM sessions AS asking WHERE asking.id = \${sid}::uuid)\n`,
    },
  ],
  hunt: { profile: FAMILIES },
};

/** @type {Mutant} */
export const oldSessionKept = {
  name: 'old-session-kept',
  sentence: "A user's own new password ends all sessions but the one that asked for it.",
  patches: [
    {
      file: 'domain/passwords/replacement.js',
      find: `UPDATE sessions SET ended_at = now, succeeded_by = opened.id`,
      replace: `UPDATE sessions SET epoch = sessions.epoch + 1`,
    },
  ],
  hunt: { profile: RENEWING },
};
