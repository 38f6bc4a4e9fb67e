// @ts-check
// Rule C: nothing brings back what was found gone.
//
// Certain because ends are for ever and clocks do not turn back: of two contradicting answers, where the second began after
// the first had come, one is wrong. Answers that another rule has called wrong are evidence of nothing, nor is a no from while an
// operator's row may have been in force that was lifted.
import { firstOf } from './first-of.js';
import { mayComeBack } from './holds.js';
import { hasSuccessor, sightings } from './sightings.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('./world.js').World} World */
/** @typedef {import('./findings.js').Findings} Findings */
/** @typedef {import('./sightings.js').Sighting} Sighting */

/** After the rules that find wrong refusals; sessions that refreshes and lists found gone are marked already. @param {World} world @param {Findings} findings */
export function checkResurrection(world, findings) {
  /** By the token's id: when it was first found not to be accepted, for whatever reason. @type {Map<number, Operation>} */
  const refused = new Map();
  for (const sighting of sightings(world)) {
    if (sighting.says !== 'inactive' || findings.isReported(sighting.operation)) continue;
    noteInactive(sighting, refused, world);
  }
  for (const { operation, says, token, session, lineage } of sightings(world)) {
    let gone = firstOf(session.foundGone, lineage?.foundGone ?? null);
    if (token !== null && lineage !== null && says !== 'stands')
      gone = firstOf(gone, refused.get(token.id) ?? null);
    if (gone === null || operation.start <= gone.end) continue;
    findings.apply('C', 'found gone', operation);
    if (says === 'inactive' || says === 'gone') continue;
    // Said of a session that an operator's row holds, too.
    if (operation.error === 'refresh_reused' && session.isNamed) continue;
    findings.report('C', operation, `is ${says === 'active' ? 'active' : 'alive'} after it was found gone`, {
      because: [gone],
      session: session.sid,
    });
  }
}

/**
 * What had surely not expired, and earned nothing, has been ended: with it all its lineage, and where nobody can have
 * revoked the lineage, the session.
 *
 * @param {Sighting} sighting
 * @param {Map<number, Operation>} refused
 * @param {World} world
 */
function noteInactive({ operation, token, session, lineage }, refused, { clock, mayBeRevoked }) {
  if (token === null || lineage === null) return;
  if (mayComeBack(session, operation) || mayComeBack(lineage, operation)) return;
  refused.set(token.id, firstOf(refused.get(token.id) ?? null, operation) ?? operation);
  if (hasSuccessor(operation) || clock.isPossiblyPast(Number(token.claims['exp']), operation)) return;
  lineage.foundGone = firstOf(lineage.foundGone, operation);
  if (!mayBeRevoked(lineage, operation)) session.foundGone = firstOf(session.foundGone, operation);
}
