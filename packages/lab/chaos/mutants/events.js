// @ts-check
// Mutants of events: one that is left out, and one of nothing.
import { LEAVING } from './profiles.js';

/** @typedef {import('../mutants.js').Mutant} Mutant */

/** @type {Mutant} */
export const eventMissing = {
  name: 'event-missing',
  sentence: 'A session that a client ends by its refresh token ends without an event.',
  patches: [
    {
      file: 'domain/sessions/endings.js',
      find: `where: sql \`ended.stood\`,`,
      replace: `where: sql \`ended.stood AND told.reason <> 'revoked'\`,`,
    },
  ],
  hunt: { profile: LEAVING },
};

/** @type {Mutant} */
export const eventOfNothing = {
  name: 'event-of-nothing',
  sentence: 'A session that has ended ends once more for the events, whenever somebody asks for it.',
  patches: [
    {
      file: 'domain/sessions/endings.js',
      find: `    from: sql \`ended JOIN noted ON noted.id = ended.id\`,
    where: sql \`ended.stood\`,`,
      replace: `    from: sql \`ended\`,`,
    },
  ],
  hunt: { profile: LEAVING },
};
