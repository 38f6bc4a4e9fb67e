// @ts-check
// One question and its answer, recorded as the contract reads it; what the contract does not know is told.
import { findWrongForm } from './form.js';

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
 * @param {{ add: (operation: Done) => unknown }} options.recorder
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
  async function ask(caller, replica, subject, { success, refusals, ...wire }, { dropAfterMs }, read) {
    const headers = { 'x-forwarded-for': caller.address, ...wire.headers };
    const asked = { port: replica.port, ...wire, headers };
    const pid = servingPid(replica);
    const answer = await http.send(dropAfterMs === undefined ? asked : { ...asked, dropAfterMs });
    const { start, end, status, body } = answer;
    /** @type {Reply} */
    const reply = {
      ...subject,
      replica: replica.name,
      client: caller.number,
      start,
      end,
      outcome: 'unknown',
      status,
      error: null,
      body,
      tokens: {},
    };
    const wrong = status === null ? null : judge(reply, answer, success, refusals, read);
    if (answer.isBroken && pid !== null && servingPid(replica) === pid) broken += 1;
    if (wrong !== null) {
      reply.outcome = 'unknown';
      breaches += 1;
      if (told.length < TOLD) told.push(`${describe(reply)}: ${wrong}`);
    }
    const { body: _, tokens, ...operation } = reply;
    recorder.add(operation);
    return reply;
  }

  return {
    ask,
    /** @returns {Omit<Manners, 'signatures'>} */
    manners: () => ({ breaches, told, late: http.counts.late, silent: http.counts.silent, broken }),
  };
}

/**
 * Says what the answer means, and null or what the contract knows no such answer for.
 *
 * @param {Reply} reply
 * @param {Answer} answer
 * @param {number} success
 * @param {readonly string[]} refusals
 * @param {(reply: Reply, answer: Answer) => string | null} read
 */
function judge(reply, answer, success, refusals, read) {
  const { status, body } = answer;
  try {
    if (status === success) reply.outcome = 'ok';
    else {
      reply.error = String(JSON.parse(body).error);
      const isAnswered = reply.error === 'too_many_requests' || refusals.includes(reply.error);
      if (isAnswered) reply.outcome = 'refused';
      else if (reply.error !== 'temporarily_unavailable') return `${status} ${body}`;
    }
    return findWrongForm(answer, reply.error) ?? read(reply, answer);
  } catch (error) {
    // Whatever cannot be read is the service's mistake, and told with what it said.
    return `${status} ${body.slice(0, 500)} (${String(error)})`;
  }
}

/** Of the process, unless it was told to go. @param {Replica} replica */
function servingPid({ pid, isUp }) {
  return isUp?.() === true ? (pid?.() ?? null) : null;
}

/** @param {Reply} reply */
function describe({ kind, replica, start, token, user }) {
  return `${kind} of ${user ?? `token ${token}`} at ${replica}, ${Math.round(start)} ms`;
}
