// @ts-check
// What administrators ask about users: who is added, deleted and exported, and who is given another scope.

/** @typedef {import('./asking.js').Caller} Caller */
/** @typedef {import('./asking.js').Replica} Replica */
/** @typedef {import('./asking.js').Reply} Reply */

/** Whose request it is: a number of one of the administrators. @typedef {{ administrator: number }} How */

/** @typedef {{ id: string, username: string, label?: string }} Named */

/** How events and requests name an administrator. @typedef {(administrator: number) => { actor: string, headers: Record<string, string> }} ClientOf */

/** Of an export; `next` is null, as one part holds all that a run keeps about a user. */
const EXPORTED = [
  'attempts',
  'code_expires_at',
  'events',
  'known_networks',
  'next',
  'revocations',
  'sessions',
  'user',
];

/** What no export shows: hashes of passwords and of codes, and tokens. */
const SECRET = /\$argon2|hash|eyJ[\w-]{10}/;

/** As the history names somebody. @param {Pick<Named, 'username' | 'label'>} user */
export function whoseOf({ username, label = username }) {
  return label === username ? { user: username } : { user: label, username };
}

/**
 * @param {object} options
 * @param {ReturnType<typeof import('./asking.js').createAsking>['ask']} options.ask
 * @param {ClientOf} options.clientOf
 */
export function createUsers({ ask, clientOf }) {
  return {
    /** @param {Caller} caller @param {Replica} replica @param {Named} user @param {string} scope @param {How} how */
    changeScope: (caller, replica, user, scope, { administrator }) => {
      const { actor, headers } = clientOf(administrator);
      return ask(
        caller,
        replica,
        { kind: 'scope', ...whoseOf(user), sub: user.id, scope, actor },
        {
          method: 'PATCH',
          path: `/admin/users/${user.id}`,
          headers,
          body: JSON.stringify({ scope }),
          success: 200,
          refusals: ['not_found'],
        },
        {},
        (reply) =>
          reply.outcome === 'ok' && JSON.parse(reply.body).username !== user.username
            ? 'another user than the one that was changed'
            : null,
      );
    },

    /** @param {Caller} caller @param {Replica} replica @param {Named} user @param {How} how */
    deleteUser: (caller, replica, user, { administrator }) => {
      const { actor, headers } = clientOf(administrator);
      const { 'content-type': _, ...bodiless } = headers;
      return ask(
        caller,
        replica,
        { kind: 'delete', ...whoseOf(user), sub: user.id, actor },
        { method: 'DELETE', path: `/admin/users/${user.id}`, headers: bodiless, success: 204, refusals: [] },
        {},
        () => null,
      );
    },

    /**
     * @param {Caller} caller
     * @param {Replica} replica
     * @param {{ username: string, label: string, scope: string, password: string, heir: string | null }} user `heir`: of whom the name is taken over
     * @param {How} how
     */
    addUser: (caller, replica, { password, heir, scope, ...user }, { administrator }) => {
      const { actor, headers } = clientOf(administrator);
      return ask(
        caller,
        replica,
        { kind: 'add-user', ...whoseOf(user), scope, actor, ...(heir === null ? {} : { heir }) },
        {
          method: 'POST',
          path: '/admin/users',
          headers,
          body: JSON.stringify({ username: user.username, scope, password }),
          success: 201,
          refusals: ['username_taken'],
        },
        {},
        (reply) => readAdded(reply, user.username, scope),
      );
    },

    /** @param {Caller} caller @param {Replica} replica @param {Named} user @param {How} how */
    exportUser: (caller, replica, user, { administrator }) => {
      const { actor, headers } = clientOf(administrator);
      return ask(
        caller,
        replica,
        { kind: 'export', ...whoseOf(user), sub: user.id, actor },
        {
          method: 'GET',
          path: `/admin/users/${user.id}/export`,
          headers,
          success: 200,
          refusals: ['not_found'],
        },
        {},
        (reply) => readExport(reply, user),
      );
    },
  };
}

/** @param {Reply} reply @param {string} username @param {string} scope */
function readAdded(reply, username, scope) {
  if (reply.outcome !== 'ok') return null;
  const { id, ...shown } = JSON.parse(reply.body);
  reply.sub = String(id);
  return shown.username === username && shown.scope === scope && shown.has_password === true
    ? null
    : 'another user than the one that was added';
}

/** @param {Reply} reply @param {Named} user */
function readExport(reply, { id, username }) {
  if (reply.outcome !== 'ok') return null;
  if (SECRET.test(reply.body)) return 'an export that shows what is secret';
  /** @type {{ user: { id: string, username: string }, sessions: { id: string }[], next: string | null }} */
  const told = JSON.parse(reply.body);
  if (Object.keys(told).toSorted().join() !== EXPORTED.join() || told.next !== null)
    return `an export of other parts: ${Object.keys(told).join()}`;
  reply.sids = told.sessions.map((session) => session.id);
  return told.user.id === id && told.user.username === username ? null : 'an export of another user';
}
