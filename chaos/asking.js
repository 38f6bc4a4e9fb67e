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

/** Of the answer to a login and to a refresh. */
const PAIR_MEMBERS = 6;

/** Breaches that are told in full; of the rest the number is enough. */
const TOLD = 50;

/**
 * @param {object} options
 * @param {import('./http.js').Http} options.http
 * @param {{ token: (text: string) => Token, add: (operation: Done) => unknown }} options.recorder
 * @param {((token: Token) => void)=} options.onToken is given each token that was received, once
 */
export function createAsking({ http, recorder, onToken = () => undefined }) {
  /** @type {string[]} */
  const told = [];
  let breaches = 0;
  let broken = 0;
  /** The place of the latest token that had not been received before. */
  let latest = -1;

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

  /** @param {string} text @param {string} what @param {Reply} reply */
  function received(text, what, reply) {
    const token = recorder.token(text);
    if (token.id > latest) {
      latest = token.id;
      onToken(token);
    }
    reply.tokens = { ...reply.tokens, [what]: token };
    return token;
  }

  /** @param {Reply} reply */
  function readPair(reply) {
    const pair = JSON.parse(reply.body);
    const { access_token: accessText, refresh_token: refreshText, session_id: sid } = pair;
    if (typeof accessText !== 'string' || typeof refreshText !== 'string') return 'not a pair of tokens';
    const access = received(accessText, 'access', reply);
    const refresh = received(refreshText, 'refresh', reply);
    reply.access = access.id;
    reply.refresh = refresh.id;
    if (reply.kind === 'login') reply.sid = sid;
    if (sid !== access.sid || sid !== refresh.sid) return 'tokens of two sessions';
    return isFittingPair(pair, access, refresh) ? null : 'other lifetimes than those of the tokens';
  }

  /** @param {Reply} reply @param {Answer} answer */
  function readReissued(reply, answer) {
    const text = answer.headers['refreshed-api-token'];
    reply.reissued = typeof text === 'string' ? received(text, 'reissued', reply).id : null;
    if (text === undefined) return null;
    if ((answer.status ?? 500) >= 500) return 'a reissued token on a failure';
    return /\bauthorization\b/i.test(answer.headers.vary ?? '') ? null : 'a reissued token without Vary';
  }

  return {
    ask,
    readPair,
    readReissued,
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

/**
 * Lifetimes are told from the time on that the access token was minted.
 *
 * @param {Record<string, unknown>} pair
 * @param {Token} access
 * @param {Token} refresh
 */
function isFittingPair(pair, access, refresh) {
  const { iat, exp } = access.claims;
  return (
    pair['token_type'] === 'Bearer' &&
    pair['expires_in'] === exp - iat &&
    pair['refresh_expires_in'] === refresh.claims['exp'] - iat &&
    Object.keys(pair).length === PAIR_MEMBERS
  );
}

/** @param {Reply} reply */
function describe({ kind, replica, start, token, user }) {
  return `${kind} of ${user ?? `token ${token}`} at ${replica}, ${Math.round(start)} ms`;
}
