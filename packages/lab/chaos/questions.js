// @ts-check
// What clients ask of the service: each endpoint as one question, with the answers that the contract allows.
import { createAsking } from './asking.js';
import { createBackends } from './backends.js';
import { createOrders } from './orders.js';
import { createReading } from './reading.js';
import { createUsers, whoseOf } from './users.js';

/** @typedef {import('./history.js').Token} Token */
/** @typedef {import('./http.js').Answer} Answer */
/** @typedef {import('./asking.js').Caller} Caller */
/** @typedef {import('./asking.js').Replica} Replica */
/** @typedef {import('./asking.js').Reply} Reply */
/** @typedef {import('./asking.js').Wire} Wire */
/** @typedef {import('./asking.js').Manner} Manner */
/** @typedef {import('./asking.js').Manners} Manners */
/** @typedef {import('./asking.js').Done} Done */
/** @typedef {ReturnType<typeof createQuestions>} Questions */

const JSON_BODY = { 'content-type': 'application/json' };
const FORM = 'application/x-www-form-urlencoded';

/** What may be refused to a bearer. */
const NO_TOKEN = ['invalid_token'];

/** Nothing to read. */
const empty = () => null;

/** As events name a client. @param {{ id: string }} client */
const actorOf = ({ id }) => `client:${id}`;

/** @param {{ id: string, secret: string }} client */
const basicOf = ({ id, secret }) => `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;

/** @param {Token} token */
const bearer = (token) => ({ authorization: `Bearer ${token.text}` });

/** @param {Token} token @param {string} method @param {string} path @returns {Wire} */
const bearing = (token, method, path) => ({
  method,
  path,
  headers: bearer(token),
  success: 200,
  refusals: NO_TOKEN,
});

/** @param {Token} token */
const inBody = (token) => ({ headers: JSON_BODY, body: `{"refresh_token":"${token.text}"}` });

/**
 * @param {object} options
 * @param {import('./http.js').Http} options.http
 * @param {{ token: (text: string) => Token, mark: () => number, add: (operation: Done) => unknown }} options.recorder
 * @param {{ id: string, secret: string }} options.client
 * @param {{ id: string, secret: string }[]=} options.administrators clients of `/admin`
 * @param {{ id: string, secret: string }[]=} options.backends clients that open sessions for users of their own
 * @param {((token: Token) => void)=} options.onToken is given each token that was received, once
 */
export function createQuestions({ client, administrators = [], backends = [], ...options }) {
  const { ask, askTogether, manners } = createAsking(options);
  const { readPair, readSingle, readIntrospection, readBatch, readSession, readList } =
    createReading(options);
  const basic = basicOf(client);
  /** @param {{ id: string, secret: string }[]} clients */
  const oneOf = (clients) => (/** @type {number} */ number) => {
    const one = clients[number % clients.length];
    if (one === undefined) throw new Error('there is no such client');
    return { id: one.id, actor: actorOf(one), headers: { ...JSON_BODY, authorization: basicOf(one) } };
  };
  const clientOf = oneOf(administrators);
  /** @param {Token} token */
  const inForm = (token) => ({
    headers: { 'content-type': FORM, authorization: basic },
    body: `token=${token.text}`,
  });

  /**
   * A question about one token, and nothing else.
   *
   * @param {string} kind
   * @param {(token: Token) => Wire} wireOf
   * @param {(reply: Reply, answer: Answer, token: Token) => string | null} read
   * @param {{ actor?: string }=} who as events name it, where the token does not say
   */
  function about(kind, wireOf, read, who = {}) {
    return (
      /** @type {Caller} */ caller,
      /** @type {Replica} */ replica,
      /** @type {Token} */ token,
      /** @type {Manner} */ manner = {},
    ) =>
      ask(caller, replica, { kind, token: token.id, ...who }, wireOf(token), manner, (reply, answer) =>
        read(reply, answer, token),
      );
  }

  return {
    manners,
    ...createOrders({ ask, clientOf }),
    ...createUsers({ ask, clientOf }),
    ...createBackends({ ask, backendOf: oneOf(backends), readPair }),

    /** @param {Caller} caller @param {Replica} replica @param {{ username: string, label?: string, password: string, version: number, honest: boolean, id?: string, scope?: string }} who @param {Manner=} manner */
    login: (caller, replica, { password, version, honest, id, scope, ...who }, manner = {}) =>
      ask(
        caller,
        replica,
        {
          kind: 'login',
          ...whoseOf(who),
          password: version,
          honest,
          ...(id === undefined ? {} : { sub: id, scope }),
        },
        {
          method: 'POST',
          path: '/login',
          headers: JSON_BODY,
          body: JSON.stringify({ username: who.username, password }),
          success: 200,
          refusals: ['invalid_credentials'],
        },
        manner,
        readPair,
      ),

    refresh: about(
      'refresh',
      (token) => ({
        method: 'POST',
        path: '/refresh',
        ...inBody(token),
        success: 200,
        refusals: ['invalid_token', 'refresh_reused', 'refresh_superseded'],
      }),
      readPair,
    ),

    introspect: about(
      'introspect',
      (token) => ({ method: 'POST', path: '/introspect', ...inForm(token), success: 200, refusals: [] }),
      readIntrospection,
    ),

    /**
     * One request about many tokens, each of which is recorded as an introspection of its own.
     *
     * @param {Caller} caller
     * @param {Replica} replica
     * @param {Token[]} tokens 1 to 256
     * @param {Manner=} manner
     */
    introspectBatch: (caller, replica, tokens, manner = {}) =>
      askTogether(
        caller,
        replica,
        tokens.map(({ id }) => ({ kind: 'introspect', token: id, batchSize: tokens.length })),
        {
          method: 'POST',
          path: '/introspect/batch',
          headers: { ...JSON_BODY, authorization: basic },
          body: JSON.stringify({ tokens: tokens.map(({ text }) => text) }),
          success: 200,
          refusals: [],
        },
        manner,
        (replies, answer) => readBatch(replies, answer, tokens),
      ),

    session: about('session', (token) => bearing(token, 'GET', '/session'), readSession),

    /** The same, if the password was given no longer ago than so many seconds. @param {Caller} caller @param {Replica} replica @param {Token} token @param {number} maxAge */
    recentSession: (caller, replica, token, maxAge) =>
      ask(
        caller,
        replica,
        { kind: 'session', token: token.id, maxAge },
        {
          ...bearing(token, 'GET', `/session?max_age=${maxAge}`),
          refusals: [...NO_TOKEN, 'insufficient_user_authentication'],
        },
        {},
        (reply, answer) => readSession(reply, answer, token),
      ),

    list: about('list', (token) => bearing(token, 'GET', '/sessions'), readList),

    /** With either token. */
    logout: about(
      'logout',
      (token) => ({
        method: 'POST',
        path: '/logout',
        ...(token.type === 'access' ? { headers: bearer(token) } : inBody(token)),
        success: 204,
        refusals: NO_TOKEN,
      }),
      empty,
    ),

    /** With either token, as a client may. */
    revoke: about(
      'revoke',
      (token) => ({ method: 'POST', path: '/revoke', ...inForm(token), success: 200, refusals: [] }),
      (reply) => (reply.outcome === 'ok' && reply.body !== '' ? 'a body where there is none' : null),
      { actor: actorOf(client) },
    ),

    /** @param {Caller} caller @param {Replica} replica @param {Token} token @param {{ exceptCurrent: boolean }} how @param {Manner=} manner */
    logoutAll: (caller, replica, token, { exceptCurrent }, manner = {}) =>
      ask(
        caller,
        replica,
        { kind: 'logout-all', token: token.id, exceptCurrent },
        {
          ...bearing(token, 'POST', '/logout-all'),
          headers: { ...bearer(token), ...(exceptCurrent ? JSON_BODY : {}) },
          body: exceptCurrent ? '{"except_current":true}' : '',
        },
        manner,
        (reply) => {
          if (reply.outcome !== 'ok') return null;
          reply.ended = JSON.parse(reply.body).sessions_ended;
          return Number.isInteger(reply.ended) ? null : 'no number of sessions';
        },
      ),

    /**
     * The user's own new password.
     *
     * @param {Caller} caller
     * @param {Replica} replica
     * @param {Token} token
     * @param {Record<'current' | 'next', { password: string, version: number }> & { username: string, label?: string, id: string, scope: string, honest: boolean }} how
     * @param {Manner=} manner
     */
    changePassword: (caller, replica, token, { current, next, id, scope, honest, ...who }, manner = {}) =>
      ask(
        caller,
        replica,
        {
          kind: 'password',
          token: token.id,
          ...whoseOf(who),
          sub: id,
          scope,
          proved: current.version,
          password: next.version,
          honest,
        },
        {
          ...bearing(token, 'POST', '/password'),
          headers: { ...bearer(token), ...JSON_BODY },
          body: JSON.stringify({ current_password: current.password, new_password: next.password }),
          refusals: ['invalid_token', 'invalid_credentials'],
        },
        manner,
        readPair,
      ),

    /** The password once more. @param {Caller} caller @param {Replica} replica @param {Token} token @param {{ username: string, label?: string, password: string, version: number }} who */
    reauthenticate: (caller, replica, token, { password, version, ...who }) =>
      ask(
        caller,
        replica,
        { kind: 'reauthenticate', token: token.id, ...whoseOf(who), proved: version },
        {
          ...bearing(token, 'POST', '/reauthenticate'),
          headers: { ...bearer(token), ...JSON_BODY },
          body: JSON.stringify({ password }),
          refusals: ['invalid_token', 'invalid_credentials'],
        },
        {},
        readSingle,
      ),

    /** @param {Caller} caller @param {Replica} replica @param {Token} token @param {string} sid @param {Manner=} manner */
    endSession: (caller, replica, token, sid, manner = {}) =>
      ask(
        caller,
        replica,
        { kind: 'end-session', token: token.id, sid },
        {
          ...bearing(token, 'DELETE', `/sessions/${sid}`),
          success: 204,
          refusals: ['invalid_token', 'not_found'],
        },
        manner,
        empty,
      ),
  };
}
