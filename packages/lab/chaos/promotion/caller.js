// @ts-check
// A user's program over a failover: it asks again until it is told, ends sessions, and remembers what was acknowledged.
import { setTimeout as sleep } from 'node:timers/promises';

import { groupOf } from './ledger.js';

/** @typedef {import('./ledger.js').Kept} Kept */
/** @typedef {import('../questions.js').Reply} Reply */
/** @typedef {import('../questions.js').Replica} Replica */

const MOST_SESSIONS = 4;
const PAUSE_MS = 100;

/** Below the window in which a refresh token may come again (30 s): an honest client gives up then. */
const PATIENCE_MS = 25_000;

/** Share of ends that are not asked for again after a 503. */
const GIVES_UP = 0.3;

/**
 * @typedef {object} World
 * @property {import('../questions.js').Questions} questions
 * @property {Replica[]} replicas
 * @property {import('./ledger.js').Ledger} ledger
 * @property {() => number} random from 0 to 1
 * @property {() => boolean} isOver
 * @property {string} password
 * @property {number=} paceMs the longest pause between two steps
 * @property {number=} pauseMs between two attempts
 * @property {number=} patienceMs how long a caller asks again
 * @property {number=} revokes share of ends that revoke an access token and leave the session: they cost no login
 * @property {() => Promise<unknown>=} rest where there was no answer to a refresh: what a client does before it asks again, once
 */

/**
 * One user, whose sessions nobody else has, one step at a time.
 *
 * @param {World} world
 * @param {number} number
 * @param {string} username
 */
export async function runCaller(world, number, username) {
  const { questions, replicas, ledger, random, isOver, password } = world;
  const { paceMs = PAUSE_MS, pauseMs = PAUSE_MS, patienceMs = PATIENCE_MS, revokes = 0 } = world;
  const { rest = async () => undefined } = world;
  const caller = { number, address: `10.7.${number >> 8}.${number & 255}` };
  /** @type {Kept[]} */
  const sessions = [];
  const anyReplica = () => pick(replicas, random);

  /**
   * Asks again, any replica, until there is a yes or a no.
   *
   * @param {string} kind
   * @param {(replica: Replica) => Promise<Reply>} ask
   * @returns {Promise<Reply | null>} null when patience or the run is over
   */
  async function insist(kind, ask) {
    const startedAt = performance.now();
    let hasRested = kind !== 'refresh';
    while (performance.now() - startedAt < patienceMs) {
      const reply = await ask(anyReplica());
      if (reply.outcome !== 'unknown') {
        ledger.waited(groupOf(kind), performance.now() - startedAt);
        return reply;
      }
      if (isOver() || (groupOf(kind) === 'end' && random() < GIVES_UP)) return null;
      if (!hasRested) await rest();
      hasRested = true;
      await sleep(pauseMs);
    }
    return null;
  }

  /** @param {Kept} session */
  function drop(session) {
    sessions.splice(sessions.indexOf(session), 1);
    ledger.kept.delete(session);
  }

  /**
   * @param {Reply | null} reply
   * @param {string} what
   */
  function complain(reply, what) {
    ledger.wrong.push(told(reply, what));
  }

  async function login() {
    const who = { username, password, version: 0, honest: true };
    const reply = await insist('login', (replica) => questions.login(caller, replica, who));
    if (reply === null || reply.status === 429) return;
    const { access, refresh } = reply.tokens;
    if (access === undefined || refresh === undefined) return complain(reply, 'a right password was refused');
    const session = { sid: access.sid, access, refresh, isEnding: false };
    sessions.push(session);
    ledger.kept.add(session);
  }

  /** @param {Kept} session */
  async function introspect(session) {
    const { access } = session;
    const reply = await insist('introspect', (replica) => questions.introspect(caller, replica, access));
    if (reply?.outcome === 'ok' && reply.active !== true) complain(reply, 'inactive though nothing ended it');
  }

  /** @param {Kept} session @param {number} tabs that refresh at once */
  async function refresh(session, tabs) {
    const { refresh: token } = session;
    const ask = () => insist('refresh', (replica) => questions.refresh(caller, replica, token));
    const replies = await Promise.all(Array.from({ length: tabs }, ask));
    const last = replies.at(-1) ?? null;
    // Whether it was rotated is then unknown, and its window may be over: an honest client logs in again.
    if (replies.includes(null)) return drop(session);
    const refused = replies.find((reply) => reply?.outcome === 'refused');
    if (refused !== undefined) {
      drop(session);
      return ledger.logout(told(refused, 'an honest refresh was refused'));
    }
    const next = new Set(replies.map((reply) => reply?.tokens.refresh?.claims['jti']));
    if (next.size !== 1) complain(last, `${next.size} successors of one refresh token`);
    session.access = last?.tokens.access ?? session.access;
    session.refresh = last?.tokens.refresh ?? session.refresh;
  }

  /**
   * @param {Kept[]} doomed
   * @param {string} kind
   * @param {(replica: Replica) => Promise<Reply>} ask
   * @param {{ sessionLives?: boolean }} options
   */
  async function end(doomed, kind, ask, { sessionLives = false } = {}) {
    for (const session of doomed) session.isEnding = true;
    const reply = await insist(kind, ask);
    // A first attempt that was answered 503 and happened all the same has ended the very token that asks again.
    const isDone = reply?.outcome === 'ok' || reply?.error === 'invalid_token';
    if (reply !== null && !isDone) complain(reply, 'an end was refused');
    for (const session of doomed) {
      const { access, refresh: token } = session;
      if (isDone) ledger.ended.push({ access, refresh: sessionLives ? null : token });
      else ledger.uncertain.push(access);
      if (!sessionLives) drop(session);
    }
  }

  /** @param {Kept} session */
  async function revokeAccess(session) {
    const revoke = (/** @type {Replica} */ replica) => questions.revoke(caller, replica, session.access);
    await end([session], 'revoke', revoke, { sessionLives: true });
    // The session lives on: it earns another access token.
    await refresh(session, 1);
    session.isEnding = false;
  }

  /** Each way to end something. @type {((session: Kept) => Promise<void>)[]} */
  const endings = [
    (session) => end([session], 'logout', (replica) => questions.logout(caller, replica, session.access)),
    (session) => end([session], 'logout', (replica) => questions.logout(caller, replica, session.refresh)),
    (session) => end([session], 'revoke', (replica) => questions.revoke(caller, replica, session.refresh)),
    (session) => {
      const other = pick(sessions, random);
      return end([session], 'end-session', (replica) =>
        questions.endSession(caller, replica, other.access, session.sid),
      );
    },
    (session) =>
      end([...sessions], 'logout-all', (replica) =>
        questions.logoutAll(caller, replica, session.access, { exceptCurrent: false }),
      ),
    revokeAccess,
  ];

  while (!isOver()) {
    const session = sessions.length === 0 ? undefined : pick(sessions, random);
    const dice = random();
    if (session === undefined || (sessions.length < MOST_SESSIONS && dice < 0.06)) await login();
    else if (dice < 0.6) await introspect(session);
    else if (dice < 0.8) await refresh(session, 1);
    else if (dice < 0.86) await refresh(session, 2);
    else if (random() < revokes) await revokeAccess(session);
    else await pick(endings, random)(session);
    await sleep(paceMs * random());
  }
}

/**
 * @param {Reply | null} reply
 * @param {string} what
 */
function told(reply, what) {
  return `${what}: ${reply?.status} ${reply?.error ?? reply?.body} at ${reply?.replica}`;
}

/**
 * @template T
 * @param {readonly T[]} list not empty
 * @param {() => number} random
 * @returns {T}
 */
function pick(list, random) {
  return /** @type {T} */ (list[Math.floor(random() * list.length)]);
}
