// @ts-check
// Rules A, B and I for users as administrators know them: who was deleted is nowhere any more, the name is free, everybody else is still
// there, and an export shows no session of somebody else.
//
// Certain because a deletion is final, and decided before its answer.

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('./world.js').World} World */
/** @typedef {import('./findings.js').Findings} Findings */

const OF_ONE_USER = new Set(['scope', 'export']);

/** @param {World} world @param {Findings} findings */
export function checkUsers(world, findings) {
  for (const operation of world.operations) {
    if (operation.outcome === 'unknown') continue;
    if (OF_ONE_USER.has(operation.kind)) checkPresence(operation, world, findings);
    if (operation.kind === 'export') checkExport(operation, world, findings);
    if (operation.kind === 'add-user') checkName(operation, world, findings);
  }
}

/** @param {Operation} operation @param {World} world @param {Findings} findings */
function checkPresence(operation, { accounts }, findings) {
  const { kind, outcome, error, user = '', start } = operation;
  const deletion = accounts.get(user)?.deletion;
  const done = deletion?.done ?? null;
  if (done !== null && done.end < start) {
    findings.apply('A', `${kind}s of the deleted`);
    if (outcome === 'ok') findings.report('A', operation, 'found a deleted user', { because: [done] });
    return;
  }
  if (deletion?.mayBeDone(operation) === true) return;
  findings.apply('B', `users of ${kind}s`);
  if (error === 'not_found') findings.report('B', operation, 'did not find a user');
}

/** @param {Operation} operation @param {World} world @param {Findings} findings */
function checkExport(operation, { sessions }, findings) {
  for (const sid of operation.sids ?? []) {
    const user = sessions.get(sid)?.user ?? operation.user;
    if (user !== operation.user)
      findings.report('I', operation, 'shows a session of another user', { session: sid });
  }
}

/** @param {Operation} operation @param {World} world @param {Findings} findings */
function checkName(operation, { accounts, operations }, findings) {
  const { outcome, heir, start, end, user, username = user } = operation;
  const deletion = heir === undefined ? undefined : accounts.get(heir)?.deletion;
  if (outcome === 'ok') {
    findings.apply('A', 'names');
    if (heir !== undefined && deletion?.mayBeDone(operation) !== true)
      findings.report('A', operation, 'gave the name of somebody else');
    return;
  }
  const isFree = heir === undefined || (deletion?.done?.end ?? Infinity) < start;
  const mayBeTaken = operations.some(
    (other) =>
      other !== operation &&
      other.kind === 'add-user' &&
      other.outcome !== 'refused' &&
      (other.username ?? other.user) === username &&
      other.start < end,
  );
  if (isFree && !mayBeTaken) findings.report('B', operation, 'took a name for taken that nobody had');
}
