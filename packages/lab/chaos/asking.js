// @ts-check
// One request and its answer, recorded as the contract reads it; what the contract does not know is told.
import { findWrongForm } from './form.js';
import { agentOf } from './noted-events.js';

/** @typedef {import('./history.js').Token} Token */
/** @typedef {import('./history.js').Operation} Operation */
/** @typedef {import('./http.js').Answer} Answer */

/**
 * @typedef {object} Caller
 * @property {number} number
 * @property {string} address limits are per network: each has its own
 */

/** @typedef {{ name: string, port: number, pid?: () => number | null, isUp?: () => boolean }} Replica */

/**
 * What is asked: the questions of `history.js`, with what goes over the wire.
 *
 * @typedef {object} Wire
 * @property {string} method
 * @property {string} path
 * @property {Record<string, string>=} headers
 * @property {string=} body
 * @property {number} success the only status that says it was done
 * @property {readonly string[]} refusals codes that the contract allows here
 */

/** @typedef {{ dropAfterMs?: number | undefined }} Manner */
/** @typedef {Omit<Operation, 'id'>} Done */
/** @typedef {Partial<Operation> & { kind: string }} Subject */
/** @typedef {Done & { body: string, tokens: { access?: Token, refresh?: Token, reissued?: Token } }} Reply */
/**
 * How the service behaved beside being right.
 *
 * @typedef {object} Manners
 * @property {number} breaches answers that the contract does not know
 * @property {string[]} told the first of them, in words
 * @property {number} late answers that came after their time
 * @property {number} silent questions that waited for an answer until they gave up
 * @property {number} broken questions to a process that lives on, whose connection broke before the answer
 * @property {import('./signatures.js').Signatures} signatures
 */

/** Breaches that are told in full; of the rest the number is enough. */
const TOLD = 50;

/**
 * @param {object} options
 * @param {import('./http.js').Http} options.http
 * @param {{ mark: () => number, add: (operation: Done) => unknown }} options.recorder
 */
export function createAsking({ http, recorder }) {
  /** @type {string[]} */
  const told = [];
  let breaches = 0;
  let broken = 0;

  /**
   * @param {Caller} caller
   * @param {Replica} replica
   * @param {Subject} subject
   * @param {Wire} wire
   * @param {Manner} manner
   * @param {(reply: Reply, answer: Answer) => string | null} read completes the record; says what is wrong with the answer
   * @returns {Promise<Reply>}
   */
  async function ask(caller, replica, subject, wire, manner, read) {
    /** @param {Reply[]} replies @param {Answer} answer */
    const readOne = ([reply], answer) => read(/** @type {Reply} */ (reply), answer);
    const [reply] = await askTogether(caller, replica, [subject], wire, manner, readOne);
    return /** @type {Reply} */ (reply);
  }

  /**
   * Several questions in one request: each is recorded as an operation of its own, with the times of the request.
   *
   * @param {Caller} caller
   * @param {Replica} replica
   * @param {Subject[]} subjects
   * @param {Wire} wire
   * @param {Manner} manner
   * @param {(replies: Reply[], answer: Answer) => string | null} read completes the records; says what is wrong with the answer
   * @returns {Promise<Reply[]>} in the order of the subjects
   */
  async function askTogether(
    caller,
    replica,
    subjects,
    { success, refusals, ...wire },
    { dropAfterMs },
    read,
  ) {
    const mark = recorder.mark();
    const headers = { 'x-forwarded-for': caller.address, 'user-agent': agentOf(mark), ...wire.headers };
    const asked = { port: replica.port, ...wire, headers };
    const pid = servingPid(replica);
    const answer = await http.send(dropAfterMs === undefined ? asked : { ...asked, dropAfterMs });
    const { start, end, status, body } = answer;
    /** @type {Reply[]} */
    const replies = subjects.map((subject) => ({
      ...subject,
      mark,
      replica: replica.name,
      client: caller.number,
      start,
      end,
      outcome: 'unknown',
      status,
      error: null,
      body,
      tokens: {},
    }));
    const wrong = status === null ? null : judge(replies, answer, success, refusals, read);
    if (answer.isBroken && pid !== null && servingPid(replica) === pid) broken += 1;
    if (wrong !== null) {
      for (const reply of replies) reply.outcome = 'unknown';
      breaches += 1;
      if (told.length < TOLD) told.push(`${replies.map(describe).join(', ')}: ${wrong}`);
    }
    for (const { body: _, tokens, ...operation } of replies) recorder.add(operation);
    return replies;
  }

  return {
    ask,
    askTogether,
    /** @returns {Omit<Manners, 'signatures'>} */
    manners: () => ({ breaches, told, late: http.counts.late, silent: http.counts.silent, broken }),
  };
}

/**
 * Says what the answer means, and null or what the contract knows no such answer for.
 *
 * @param {Reply[]} replies
 * @param {Answer} answer
 * @param {number} success
 * @param {readonly string[]} refusals
 * @param {(replies: Reply[], answer: Answer) => string | null} read
 */
function judge(replies, answer, success, refusals, read) {
  const { status, body } = answer;
  try {
    const error = status === success ? null : String(JSON.parse(body).error);
    const outcome = outcomeOf(error, refusals);
    for (const reply of replies) Object.assign(reply, { outcome: outcome ?? 'unknown', error });
    if (outcome === null) return `${status} ${body}`;
    return findWrongForm(answer, error) ?? read(replies, answer);
  } catch (error) {
    // Whatever cannot be read is the service's mistake, and told with what it said.
    return `${status} ${body.slice(0, 500)} (${String(error)})`;
  }
}

/** @param {string | null} error @param {readonly string[]} refusals @returns {Reply['outcome'] | null} null where the contract has no such error */
function outcomeOf(error, refusals) {
  if (error === null) return 'ok';
  if (error === 'too_many_requests' || refusals.includes(error)) return 'refused';
  return error === 'temporarily_unavailable' ? 'unknown' : null;
}

/** Of the process, unless it was told to go. @param {Replica} replica */
function servingPid({ pid, isUp }) {
  return isUp?.() === true ? (pid?.() ?? null) : null;
}

/** @param {Reply} reply */
function describe({ kind, replica, start, token, user }) {
  return `${kind} of ${user ?? `token ${token}`} at ${replica}, ${Math.round(start)} ms`;
}
