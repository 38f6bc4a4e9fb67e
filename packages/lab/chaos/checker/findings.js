// @ts-check
// What the rules found, and how often each had something to judge: a rule without work has proved nothing.

/** @typedef {import('../history.js').Operation} Operation */

/** @typedef {'A' | 'B' | 'C' | 'D' | 'E' | 'F' | 'G' | 'H' | 'I' | 'J' | 'K'} Rule */

/**
 * @typedef {object} Violation
 * @property {Rule} rule
 * @property {string} message
 * @property {number[]} operations the wrong answer, then what shows that it is wrong; none where nobody has asked for what is wrong
 * @property {string=} session
 */

/** @typedef {ReturnType<typeof createFindings>} Findings */

export function createFindings() {
  /** @type {Violation[]} */
  const violations = [];
  /** @type {Set<number>} */
  const reported = new Set();
  /** @type {Record<Rule, number>} */
  const applied = { A: 0, B: 0, C: 0, D: 0, E: 0, F: 0, G: 0, H: 0, I: 0, J: 0, K: 0 };
  /** @type {Record<string, number>} */
  const judged = {};

  /** @param {string} name */
  function count(name) {
    judged[name] = (judged[name] ?? 0) + 1;
  }

  return {
    violations,
    applied,
    judged,

    /** Notes something else that was judged. */
    count,

    /**
     * Notes that a rule had an answer before it that it could have called wrong.
     *
     * @param {Rule} rule
     * @param {string} what it was about: what a rule has enough of in one place it may lack in another
     * @param {Pick<Operation, 'batchSize'>=} operation one that may have been asked in a batch
     */
    apply: (rule, what, { batchSize } = {}) => {
      applied[rule] += 1;
      count(`${rule} ${what}`);
      if (batchSize !== undefined) count(`${rule} ${what}, in batches`);
    },

    /** Of something that no operation explains. @param {Rule} rule @param {string} message */
    reportUnasked: (rule, message) => {
      violations.push({ rule, message, operations: [] });
    },

    /** @param {Operation} operation */
    isReported: (operation) => reported.has(operation.id),

    /**
     * Each wrong answer is reported once, under the first rule that sees it.
     *
     * @param {Rule} rule
     * @param {Operation} operation the wrong answer
     * @param {string} message
     * @param {{ because?: (Operation | null | undefined)[], session?: string | undefined }} [details]
     */
    report: (rule, operation, message, { because = [], session } = {}) => {
      if (reported.has(operation.id)) return;
      reported.add(operation.id);
      const others = because.flatMap((other) => (other ? [other.id] : []));
      violations.push({
        rule,
        message: `${operation.kind} at ${operation.replica}: ${message}`,
        operations: [operation.id, ...others],
        ...(session === undefined ? {} : { session }),
      });
    },
  };
}
