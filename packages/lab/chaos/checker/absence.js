// @ts-check
// Rule J: while there is no database, nobody knows anything.
//
// Certain because an answer is decided between its start and its end: where both lie between the end of the last of
// PostgreSQL's processes and the start of the first new one, nobody can have decided it. A limit on requests is told by each
// replica alone.

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('./world.js').World} World */
/** @typedef {import('./findings.js').Findings} Findings */

const TOO_MANY_REQUESTS = 429;

/** @param {World} world @param {Findings} findings */
export function checkAbsence({ operations }, findings) {
  const absences = operations.filter(({ isAway }) => isAway === true).toSorted((a, b) => a.start - b.start);
  if (absences.length === 0) return;
  /** @type {Set<Operation>} */
  const met = new Set();
  for (const operation of operations) {
    if (operation.kind === 'fault' || operation.status === TOO_MANY_REQUESTS) continue;
    const absence = absences[placeOf(absences, operation.start)];
    if (absence === undefined || operation.start <= absence.start || operation.end >= absence.end) continue;
    findings.apply('J', 'answers');
    if (!met.has(absence)) findings.count('J absences');
    met.add(absence);
    if (operation.outcome === 'unknown') continue;
    findings.report('J', operation, `answered ${operation.outcome} without a database`, {
      because: [absence],
    });
  }
}

/** The last that began before a moment; they do not overlap. @param {Operation[]} absences @param {number} moment */
function placeOf(absences, moment) {
  let low = 0;
  let high = absences.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (/** @type {Operation} */ (absences[middle]).start < moment) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
