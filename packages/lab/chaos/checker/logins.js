// @ts-check
// Rules A and B for passwords: nobody gets in with what was replaced, while disabled or once deleted, and nobody else is kept out.
//
// A login reads password, user and epoch at one moment within its bracket and opens the session at a later one. Certain is
// what holds at whichever moments those were; a change that may have taken effect in between excuses either answer.

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('./world.js').World} World */
/** @typedef {import('./findings.js').Findings} Findings */

/** Users who have logged in prove the current one. */
const PROVES = new Set(['password', 'reauthenticate']);

/** @param {World} world @param {Findings} findings */
export function checkLogins(world, findings) {
  for (const operation of world.operations) {
    if (operation.kind !== 'login') continue;
    if (operation.outcome === 'ok') checkAccepted(operation, world, findings);
    if (operation.outcome === 'refused' && operation.error === 'invalid_credentials')
      checkRefused(operation, world, findings);
  }
  for (const operation of world.operations)
    if (PROVES.has(operation.kind) && operation.proved !== undefined) checkProof(operation, world, findings);
}

/** @param {Operation} login @param {World} world @param {Findings} findings */
function checkAccepted(login, world, findings) {
  const session = world.sessionOf(world.tokenOf(login.access)).sid;
  const account = world.accounts.get(login.user ?? '');
  if (isSurelyWelcome(login, world)) findings.apply('B', 'logins');
  if (account === undefined) {
    if (login.password !== 0)
      findings.report('A', login, 'accepted a password that was never set', { session });
    return;
  }
  if (!account.passwords.canBeSet(login))
    findings.report('A', login, 'accepted a password that was never set', { session });
  const replaced = account.passwords.replacedAfterRead(login);
  if (replaced !== null && replaced.end < login.start)
    findings.report('A', login, 'accepted a password that had been replaced', {
      because: [replaced],
      session,
    });
  const disabled = account.access.disabledAfterRead(login);
  if (disabled !== null && disabled.end < login.start)
    findings.report('A', login, 'let in a user who had been disabled', { because: [disabled], session });
  const { done } = account.deletion;
  if (done !== null && done.end < login.start)
    findings.report('A', login, 'let in a user who had been deleted', { because: [done], session });
}

/** @param {Operation} login @param {World} world @param {Findings} findings */
function checkRefused(login, world, findings) {
  if (!isSurelyWelcome(login, world)) {
    findings.apply('A', 'logins');
    const done = world.accounts.get(login.user ?? '')?.deletion.done ?? null;
    if (done !== null && done.end < login.start) findings.count('A logins of the deleted');
    return;
  }
  findings.apply('B', 'logins');
  findings.report('B', login, 'refused the right password of an enabled user');
}

/** @param {Operation} login @param {World} world */
function isSurelyWelcome(login, { accounts, upheavals }) {
  if (upheavals.mayTouch(login)) return false;
  const account = accounts.get(login.user ?? '');
  if (account === undefined) return login.password === 0;
  return (
    !account.mayTouch(login) &&
    account.passwords.isSurelyRight(login) &&
    account.access.isSurelyEnabled(login)
  );
}

/**
 * A user's own change of password, or a user who gives it once more: both prove the current one.
 *
 * @param {Operation} operation
 * @param {World} world
 * @param {Findings} findings
 */
function checkProof(operation, { accounts, replacements, sessionOf, tokenOf }, findings) {
  const account = accounts.get(operation.user ?? '');
  if (account === undefined || operation.outcome === 'unknown') return;
  const { kind, outcome, error, proved, start, end } = operation;
  const mayRepeat = kind === 'password' && replacements.mayRepeat(operation);
  const session = sessionOf(tokenOf(operation.token)).sid;
  const replaced = account.passwords.replacedAfterRead({ password: proved });
  // A repetition is judged by the new password, not by the one before.
  if (outcome === 'ok' && !mayRepeat) {
    findings.apply('A', kind === 'password' ? 'changes of password' : 'step-ups');
    if (replaced !== null && replaced.end < start)
      findings.report('A', operation, 'took a password for the current one that had been replaced', {
        because: [replaced],
        session,
      });
  }
  if (error !== 'invalid_credentials' || mayRepeat) return;
  if (account.passwords.isSurelyRight({ password: proved, start, end }))
    findings.report('B', operation, 'refused the current password', { session });
}
