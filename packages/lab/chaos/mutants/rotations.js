// @ts-check
// Mutants of the refresh: rotations that race, windows that forgive too much, theft that goes unpunished.
import { KEEPING, STEALING } from './profiles.js';

/** @typedef {import('../mutants.js').Mutant} Mutant */

/** @type {Mutant} */
export const readThenWrite = {
  name: 'read-then-write',
  sentence: 'A rotation reads the row, decides, and then writes it.',
  patches: [
    {
      file: 'domain/sessions/sessions.js',
      find: `    const rows = await database.prepared('rotate_session', {`,
      replace: `    const findSession = database.prepared('find_session', { generation: 'int4', rotatedAt: 'float8', now: 'float8' });
    const [found] = await findSession \`
    SELECT generation, extract(epoch FROM rotated_at)::float8 AS "rotatedAt",
           extract(epoch FROM clock_timestamp())::float8 AS now
    FROM sessions WHERE id = \${claims.sid}::uuid\`;
    const isCurrent = found?.generation === generation && claims.exp > found.now;
    const isTheft = found?.generation > generation && !(found.now <= found.rotatedAt + rules.replayWindowSeconds);
    const rows = await database.prepared('rotate_session', {`,
    },
    {
      file: 'domain/sessions/sessions.js',
      find: `        generation = CASE
          WHEN succeeded_by IS NULL AND NOT is_held AND generation = \${generation}::int4 AND to_timestamp(\${claims.exp}::float8) > now
          THEN generation + 1 ELSE generation END,
        rotated_at = CASE
          WHEN succeeded_by IS NULL AND NOT is_held AND generation = \${generation}::int4 AND to_timestamp(\${claims.exp}::float8) > now
          THEN now ELSE rotated_at END,
        refresh_expires_at = CASE
          WHEN succeeded_by IS NULL AND NOT is_held AND generation = \${generation}::int4 AND to_timestamp(\${claims.exp}::float8) > now
          THEN`,
      replace: `        generation = CASE WHEN \${isCurrent}::boolean THEN generation + 1 ELSE generation END,
        rotated_at = CASE WHEN \${isCurrent}::boolean THEN now ELSE rotated_at END,
        refresh_expires_at = CASE WHEN \${isCurrent}::boolean
          THEN`,
    },
    {
      file: 'domain/sessions/sessions.js',
      find: `        ended_at = CASE
          WHEN succeeded_by IS NOT NULL THEN ended_at
          WHEN generation > \${generation}::int4 AND (replay_window = '0' OR (now > \${WINDOW_ENDS} AND \${IS_ANSWERING}))
          THEN now END`,
      replace: `        ended_at = CASE
          WHEN succeeded_by IS NOT NULL THEN ended_at
          WHEN \${isTheft}::boolean THEN now END`,
    },
    {
      file: 'domain/sessions/sessions.js',
      find: `    if (session.generation === generation + 1 && !isLate)`,
      replace: `    if (isCurrent || (session.generation === generation + 1 && !isLate))`,
    },
  ],
  hunt: { profile: KEEPING },
};

/** @type {Mutant} */
export const forgivenGrandparent = {
  name: 'forgiven-grandparent',
  sentence: 'Within the window the grandparent of the current refresh token is forgiven too.',
  patches: [
    {
      file: 'domain/sessions/sessions.js',
      find: `    if (session.generation === generation + 1 && !isLate)`,
      replace: `    if ((session.generation === generation + 1 || session.generation === generation + 2) && !isLate)`,
    },
  ],
  hunt: { profile: KEEPING },
};

/** @type {Mutant} */
export const unpunishedTheft = {
  name: 'unpunished-theft',
  sentence: 'A replay after the window is taken like one within it, and ends nothing.',
  patches: [
    {
      file: 'domain/sessions/sessions.js',
      find: `(now > \${WINDOW_ENDS} AND \${IS_ANSWERING}))
          THEN now END`,
      replace: `(now > \${WINDOW_ENDS} AND \${IS_ANSWERING}))
          THEN ended_at END`,
    },
    {
      file: 'domain/sessions/sessions.js',
      find: `    if (session.generation === generation + 1 && !isLate)`,
      replace: `    if (session.generation === generation + 1)`,
    },
  ],
  hunt: { profile: STEALING, leastSeconds: 10 },
};

/** @type {Mutant} */
export const errorMeansRefused = {
  name: 'error-means-refused',
  sentence: 'A refresh that the database did not answer is refused with 401.',
  patches: [
    {
      file: 'domain/sessions/logins.js',
      find: `                const rotation = await rotateSession(database, token, keysVersion, rules, trail);`,
      replace: `                const rotation = await rotateSession(database, token, keysVersion, rules, trail).catch(() => ({
                    verdict: 'dead',
                }));`,
    },
  ],
  hunt: { profile: KEEPING, faults: ['black-hole', 'cut'] },
};
