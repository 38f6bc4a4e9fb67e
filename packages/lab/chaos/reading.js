// @ts-check
// What an answer says, read into its record: tokens, claims and lists; and what the contract knows no such answer for.
import { isDeepStrictEqual } from 'node:util';

import { findOtherClaims, findOtherHeaders } from './form.js';
import { FIRST_PARTY } from './subjects.js';

/** @typedef {import('./history.js').Token} Token */
/** @typedef {import('./http.js').Answer} Answer */
/** @typedef {import('./asking.js').Reply} Reply */

/** What is told of a token that is not live, and what is told of a live one beside its claims. */
const DEAD = { active: false };
const LIVE = { active: true, token_type: 'Bearer' };

/** Of the answer to a login and to a refresh; and to a password that was given once more. */
const PAIR_MEMBERS = 6;
const SINGLE_MEMBERS = 3;

/** What opens a session says which. */
const OPENS = new Set(['login', 'open']);

/**
 * Each reader completes a record, and says what is wrong with the answer; null for nothing.
 *
 * @param {object} options
 * @param {{ token: (text: string) => Token }} options.recorder
 * @param {((token: Token) => void)=} options.onToken is given each token that was received, once
 */
export function createReading({ recorder, onToken = () => undefined }) {
  /** The place of the latest token that had not been received before. */
  let latest = -1;
  /** Lineages that tell of another time than that of the session's opening. @type {Set<string>} */
  const steppedUp = new Set();

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
    if (reply.outcome !== 'ok') return null;
    const pair = JSON.parse(reply.body);
    const { access_token: accessText, refresh_token: refreshText, session_id: sid } = pair;
    if (typeof accessText !== 'string' || typeof refreshText !== 'string') return 'not a pair of tokens';
    const access = received(accessText, 'access', reply);
    const refresh = received(refreshText, 'refresh', reply);
    reply.access = access.id;
    reply.refresh = refresh.id;
    if (OPENS.has(reply.kind)) reply.sid = sid;
    if (sid !== access.sid || sid !== refresh.sid) return 'tokens of two sessions';
    return isFittingPair(pair, access, refresh) ? null : 'other lifetimes than those of the tokens';
  }

  /** An access token that tells of its own time. @param {Reply} reply */
  function readSingle(reply) {
    if (reply.outcome !== 'ok') return null;
    const single = JSON.parse(reply.body);
    if (typeof single.access_token !== 'string') return 'no token';
    const access = received(single.access_token, 'access', reply);
    reply.access = access.id;
    steppedUp.add(access.lineage);
    const { iat, exp } = access.claims;
    return single.token_type === 'Bearer' &&
      single.expires_in === exp - iat &&
      Object.keys(single).length === SINGLE_MEMBERS
      ? null
      : 'another lifetime than that of the token';
  }

  /** @param {Reply} reply @param {Answer} answer */
  function readReissued(reply, answer) {
    const text = answer.headers['refreshed-api-token'];
    reply.reissued = typeof text === 'string' ? received(text, 'reissued', reply).id : null;
    if (text === undefined) return null;
    if ((answer.status ?? 500) >= 500) return 'a reissued token on a failure';
    return /\bauthorization\b/i.test(answer.headers.vary ?? '') ? null : 'a reissued token without Vary';
  }

  /** @param {Reply} reply @param {Answer} answer @param {Token} token */
  function readIntrospection(reply, answer, token) {
    if (reply.outcome !== 'ok') return null;
    readState(reply, JSON.parse(reply.body), token);
    return readReissued(reply, answer);
  }

  /** Each result says what an introspection would, with the successor beside it. @param {Reply[]} replies @param {Answer} answer @param {Token[]} tokens */
  function readBatch(replies, { status, headers, body }, tokens) {
    if (headers['refreshed-api-token'] !== undefined) return 'a reissued token that is no one result’s';
    if (replies.some(({ outcome }) => outcome !== 'ok')) return null;
    /** @type {{ results: Record<string, unknown>[] }} */
    const { results, ...rest } = JSON.parse(body);
    if (results.length !== tokens.length || Object.keys(rest).length > 0)
      return `${status} with other than ${tokens.length} results`;
    for (const [place, reply] of replies.entries()) {
      const { refreshed_token: successor, ...state } = /** @type {Record<string, unknown>} */ (
        results[place]
      );
      readState(reply, state, /** @type {Token} */ (tokens[place]));
      reply.reissued = successor === undefined ? null : received(String(successor), 'reissued', reply).id;
    }
    return null;
  }

  /** @param {Reply} reply @param {Answer} answer @param {Token} token */
  function readSession(reply, answer, token) {
    if (reply.outcome === 'ok')
      note(reply, [
        ...findOtherClaims(JSON.parse(reply.body), token, {}),
        ...findOtherHeaders(answer.headers, token),
      ]);
    return readReissued(reply, answer);
  }

  /** @param {Reply} reply @param {Answer} answer @param {Token} token */
  function readList(reply, answer, token) {
    const wrong = readReissued(reply, answer);
    const isStepped = steppedUp.has(token.lineage) || token.claims['client_id'] !== FIRST_PARTY;
    return reply.outcome === 'ok' ? (readSessions(reply, token, isStepped) ?? wrong) : wrong;
  }

  return { readPair, readSingle, readIntrospection, readBatch, readSession, readList };
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

/** @param {Reply} reply @param {unknown} told @param {Token} token */
function readState(reply, told, token) {
  reply.active = !isDeepStrictEqual(told, DEAD);
  if (reply.active) note(reply, findOtherClaims(told, token, LIVE));
}

/** Claims and headers that are not the token's own: for the checker to judge. @param {Reply} reply @param {string[]} others */
function note(reply, others) {
  if (others.length > 0) reply.others = others;
}

/** @param {Reply} reply @param {Token} token @param {boolean} isStepped whether its `auth_time` may be another than that of the opening */
function readSessions(reply, { sid, claims }, isStepped) {
  /** @type {{ sessions: { id: string, current: boolean, created_at: string, last_used_on: string, expires_at: string }[] }} */
  const { sessions } = JSON.parse(reply.body);
  reply.sids = sessions.map(({ id }) => id);
  reply.current = sessions.flatMap(({ id, current }) => (current ? [id] : []));
  const own = sessions.find(({ id }) => id === sid);
  if (own === undefined) return null;
  const [openedAt, expiresAt] = [own.created_at, own.expires_at].map((time) => Date.parse(time) / 1000);
  const isRight =
    (isStepped || Math.floor(openedAt ?? NaN) === claims['auth_time']) &&
    expiresAt === claims['session_exp'] &&
    /^\d{4}-\d\d-\d\d$/.test(own.last_used_on) &&
    own.last_used_on >= own.created_at.slice(0, 10);
  return isRight ? null : `other times of a session than its token's: ${JSON.stringify(own)}`;
}
