// @ts-check
// Rule G for passwords that are given once more, and for `max_age`: the time is new, and that of those tokens alone.
//
// Certain because `auth_time` is then the database's time at a moment within the bracket, cut to the second; and because an age is judged by
// the same clock, so that one which is surely above `max_age`, or surely not, has one answer.

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('./world.js').World} World */
/** @typedef {import('./findings.js').Findings} Findings */

const TOO_OLD = 'insufficient_user_authentication';

/** @param {World} world @param {Findings} findings */
export function checkStepUps(world, findings) {
  /** By session: when a token of another time than the session's was first answered. @type {Map<string, number>} */
  const steppedBy = new Map();
  for (const operation of world.operations) {
    const { kind, outcome, maxAge } = operation;
    if (kind === 'reauthenticate' && outcome === 'ok') noteStep(operation, steppedBy, world, findings);
    if (kind === 'session' && maxAge !== undefined) checkAge(operation, maxAge, world, findings);
    if (kind === 'refresh' && outcome === 'ok') noteRefresh(operation, steppedBy, world, findings);
  }
}

/** Its times are judged with those of all other tokens. @param {Operation} operation @param {Map<string, number>} steppedBy @param {World} world @param {Findings} findings */
function noteStep(operation, steppedBy, { tokenOf }, findings) {
  const access = tokenOf(operation.access);
  const asking = tokenOf(operation.token);
  findings.apply('G', 'step-ups');
  if (access.claims['auth_time'] === asking.claims['auth_time'] || steppedBy.has(asking.sid)) return;
  steppedBy.set(asking.sid, operation.end);
}

/** Judged as all are: by the time of the session. @param {Operation} operation @param {Map<string, number>} steppedBy @param {World} world @param {Findings} findings */
function noteRefresh(operation, steppedBy, { tokenOf }, findings) {
  if ((steppedBy.get(tokenOf(operation.token).sid) ?? Infinity) < operation.start)
    findings.apply('G', 'refreshes after a step-up');
}

/** @param {Operation} operation @param {number} maxAge @param {World} world @param {Findings} findings */
function checkAge(operation, maxAge, { clock, tokenOf }, findings) {
  const { outcome, error } = operation;
  if (outcome !== 'ok' && error !== TOO_OLD) return;
  const token = tokenOf(operation.token);
  const { least, most } = clock.secondsOf(operation);
  const authTime = Number(token.claims['auth_time']);
  const [isSurelyOld, isSurelyRecent] = [least - authTime > maxAge, most - authTime <= maxAge];
  if (isSurelyOld) findings.apply('G', 'tokens too old');
  if (isSurelyRecent) findings.apply('G', 'tokens recent enough');
  if (outcome === 'ok' ? isSurelyOld : isSurelyRecent)
    findings.report(
      'G',
      operation,
      outcome === 'ok' ? 'took a password for recent that was not' : 'took a recent password for old',
      {
        session: token.sid,
      },
    );
}
