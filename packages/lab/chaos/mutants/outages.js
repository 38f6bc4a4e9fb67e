// @ts-check
// Mutants of what holds over an outage: windows that it uses up, and windows that anything else opens again.
import { ABSENT, STEALING } from './profiles.js';

/** @typedef {import('../mutants.js').Mutant} Mutant */

/** @type {Mutant} */
export const windowByMemory = {
  name: 'window-by-memory',
  sentence: 'A replica that starts gives every session its replay window anew, and knows of no other outage.',
  patches: [
    {
      file: 'domain/sessions/sessions.js',
      find: `import { IS_ANSWERING, WINDOW_ENDS } from '../liveness/beat.js';`,
      replace: `import { IS_ANSWERING } from '../liveness/beat.js';
const WINDOW_ENDS = sql\`(greatest(rotated_at, to_timestamp(\${Date.now() / 1000})) + replay_window)\`;`,
    },
  ],
  hunt: { profile: STEALING, faults: ['kill-replica'], leastSeconds: 10 },
};

/** @type {Mutant} */
export const gapIgnored = {
  name: 'gap-ignored',
  sentence: 'A window ends as long after the rotation as it is set, whatever the beat tells of outages.',
  patches: [
    {
      file: 'domain/sessions/sessions.js',
      find: `import { IS_ANSWERING, WINDOW_ENDS } from '../liveness/beat.js';`,
      replace: `import { IS_ANSWERING } from '../liveness/beat.js';
const WINDOW_ENDS = sql\`(rotated_at + replay_window)\`;`,
    },
  ],
  hunt: { profile: ABSENT, faults: ['silent-beat'], leastSeconds: 12 },
};
