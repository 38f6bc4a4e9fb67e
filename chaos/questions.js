// @ts-check
// What clients ask of the service: each endpoint as one question, with the answers that the contract allows.
import { createAsking } from './asking.js';
import { findOtherClaims, findOtherHeaders } from './form.js';

/** @typedef {import('./history.js').Token} Token */
/** @typedef {import('./asking.js').Caller} Caller */
/** @typedef {import('./asking.js').Replica} Replica */
/** @typedef {import('./asking.js').Reply} Reply */
/** @typedef {import('./asking.js').Manner} Manner */
/** @typedef {import('./asking.js').Manners} Manners */
/** @typedef {import('./asking.js').Done} Done */
/** @typedef {ReturnType<typeof createQuestions>} Questions */

const JSON_BODY = { 'content-type': 'application/json' };
const FORM = 'application/x-www-form-urlencoded';

/**
 * @param {object} options
 * @param {import('./http.js').Http} options.http
 * @param {{ token: (text: string) => Token, add: (operation: Done) => unknown }} options.recorder
 * @param {{ id: string, secret: string }} options.client
 * @param {((token: Token) => void)=} options.onToken is given each token that was received, once
 */
export function createQuestions({ client, ...options }) {
  const { ask, readPair, readReissued, manners } = createAsking(options);
  const basic = `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}`;
  const form = { 'content-type': FORM, authorization: basic };
  /** A question with a live access token. @param {Token} token */
  const bearer = (token) => ({ authorization: `Bearer ${token.text}` });

  return {
    manners,

    /** @param {Caller} caller @param {Replica} replica @param {{ username: string, password: string, version: number, honest: boolean, id?: string, scope?: string }} who @param {Manner=} manner */
    login: (caller, replica, { username, password, version, honest, id, scope }, manner = {}) =>
      ask(
        caller,
        replica,
        {
          kind: 'login',
          user: username,
          password: version,
          honest,
          ...(id === undefined ? {} : { sub: id, scope }),
        },
        {
          method: 'POST',
          path: '/login',
          headers: JSON_BODY,
          body: JSON.stringify({ username, password }),
          success: 200,
          refusals: ['invalid_credentials'],
        },
        manner,
        (reply) => (reply.outcome === 'ok' ? readPair(reply) : null),
      ),

    /** @param {Caller} caller @param {Replica} replica @param {Token} token @param {Manner=} manner */
    refresh: (caller, replica, token, manner = {}) =>
      ask(
        caller,
        replica,
        { kind: 'refresh', token: token.id },
        {
          method: 'POST',
          path: '/refresh',
          headers: JSON_BODY,
          body: `{"refresh_token":"${token.text}"}`,
          success: 200,
          refusals: ['invalid_token', 'refresh_reused', 'refresh_superseded'],
        },
        manner,
        (reply) => (reply.outcome === 'ok' ? readPair(reply) : null),
      ),

    /** @param {Caller} caller @param {Replica} replica @param {Token} token @param {Manner=} manner */
    introspect: (caller, replica, token, manner = {}) =>
      ask(
        caller,
        replica,
        { kind: 'introspect', token: token.id },
        {
          method: 'POST',
          path: '/introspect',
          headers: form,
          body: `token=${token.text}`,
          success: 200,
          refusals: [],
        },
        manner,
        (reply, answer) => {
          if (reply.outcome !== 'ok') return null;
          const wrong = readReissued(reply, answer);
          reply.active = reply.body !== '{"active":false}';
          if (reply.active)
            note(reply, findOtherClaims(reply.body, token, { active: true, token_type: 'Bearer' }));
          return wrong;
        },
      ),

    /** @param {Caller} caller @param {Replica} replica @param {Token} token @param {Manner=} manner */
    session: (caller, replica, token, manner = {}) =>
      ask(
        caller,
        replica,
        { kind: 'session', token: token.id },
        {
          method: 'GET',
          path: '/session',
          headers: bearer(token),
          success: 200,
          refusals: ['invalid_token'],
        },
        manner,
        (reply, answer) => {
          const wrong = readReissued(reply, answer);
          if (reply.outcome === 'ok')
            note(reply, [
              ...findOtherClaims(reply.body, token, {}),
              ...findOtherHeaders(answer.headers, token),
            ]);
          return wrong;
        },
      ),

    /** @param {Caller} caller @param {Replica} replica @param {Token} token @param {Manner=} manner */
    list: (caller, replica, token, manner = {}) =>
      ask(
        caller,
        replica,
        { kind: 'list', token: token.id },
        {
          method: 'GET',
          path: '/sessions',
          headers: bearer(token),
          success: 200,
          refusals: ['invalid_token'],
        },
        manner,
        (reply, answer) => {
          const wrong = readReissued(reply, answer);
          if (reply.outcome !== 'ok') return wrong;
          return readList(reply, token) ?? wrong;
        },
      ),

    /** With either token. @param {Caller} caller @param {Replica} replica @param {Token} token @param {Manner=} manner */
    logout: (caller, replica, token, manner = {}) =>
      ask(
        caller,
        replica,
        { kind: 'logout', token: token.id },
        {
          method: 'POST',
          path: '/logout',
          ...(token.type === 'access'
            ? { headers: bearer(token) }
            : { headers: JSON_BODY, body: `{"refresh_token":"${token.text}"}` }),
          success: 204,
          refusals: ['invalid_token'],
        },
        manner,
        () => null,
      ),

    /** @param {Caller} caller @param {Replica} replica @param {Token} token @param {{ exceptCurrent: boolean }} how @param {Manner=} manner */
    logoutAll: (caller, replica, token, { exceptCurrent }, manner = {}) =>
      ask(
        caller,
        replica,
        { kind: 'logout-all', token: token.id, exceptCurrent },
        {
          method: 'POST',
          path: '/logout-all',
          headers: { ...bearer(token), ...(exceptCurrent ? JSON_BODY : {}) },
          body: exceptCurrent ? '{"except_current":true}' : '',
          success: 200,
          refusals: ['invalid_token'],
        },
        manner,
        (reply) => {
          if (reply.outcome !== 'ok') return null;
          reply.ended = JSON.parse(reply.body).sessions_ended;
          return Number.isInteger(reply.ended) ? null : 'no number of sessions';
        },
      ),

    /** @param {Caller} caller @param {Replica} replica @param {Token} token @param {string} sid @param {Manner=} manner */
    endSession: (caller, replica, token, sid, manner = {}) =>
      ask(
        caller,
        replica,
        { kind: 'end-session', token: token.id, sid },
        {
          method: 'DELETE',
          path: `/sessions/${sid}`,
          headers: bearer(token),
          success: 204,
          refusals: ['invalid_token', 'not_found'],
        },
        manner,
        () => null,
      ),

    /** With either token, as a client may. @param {Caller} caller @param {Replica} replica @param {Token} token @param {Manner=} manner */
    revoke: (caller, replica, token, manner = {}) =>
      ask(
        caller,
        replica,
        { kind: 'revoke', token: token.id },
        {
          method: 'POST',
          path: '/revoke',
          headers: form,
          body: `token=${token.text}`,
          success: 200,
          refusals: [],
        },
        manner,
        () => null,
      ),
  };
}

/** Claims and headers that are not the token's own: for the checker to judge. @param {Reply} reply @param {string[]} others */
function note(reply, others) {
  if (others.length > 0) reply.others = others;
}

/** @param {Reply} reply @param {Token} token */
function readList(reply, { sid, claims }) {
  /** @type {{ sessions: { id: string, current: boolean, created_at: string, last_used_at: string, expires_at: string }[] }} */
  const { sessions } = JSON.parse(reply.body);
  reply.sids = sessions.map(({ id }) => id);
  reply.current = sessions.flatMap(({ id, current }) => (current ? [id] : []));
  const own = sessions.find(({ id }) => id === sid);
  if (own === undefined) return null;
  const [openedAt, usedAt, expiresAt] = [own.created_at, own.last_used_at, own.expires_at].map(
    (time) => Date.parse(time) / 1000,
  );
  const isRight =
    Math.floor(openedAt ?? NaN) === claims['auth_time'] &&
    expiresAt === claims['session_exp'] &&
    (usedAt ?? NaN) >= (openedAt ?? NaN);
  return isRight ? null : `other times of a session than its token's: ${JSON.stringify(own)}`;
}
