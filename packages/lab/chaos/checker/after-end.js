// @ts-check
// Rules A and H: what was ended stays ended, from the acknowledgement on, and over every kill.
//
// Certain because an answer is decided between its start and its end: one that began after the acknowledgement was decided
// after the end had been made durable. An end that was not answered counts for nothing here.
import { firstOf } from './endings.js';
import { sightings } from './sightings.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('./world.js').World} World */
/** @typedef {import('./findings.js').Findings} Findings */

const WORDS = {
  active: 'was accepted',
  stands: 'was reissued',
  lives: 'its session was treated as living',
};

/** @param {World} world @param {Findings} findings */
export function checkAfterEnd(world, findings) {
  for (const { operation, says, session, lineage } of sightings(world)) {
    const end = firstOf(session.ended, lineage?.ended ?? null);
    if (end === null || operation.start <= end.end) continue;
    const rule = hasKillBetween(world, end.end, operation.start) ? 'H' : 'A';
    findings.apply(rule, 'ended', operation);
    if (says === 'inactive' || says === 'gone') continue;
    const message = `${WORDS[says]} although ${end.kind} had been acknowledged${rule === 'H' ? ' before a kill' : ''}`;
    findings.report(rule, operation, message, { because: [end], session: session.sid });
  }
}

/**
 * A kill takes its time, and what was acknowledged in the middle of it may have been before it.
 *
 * @param {World} world
 * @param {number} from
 * @param {number} to
 */
function hasKillBetween({ firstKillAfter }, from, to) {
  return (firstKillAfter(from)?.value ?? Infinity) < to;
}
