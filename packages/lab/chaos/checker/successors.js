// @ts-check
// Rule D: a refresh token has one successor, of the next generation, whoever asks and however often.
//
// Certain because nothing but the parent and its one rotation determines the claims: no bracket is involved.
import { isDeepStrictEqual } from 'node:util';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('../history.js').Token} Token */
/** @typedef {import('./world.js').World} World */
/** @typedef {import('./findings.js').Findings} Findings */

/** @param {World} world @param {Findings} findings */
export function checkSuccessors(world, findings) {
  /** By session and generation of the parent. @type {Map<string, { operation: Operation, successor: Token }>} */
  const known = new Map();
  /** By lineage: the answer that began it. @type {Map<string, Operation>} */
  const begun = new Map();
  for (const operation of world.operations) {
    if (operation.outcome !== 'ok') continue;
    if (operation.access !== undefined) checkAccess(operation, begun, world, findings);
    if (operation.kind === 'refresh') checkSuccessor(operation, known, world, findings);
  }
}

/** The access token beside it is new each time. @param {Operation} operation @param {Map<string, Operation>} begun @param {World} world @param {Findings} findings */
function checkAccess(operation, begun, { tokenOf }, findings) {
  const { lineage, sid } = tokenOf(operation.access);
  const first = begun.get(lineage);
  if (first === undefined) begun.set(lineage, operation);
  else
    findings.report('D', operation, 'answered with an access token of another answer', {
      because: [first],
      session: sid,
    });
}

/** @param {Operation} operation @param {Map<string, { operation: Operation, successor: Token }>} known @param {World} world @param {Findings} findings */
function checkSuccessor(operation, known, world, findings) {
  const { tokenOf } = world;
  const parent = tokenOf(operation.token);
  const successor = tokenOf(operation.refresh);
  const session = parent.sid;
  if (successor.type !== 'refresh' || successor.sid !== session || successor.lineage !== session)
    findings.report('D', operation, 'the successor is of another session', { session });
  if (successor.generation !== parent.generation + 1)
    findings.report(
      'D',
      operation,
      `generation ${parent.generation} was followed by ${successor.generation}`,
      {
        session,
      },
    );
  const key = `${session}.${parent.generation}`;
  const first = known.get(key);
  if (first === undefined) {
    known.set(key, { operation, successor });
    return;
  }
  findings.apply('D', 'successors');
  if (isSame(first.successor, successor) || isSignedAnew(first.successor, successor, operation, world))
    return;
  findings.report('D', operation, 'a second successor of one refresh token', {
    because: [first.operation],
    session,
  });
}

/** Equal claims; and equal bytes, but for ES256, whose signatures are random. @param {Token} one @param {Token} other */
function isSame(one, other) {
  if (one.id === other.id) return true;
  if (!isDeepStrictEqual(one.claims, other.claims)) return false;
  const header = one.text.slice(0, one.text.indexOf('.'));
  return header !== '' && Buffer.from(header, 'base64url').toString().includes('"ES256"');
}

/**
 * Whether equal claims may have been signed by two keys, since the first one was retired meanwhile: an answer that was
 * decided before that and signed after it. The session is dead by then, whoever signs for it.
 *
 * @param {Token} one
 * @param {Token} other
 * @param {Operation} operation
 * @param {World} world
 */
function isSignedAnew(one, other, { end }, { retirements, sessionOf }) {
  const { sid, login } = sessionOf(other);
  return (
    isDeepStrictEqual(one.claims, other.claims) &&
    login !== null &&
    retirements.mayEndBetween(sid, login.start, end)
  );
}
