// @ts-check
// Mutants of what backends say, and of passwords that are given once more: users of two clients taken for one, old words, and a time that is
// told where it does not belong.
import { BACKED, CONFIRMING } from './profiles.js';

/** @typedef {import('../mutants.js').Mutant} Mutant */

/** @type {Mutant} */
export const subjectOfAnother = {
  name: 'subject-of-another',
  sentence:
    "The id of a backend's user is remembered by what the backend calls the user: that is the row of another client's user of the same name.",
  patches: [
    {
      file: 'domain/tokens/subjects.js',
      find: `    return uuidv5(subjectName(clientId, externalId), SUBJECT_NAMESPACE);`,
      replace: `    const known = remembered.get(externalId) ?? uuidv5(subjectName(clientId, externalId), SUBJECT_NAMESPACE);
    remembered.set(externalId, known);
    return known;`,
    },
    {
      file: 'domain/tokens/subjects.js',
      find: `export function subjectId(`,
      replace: `const remembered = new Map();
export function subjectId(`,
    },
  ],
  hunt: { profile: BACKED, count: 0 },
};

/** @type {Mutant} */
export const oldClaimsRefreshed = {
  name: 'old-claims-refreshed',
  sentence:
    'What a backend says of a session is remembered by the session: `/refresh` mints with the words of before a change, and the number of now.',
  patches: [
    {
      file: 'domain/tokens/minting.js',
      find: `const claims = session.claims === null ? null : readClaims(session.claims);`,
      replace: `const claims = session.claims === null ? null : (remembered.get(session.id) ?? readClaims(session.claims));
    remembered.set(session.id, claims);`,
    },
    {
      file: 'domain/tokens/minting.js',
      find: `export function mintAccess(`,
      replace: `const remembered = new Map();
export function mintAccess(`,
    },
  ],
  hunt: { profile: BACKED, count: 0 },
};

/** @type {Mutant} */
export const leakedStepUp = {
  name: 'leaked-step-up',
  sentence:
    'When the password was given once more is remembered by the session: `/refresh` tells of that time, too.',
  patches: [
    {
      file: 'domain/sessions/pairs.js',
      find: `const access = mintAccess(session, rules, authTime);`,
      replace: `if (authTime !== undefined)
            steppedUp.set(session.id, authTime);
        const access = mintAccess(session, rules, steppedUp.get(session.id));`,
    },
    {
      file: 'domain/sessions/pairs.js',
      find: `    function signAccess(`,
      replace: `    const steppedUp = new Map();
    function signAccess(`,
    },
  ],
  hunt: { profile: CONFIRMING },
};
