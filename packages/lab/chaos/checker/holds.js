// @ts-check
// What operators' orders ended, for good or until it is lifted, and when each was surely in force, or may have been.
//
// Certain because an order is decided before its answer, and a lift after its request began: between the two nothing that an order
// has written a row for is alive. Of what it named and wrote no row for, something else had ended it: that is dead until a lift of
// another row of it begins. Nobody lifts a row that nobody was shown, so an order without an answer ends for good, if at all.
import { latestEffect } from './deadlines.js';
import { firstOf } from './first-of.js';
import { groupBy } from './group.js';
import { createSpans } from './spans.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('./world.js').Mortal} Mortal */
/** @typedef {import('./world.js').Session} Session */
/** @typedef {import('./world.js').Lineage} Lineage */

/**
 * @typedef {object} Hold of one order on one session or lineage
 * @property {Operation} order
 * @property {string | null} row null where it is not known to have one
 * @property {number} sureFrom
 * @property {number} sureUntil
 * @property {number} from when it may have been in force, if it has a row
 * @property {number} until
 * @property {boolean} mayBeLifted a lift of its row was asked for
 */

/**
 * @typedef {object} Reached
 * @property {Mortal} mortal
 * @property {string} target as a row names it
 * @property {boolean} isSure whether an order that was answered has surely seen it
 */

/** Orders that may have ended something. @param {Operation} operation */
export function isOrder({ kind, outcome, isDryRun }) {
  return kind === 'order' && outcome !== 'refused' && isDryRun !== true;
}

/** Orders that raise the epoch of the service, as a retired key does. @param {Operation} operation */
export function endsEverything(operation) {
  return isOrder(operation) && operation.by === 'now';
}

/**
 * @param {import('../history.js').History} history
 * @param {Map<string, Session>} sessions
 * @param {Map<string, Lineage>} lineages
 * @param {import('./world.js').Subjects} subjects
 */
export function holdByOrders({ operations, epochMs, rules }, sessions, lineages, subjects) {
  const orders = operations.filter(isOrder);
  if (orders.length === 0) return;
  const openedBetween = sortByOpening(sessions);
  const longestMs = 1000 * rules.sessionTtl + EXPIRED_MS;
  const reachOf = createReach(
    { sessions, lineages, openedBetween, ...subjects },
    ({ start }) => epochMs + start - longestMs,
  );
  const rows = rowsOfOrders(operations);
  const lifts = operations.filter(({ kind, outcome }) => kind === 'lift' && outcome !== 'refused');
  const liftsOfRow = groupBy(lifts, ({ row }) => row ?? '');
  const liftsOfTarget = groupBy(lifts, ({ target }) => target ?? '');
  for (const order of orders) {
    for (const { mortal, target, isSure } of reachOf(order)) {
      if (order.by === 'all') {
        endForGood(mortal, order);
        continue;
      }
      mortal.isNamed = true;
      const row = order.outcome === 'ok' ? (rows.get(order.ending ?? '')?.get(target) ?? null) : null;
      if (row !== null) {
        mortal.holds.push(holdOfRow(order, row, liftsOfRow.get(row) ?? []));
        continue;
      }
      addSpan(mortal, order);
      if (order.outcome === 'ok' && isSure)
        mortal.holds.push(holdWithoutRow(order, liftsOfTarget.get(target) ?? []));
    }
  }
}

/** As far as anybody was shown them, by ending, and then by target. @param {Operation[]} operations @returns {Map<string, Map<string, string>>} */
export function rowsOfOrders(operations) {
  const found = new Map();
  for (const { kind, outcome, ending, rows = [] } of operations)
    if (kind === 'rows' && outcome === 'ok')
      found.set(ending, new Map(rows.map(({ id, target }) => [target, id])));
  return found;
}

/** @param {Operation} order @param {string} row @param {Operation[]} lifts of that row @returns {Hold} */
function holdOfRow(order, row, lifts) {
  const done = lifts.filter(({ outcome }) => outcome === 'ok');
  return {
    order,
    row,
    sureFrom: order.end,
    sureUntil: Math.min(Infinity, ...lifts.map(({ start }) => start)),
    from: order.start,
    until: Math.min(Infinity, ...done.map(({ end }) => end)),
    mayBeLifted: lifts.length > 0,
  };
}

/** @param {Operation} order @param {Operation[]} lifts of any row of the same target @returns {Hold} */
function holdWithoutRow(order, lifts) {
  const later = lifts.filter((lift) => latestEffect(lift) >= order.start);
  return {
    order,
    row: null,
    sureFrom: order.end,
    sureUntil: Math.min(Infinity, ...later.map(({ start }) => start)),
    from: Infinity,
    until: -Infinity,
    mayBeLifted: false,
  };
}

/** @param {Mortal} mortal @param {Operation} order */
function endForGood(mortal, order) {
  addSpan(mortal, order);
  mortal.finals ??= createSpans();
  mortal.finals.add({ from: order.start, until: latestEffect(order), of: order });
  if (order.outcome === 'ok') mortal.ended = firstOf(mortal.ended, order);
}

/** @param {Mortal} mortal @param {Operation} order */
function addSpan(mortal, order) {
  mortal.ends ??= createSpans();
  mortal.ends.add({ from: order.start, until: latestEffect(order), of: order });
}

/** What expired so long before an order needs nothing to end it. */
const EXPIRED_MS = 60_000;

/**
 * @param {import('./world.js').Subjects & { sessions: Map<string, Session>, lineages: Map<string, Lineage>,
 *   openedBetween: ReturnType<typeof sortByOpening> }} world
 * @param {(order: Operation) => number} oldestMs when the oldest session can have been opened that an order may end
 * @returns {(order: Operation) => Reached[]}
 */
function createReach({ sessions, lineages, openedBetween, tokenOf, sessionOf, lineageOf }, oldestMs) {
  /** @param {string} target @param {Mortal | null | undefined} mortal @param {boolean=} isSure */
  const one = (target, mortal, isSure = true) => (mortal ? [{ mortal, target, isSure }] : []);
  return (order) => {
    switch (order.by) {
      case 'session_ids':
        return (order.sids ?? []).flatMap((sid) => one(sid, sessions.get(sid)));
      case 'jti': {
        const { lineage = '' } = order;
        return one(lineage, sessions.get(lineage) ?? lineages.get(lineage));
      }
      case 'token': {
        const token = tokenOf(order.token);
        return one(token.lineage, lineageOf(token) ?? sessionOf(token));
      }
      case 'ip': {
        const { network = '', since = Infinity, until = -Infinity } = order;
        const isFrom = rangeOf(network);
        return openedBetween(Math.max(since, oldestMs(order)), until).flatMap((session) => {
          const { client = -1, end = Infinity } = session.login ?? {};
          return isFrom(client) ? one(session.sid, session, end < order.start) : [];
        });
      }
      case 'all':
        return openedBetween(oldestMs(order), order.before ?? -Infinity).flatMap((session) =>
          one(session.sid, session),
        );
      default:
        return [];
    }
  };
}

/** Of sessions whose opening was answered: those that were opened from a time on and before another. @param {Map<string, Session>} sessions */
function sortByOpening(sessions) {
  const sorted = [...sessions.values()]
    .filter(({ login }) => login !== null)
    .map((session) => ({ session, openedMs: openedMsOf(session.sid) }))
    .toSorted((a, b) => a.openedMs - b.openedMs);

  /** @param {number} moment */
  function firstFrom(moment) {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (/** @type {{ openedMs: number }} */ (sorted[middle]).openedMs >= moment) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  return (/** @type {number} */ since, /** @type {number} */ until) =>
    sorted.slice(firstFrom(since), firstFrom(until)).map(({ session }) => session);
}

/** When a session was opened by the database's clock, in milliseconds since 1970. @param {string} sid a UUIDv7 */
function openedMsOf(sid) {
  return Number.parseInt(sid.slice(0, 8) + sid.slice(9, 13), 16);
}

const IPV4_BITS = 32;
const CLIENT_BITS = 24;

/** Whether clients have addresses of a network: those are 10.0.0.0 and their number (clients/scene.js). @param {string} network */
function rangeOf(network) {
  const [address = '', bits = IPV4_BITS] = network.split('/');
  const [, ...bytes] = address.split('.').map(Number);
  const first = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  const size = 2 ** (IPV4_BITS - Number(bits));
  const begin = first - (first % size);
  return (/** @type {number} */ client) => {
    const number = client % 2 ** CLIENT_BITS;
    return number >= begin && number < begin + size;
  };
}

/**
 * The hold that was surely in force in all of a bracket.
 *
 * @param {Mortal | null} mortal
 * @param {{ start: number, end: number }} bracket
 * @returns {Hold | null}
 */
export function findSureHold(mortal, { start, end }) {
  return mortal?.holds.find(({ sureFrom, sureUntil }) => sureFrom < start && end <= sureUntil) ?? null;
}

/**
 * Whether an order's row may have been in force at any moment of a bracket.
 *
 * @param {Mortal | null} mortal
 * @param {{ start: number, end: number }} bracket
 * @param {string | null=} exceptRow
 */
export function mayBeHeld(mortal, { start, end }, exceptRow = null) {
  return (mortal?.holds ?? []).some(
    ({ row, from, until }) => from < end && start < until && (exceptRow === null || row !== exceptRow),
  );
}

/**
 * Whether what was found dead in a bracket may be alive later, since that row was lifted.
 *
 * @param {Mortal | null} mortal
 * @param {{ start: number, end: number }} bracket
 * @param {string | null=} exceptRow
 */
export function mayComeBack(mortal, { start, end }, exceptRow = null) {
  return (mortal?.holds ?? []).some(
    ({ row, from, until, mayBeLifted }) =>
      mayBeLifted && from < end && start < until && (exceptRow === null || row !== exceptRow),
  );
}
