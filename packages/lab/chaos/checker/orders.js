// @ts-check
// Rules A, B and G for what administrators are told: a lift gives back what nothing else has ended, and nothing else; rows tell of each
// end that was counted.
//
// Certain because a lift says what holds at its moment, and an order's rows are there before its answer and for as long as a run.
import { firstOf } from './first-of.js';
import { findSureHold, mayComeBack } from './holds.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('./world.js').World} World */
/** @typedef {import('./world.js').Session} Session */
/** @typedef {import('./world.js').Lineage} Lineage */
/** @typedef {import('./findings.js').Findings} Findings */

/** Before the rule of resurrection: a lift that gives nothing back may have found something gone. @param {World} world @param {Findings} findings */
export function checkOrders(world, findings) {
  for (const operation of world.operations) {
    if (operation.kind === 'order' && operation.outcome === 'ok')
      findings.count(operation.isDryRun === true ? 'orders, dry runs' : `orders by ${operation.by}`);
    if (operation.kind === 'lift' && operation.outcome !== 'unknown') checkLift(operation, world, findings);
  }
  checkRows(world, findings);
}

/** @param {Operation} operation @param {World} world @param {Findings} findings */
function checkLift(operation, world, findings) {
  const { outcome, error, rowKind, target } = operation;
  if (error === 'not_found') findings.report('B', operation, 'did not find a row that was listed');
  if ((rowKind === 'user') !== (error === 'not_liftable'))
    findings.report('A', operation, `a row of kind ${rowKind}: ${error ?? 'lifted'}`);
  if (outcome !== 'ok') {
    findings.apply('A', 'final rows');
    return;
  }
  const session = world.sessions.get(target ?? '');
  const lineage = world.lineages.get(target ?? '');
  if (rowKind === 'session' && session !== undefined) checkSession(operation, session, world, findings);
  if (rowKind === 'token' && lineage !== undefined) checkLineage(operation, lineage, world, findings);
}

/**
 * What says that it stands is a sighting, which the rules of ends judge.
 *
 * @param {Operation} operation
 * @param {Session} session
 * @param {World} world
 * @param {Findings} findings
 */
function checkSession(operation, session, { clock, mayHaveEnded }, findings) {
  const { row = null, restored } = operation;
  const { sid, login, expiresAt } = session;
  if (login === null) return;
  findings.count(restored === true ? 'lifts that restored' : 'lifts that did not');
  const mayBeGone = mayHaveEnded(session, operation, row) || clock.isPossiblyPast(expiresAt, operation);
  if (!mayBeGone) findings.apply('B', 'lifts');
  if (restored === true && clock.isSurelyPast(expiresAt, operation))
    findings.report('G', operation, 'gave back a session past its end', { session: sid });
  if (restored === true) return;
  if (!mayBeGone)
    findings.report('B', operation, 'did not give back what nothing else had ended', { session: sid });
  else if (!clock.isPossiblyPast(expiresAt, operation) && !mayComeBack(session, operation, row))
    session.foundGone = firstOf(session.foundGone, operation);
}

/** Of access tokens: the session and the scope are not looked at. @param {Operation} operation @param {Lineage} lineage @param {World} world @param {Findings} findings */
function checkLineage(operation, lineage, { mayBeRevoked, mayHaveEnded, retirements }, findings) {
  const { row = null, restored, start } = operation;
  const { session, ended } = lineage;
  findings.count(restored === true ? 'lifts that restored tokens' : 'lifts that did not');
  if (restored === true) {
    const hold = findSureHold(lineage, operation)?.order ?? null;
    // Under a key that was retired a token is none of ours: its revocation is answered, and leaves no row.
    const wasRead = (/** @type {Operation} */ { end }) => {
      const { sid, login } = session;
      return login !== null && !retirements.mayEndBetween(sid, login.start, end);
    };
    const end = ended !== null && ended.end < start && wasRead(ended) ? ended : hold;
    if (end !== null)
      findings.report('A', operation, `gave back access tokens although ${end.kind} had been acknowledged`, {
        because: [end],
        session: session.sid,
      });
    return;
  }
  if (!mayBeRevoked(lineage, operation, row) && !mayHaveEnded(session, operation))
    findings.report('B', operation, 'did not give back tokens that nothing else had ended', {
      session: session.sid,
    });
}

/** An order writes a row for each end that it counts. @param {World} world @param {Findings} findings */
function checkRows({ operations }, findings) {
  /** @type {Map<string, Operation>} */
  const orders = new Map();
  for (const operation of operations)
    if (operation.kind === 'order' && operation.ending !== undefined) orders.set(operation.ending, operation);
  for (const operation of operations) {
    const { kind, outcome, ending = '', rows = [] } = operation;
    const order = orders.get(ending);
    if (kind !== 'rows' || outcome !== 'ok' || order === undefined) continue;
    if (order.by === 'all' || order.by === 'now' || order.by === 'user_ids') continue;
    findings.apply('A', 'rows of orders');
    if ((order.counted ?? 0) > rows.length)
      findings.report('A', operation, `shows ${rows.length} of ${order.counted} ends`, { because: [order] });
  }
}
