// @ts-check
// What backends ask: sessions that they open for users of their own, change and end.
import { labelOf } from './subjects.js';

/** @typedef {import('./history.js').Said} Said */
/** @typedef {import('./asking.js').Caller} Caller */
/** @typedef {import('./asking.js').Replica} Replica */
/** @typedef {import('./asking.js').Reply} Reply */

/** A backend's user: a number of one of the backends, and what that calls the user. @typedef {{ backend: number, externalId: string, username: string }} Subject */

/** @typedef {(backend: number) => { id: string, actor: string, headers: Record<string, string> }} BackendOf */

/** What is said to be there, as a request says it. @param {Said} said */
const withoutNull = (said) => Object.fromEntries(Object.entries(said).filter(([, value]) => value !== null));

/**
 * @param {object} options
 * @param {ReturnType<typeof import('./asking.js').createAsking>['ask']} options.ask
 * @param {BackendOf} options.backendOf
 * @param {(reply: Reply) => string | null} options.readPair
 */
export function createBackends({ ask, backendOf, readPair }) {
  /** As the history has it. @param {Subject} subject */
  function whose({ backend, externalId, username }) {
    const { id, actor } = backendOf(backend);
    return { backend: id, actor, user: labelOf(id, externalId), username, sub: externalId };
  }

  return {
    /** For the user at the caller's address. @param {Caller} caller @param {Replica} replica @param {Subject} subject @param {Said} said */
    openFor: (caller, replica, subject, said) =>
      ask(
        caller,
        replica,
        { kind: 'open', ...whose(subject), said, honest: true },
        {
          method: 'POST',
          path: '/sessions',
          headers: backendOf(subject.backend).headers,
          body: JSON.stringify({
            external_id: subject.externalId,
            username: subject.username,
            ip: caller.address,
            ...withoutNull(said),
          }),
          success: 201,
          refusals: [],
        },
        {},
        readPair,
      ),

    /**
     * @param {Caller} caller
     * @param {Replica} replica
     * @param {number} backend who asks, whosever the session is
     * @param {string} sid
     * @param {{ said: Said, patch: Record<string, unknown> }} change what is said of the session then, where it is changed, and the request for it
     */
    changeSession: (caller, replica, backend, sid, { said, patch }) => {
      const { id, actor, headers } = backendOf(backend);
      return ask(
        caller,
        replica,
        { kind: 'change', backend: id, actor, sid, said },
        {
          method: 'PATCH',
          path: `/sessions/${sid}`,
          headers,
          body: JSON.stringify(patch),
          success: 200,
          refusals: ['not_found'],
        },
        {},
        (reply) => readChanged(reply),
      );
    },

    /** @param {Caller} caller @param {Replica} replica @param {number} backend who asks, whosever the session is @param {string} sid */
    endSessionOf: (caller, replica, backend, sid) => {
      const { id, actor, headers } = backendOf(backend);
      const { 'content-type': _, ...bodiless } = headers;
      return ask(
        caller,
        replica,
        { kind: 'client-end', backend: id, actor, sid },
        {
          method: 'DELETE',
          path: `/sessions/${sid}`,
          headers: bodiless,
          success: 204,
          refusals: ['not_found'],
        },
        {},
        () => null,
      );
    },

    /** @param {Caller} caller @param {Replica} replica @param {Subject} subject */
    endAllOf: (caller, replica, subject) =>
      ask(
        caller,
        replica,
        { kind: 'client-end-all', ...whose(subject) },
        {
          method: 'POST',
          path: '/logout-all',
          headers: backendOf(subject.backend).headers,
          body: JSON.stringify({ external_id: subject.externalId }),
          success: 200,
          refusals: [],
        },
        {},
        (reply) => {
          if (reply.outcome !== 'ok') return null;
          reply.ended = JSON.parse(reply.body).sessions_ended;
          return Number.isInteger(reply.ended) ? null : 'no number of sessions';
        },
      ),
  };
}

/** The session is shown with what is said of it now. @param {Reply} reply */
function readChanged(reply) {
  if (reply.outcome !== 'ok') return null;
  const shown = JSON.parse(reply.body);
  if (shown.id !== reply.sid) return 'another session than the one that was changed';
  /** As they are shown where nothing is said. @type {Record<string, unknown>} */
  const nothing = { scope: '', ext: {}, amr: [], acr: null };
  const wrong = Object.entries(reply.said ?? {}).filter(
    ([name, value]) => JSON.stringify(shown[name]) !== JSON.stringify(value ?? nothing[name]),
  );
  return wrong.length === 0
    ? null
    : `other claims than were asked for: ${wrong.map(([name]) => name).join()}`;
}
