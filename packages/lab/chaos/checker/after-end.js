// @ts-check
// Rules A and H: what was ended stays ended, from the acknowledgement on, and over every kill.
//
// Certain because an answer is decided between its start and its end: one that began after the acknowledgement was decided
// after the end had been made durable. An end that was not answered counts for nothing here. One that can be lifted counts until a
// lift of it was asked for.
import { firstOf } from './first-of.js';
import { findSureHold } from './holds.js';
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
  for (const sighting of sightings(world)) {
    const { operation, says, session } = sighting;
    const found = findEnd(sighting);
    if (found === null) continue;
    const { end, what } = found;
    const rule = hasKillBetween(world, end.end, operation.start) ? 'H' : 'A';
    findings.apply(rule, what, operation);
    if (what === 'ended' && wasLifted(session, operation)) findings.count('A ended, after a lift');
    if (what === 'ended' && end.kind === 'delete') findings.count('A ended, by deletion');
    if (says === 'inactive' || says === 'gone') continue;
    const message = `${WORDS[says]} although ${end.kind} had been acknowledged${rule === 'H' ? ' before a kill' : ''}`;
    findings.report(rule, operation, message, { because: [end], session: session.sid });
  }
}

/**
 * What has surely ended it before the answer was asked for.
 *
 * @param {import('./sightings.js').Sighting} sighting
 * @returns {{ end: Operation, what: string } | null}
 */
function findEnd({ operation, token, session, lineage }) {
  const end = firstOf(session.ended, lineage?.ended ?? null);
  if (end !== null && operation.start > end.end) return { end, what: 'ended' };
  // Whether a token was stolen is decided although its session is held: the lift is not to undo that.
  const isTheft = operation.error === 'refresh_reused';
  const hold = isTheft ? null : (findSureHold(session, operation) ?? findSureHold(lineage, operation));
  if (hold !== null) return { end: hold.order, what: 'held' };
  const outdated = token?.type === 'access' ? (lineage?.outdated ?? null) : null;
  return outdated !== null && operation.start > outdated.end
    ? { end: outdated, what: outdated.kind === 'change' ? 'of other claims' : 'of another scope' }
    : null;
}

/** @param {import('./world.js').Session} session @param {Operation} operation */
function wasLifted({ holds }, { start }) {
  return holds.some(({ until }) => until < start);
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
