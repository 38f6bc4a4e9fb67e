// @ts-check
// What administrators order over HTTP: ends in each way, with the rows that these wrote, and lifts of them.
import { whoseOf } from './users.js';

/** @typedef {import('./history.js').Row} Row */
/** @typedef {import('./history.js').Token} Token */
/** @typedef {import('./asking.js').Caller} Caller */
/** @typedef {import('./asking.js').Replica} Replica */
/** @typedef {import('./asking.js').Reply} Reply */
/** @typedef {import('./asking.js').Subject} Subject */
/** @typedef {import('./asking.js').Wire} Wire */

/**
 * What is to be ended: one way of the contract; times in milliseconds since 1970.
 *
 * @typedef {{ by: 'session_ids', sids: string[] }
 *   | { by: 'user_ids', users: import('./users.js').Named[] }
 *   | { by: 'jti', lineage: string, generation: number }
 *   | { by: 'token', token: Token }
 *   | { by: 'ip', network: string, since: number, until: number }
 *   | { by: 'all', before: number }
 *   | { by: 'now' }} Target
 */

/** @typedef {{ administrator: number, isDryRun?: boolean, mostSessions?: number }} How */

/** More than any order of an administrator writes: one page is all. */
const PAGE = 200;

const timeText = (/** @type {number} */ ms) => new Date(ms).toISOString();

/** As the contract has it. @param {Target} target */
function wordsOf(target) {
  switch (target.by) {
    case 'session_ids':
      return { session_ids: target.sids };
    case 'user_ids':
      return { user_ids: target.users.map(({ id }) => id) };
    case 'jti':
      return { jti: `${target.lineage}.${target.generation}` };
    case 'token':
      return { token: target.token.text };
    case 'ip':
      return { ip: target.network, since: timeText(target.since), until: timeText(target.until) };
    case 'all':
      return { all: true, opened_before: timeText(target.before) };
    case 'now':
      return { all: true, opened_before: 'now' };
  }
}

/** As the history has it. @param {Target} target */
function recordOf(target) {
  if (target.by === 'user_ids')
    return { by: target.by, users: target.users.map((user) => whoseOf(user).user) };
  if (target.by === 'token') return { by: target.by, token: target.token.id };
  if (target.by !== 'jti') return target;
  return { by: target.by, lineage: target.lineage };
}

/**
 * @param {object} options
 * @param {ReturnType<typeof import('./asking.js').createAsking>['ask']} options.ask
 * @param {import('./users.js').ClientOf} options.clientOf
 */
export function createOrders({ ask, clientOf }) {
  return {
    /** @param {Caller} caller @param {Replica} replica @param {Target} target @param {How} how */
    order: (caller, replica, target, { administrator, isDryRun = false, mostSessions }) => {
      const { actor, headers } = clientOf(administrator);
      return ask(
        caller,
        replica,
        { kind: 'order', ...recordOf(target), isDryRun, actor },
        {
          method: 'POST',
          path: '/admin/revocations',
          headers,
          body: JSON.stringify({
            ...wordsOf(target),
            ...(isDryRun ? { dry_run: true } : {}),
            ...(mostSessions === undefined ? {} : { max_sessions: mostSessions }),
          }),
          success: 200,
          refusals: ['too_many_sessions', ...REFUSED_BY[target.by]],
        },
        {},
        readOrder,
      );
    },

    /** What an order has written. @param {Caller} caller @param {Replica} replica @param {string} ending @param {{ administrator: number }} how */
    rows: (caller, replica, ending, { administrator }) =>
      ask(
        caller,
        replica,
        { kind: 'rows', ending },
        {
          method: 'GET',
          path: `/admin/revocations?ending_id=${ending}&limit=${PAGE}`,
          headers: clientOf(administrator).headers,
          success: 200,
          refusals: [],
        },
        {},
        readRows,
      ),

    /** @param {Caller} caller @param {Replica} replica @param {Row} row @param {{ administrator: number }} how */
    lift: (caller, replica, { id, kind, target }, { administrator }) => {
      const { actor, headers } = clientOf(administrator);
      return ask(
        caller,
        replica,
        { kind: 'lift', row: id, rowKind: kind, target, actor },
        {
          method: 'POST',
          path: `/admin/revocations/${id}/lift`,
          headers,
          body: '{"note":"it was no leak"}',
          success: 200,
          refusals: ['not_found', 'not_liftable'],
        },
        {},
        readLift,
      );
    },
  };
}

/** A token of a key that was retired is nobody's; a time by the clock of this machine may be one to come. @type {Record<Target['by'], string[]>} */
const REFUSED_BY = {
  session_ids: [],
  user_ids: [],
  jti: [],
  token: ['invalid_request'],
  ip: [],
  all: ['invalid_request'],
  now: [],
};

/** Final. @type {Set<unknown>} */
const BY_EPOCH = new Set(['user_ids', 'all', 'now']);

/** @param {unknown[]} numbers */
const areCounts = (...numbers) => numbers.every((number) => Number.isInteger(number) && Number(number) >= 0);

/** @param {Reply} reply */
function readOrder(reply) {
  if (reply.outcome !== 'ok') return null;
  const said = JSON.parse(reply.body);
  if (reply.isDryRun === true) {
    reply.counted = null;
    return areCounts(said.sessions, said.users, said.tokens) && said.ending_id === undefined
      ? null
      : 'not what a dry run foresees';
  }
  reply.ending = String(said.ending_id);
  reply.counted = said.sessions_ended + said.tokens;
  reply.reached = said.users;
  const isLiftable = !BY_EPOCH.has(reply.by);
  if (!areCounts(said.sessions_ended, said.users, said.tokens)) return 'no numbers of what has ended';
  return said.liftable === isLiftable ? null : `liftable: ${said.liftable}`;
}

/** @param {Reply} reply */
function readRows(reply) {
  if (reply.outcome !== 'ok') return null;
  /** @type {{ revocations: (Row & { ending_id: string, liftable: boolean })[], next: string | null }} */
  const { revocations, next } = JSON.parse(reply.body);
  if (next !== null) return 'more rows than a page holds';
  if (revocations.some((row) => row.ending_id !== reply.ending)) return 'a row of another order';
  if (revocations.some(({ kind, liftable }) => liftable === (kind === 'user')))
    return 'a row that says the wrong thing of lifts';
  reply.rows = revocations.map(({ id, kind, target }) => ({ id, kind, target }));
  return null;
}

/** @param {Reply} reply */
function readLift(reply) {
  if (reply.outcome !== 'ok') return null;
  const { restored, ...rest } = JSON.parse(reply.body);
  reply.restored = restored === 1;
  return (restored === 0 || restored === 1) && Object.keys(rest).length === 0 ? null : 'not what a lift says';
}
