// @ts-check
// Rule K: the events of a run explain everything that was done in it, and nothing else. Who was answered that something ended, or was
// opened, added or changed, has left one event of it, with the right user, session and actor; whose question has no answer has left one
// at most; a repetition leaves none, and nothing happens that nobody has asked for.
//
// Certain because an event is written by the statement that acts, and commits with it: after an answer it is there. Each bears the mark
// of its request. Where two requests may have done the same, which of them left the event is open; that there is one is not.
import { latestEffect } from './deadlines.js';
import { expectedOf, findStates } from './expected.js';
import { groupBy } from './group.js';
import { SETTING_UP } from '../noted-events.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('../history.js').NotedEvent} NotedEvent */
/** @typedef {import('./expected.js').Expected} Expected */
/** @typedef {import('./world.js').World} World */
/** @typedef {import('./findings.js').Findings} Findings */
/** @typedef {ReturnType<typeof readEvents>} Events */

/** What may happen before anybody asks: the first replica makes the first key, and the clients of the run are made with their users. */
const AT_THE_START = new Set([
  'gatehouse key.added',
  `${SETTING_UP} client.added`,
  `${SETTING_UP} user.added`,
]);

/** Counted by each replica, and written once a minute: such an event stands for many requests, none of which has changed anything. */
const COUNTED = new Set(['request.limited', 'request.refused']);

/** @param {World} world @param {Findings} findings */
export function checkRecorded(world, findings) {
  if (world.events === null) return;
  const events = readEvents(world.events);
  checkExplained(world, events, findings);
  /** @type {Map<string, { operation: Operation, expected: Expected }[]>} */
  const things = new Map();
  for (const operation of world.operations) {
    const expected = expectedOf(operation, world);
    checkOne(operation, expected, events.of(operation), findings);
    if (expected?.thing === undefined) continue;
    const own = things.get(expected.thing) ?? [];
    own.push({ operation, expected });
    things.set(expected.thing, own);
  }
  for (const operations of things.values()) checkThing(operations, events, findings);
  for (const states of findStates(world)) checkStates(states, events, findings);
}

/** @param {NotedEvent[]} events */
function readEvents(events) {
  const ofMark = groupBy(events, ({ mark }) => mark);
  return {
    all: events,
    /** @param {Operation} operation */
    of: ({ mark }) => (mark === undefined ? [] : (ofMark.get(mark) ?? [])),
  };
}

/** @param {World} world @param {Events} events @param {Findings} findings */
function checkExplained({ operations }, { all }, findings) {
  const marks = new Set(operations.map(({ mark }) => mark));
  for (const event of all) {
    if (event.type === null) findings.reportUnasked('K', `event ${event.id} is no longer there`);
    else if (event.mark === null && COUNTED.has(event.type)) continue;
    else if (event.mark === null && AT_THE_START.has(`${event.actor} ${event.type}`)) continue;
    else if (event.mark === null || !marks.has(event.mark))
      findings.reportUnasked('K', `nobody has asked for ${describe(event)}`);
  }
}

/**
 * By itself: at most one event of a kind, the right one, and one at least where nothing else can have done the same before.
 *
 * @param {Operation} operation
 * @param {Expected | null} expected null where no event is ever written
 * @param {NotedEvent[]} own
 * @param {Findings} findings
 */
function checkOne(operation, expected, own, findings) {
  const { outcome } = operation;
  const wrong = own.find(
    (event) => event.type !== null && expected?.allowed.some((one) => fits(event, one)) !== true,
  );
  if (wrong !== undefined) findings.report('K', operation, `is told of by ${describe(wrong)}`);
  if (expected === null) return;
  const { what, isOwed, isRepetition, because, most = 1 } = expected;
  if (outcome === 'unknown') findings.apply('K', 'unanswered');
  else if (isRepetition) findings.apply('K', 'repetitions');
  else if (isOwed) findings.apply('K', what);
  if (isRepetition && own.length > 0)
    findings.report('K', operation, `is told of by ${describe(own[0])}, and was done before`, {
      because: [because],
    });
  if (own.length > most) findings.report('K', operation, `is told of by ${own.length} events`);
  if (isOwed && own.length === 0) findings.report('K', operation, 'is told of by no event');
}

/**
 * Where several requests may have done one and the same thing: one event tells of it, if anybody was answered, and it is of a request that
 * began before that.
 *
 * @param {{ operation: Operation, expected: Expected }[]} requests
 * @param {Events} events
 * @param {Findings} findings
 */
function checkThing(requests, events, findings) {
  const told = requests.flatMap(({ operation, expected }) =>
    events.of(operation).flatMap((event) => (event.type === expected.allowed[0]?.type ? [operation] : [])),
  );
  const done = requests
    .filter(({ operation }) => operation.outcome === 'ok')
    .map(({ operation }) => operation);
  const [first] = done.toSorted((a, b) => a.end - b.end);
  const [once, again] = told;
  if (again !== undefined)
    findings.report('K', again, 'is told of by an event, and was done before', { because: [once] });
  if (first === undefined) return;
  const { what, isCertain } = /** @type {{ expected: Expected }} */ (requests[0]).expected;
  if (done.length > 1) findings.apply('K', 'repetitions');
  if (isCertain !== true) return;
  findings.apply('K', what);
  if (once === undefined) findings.report('K', first, 'is told of by no event');
  else if (once.start >= first.end)
    findings.report('K', once, 'is told of by an event, and was done before', { because: [first] });
}

/**
 * Of something that has one state or another: who changes it leaves an event, who finds it so leaves none.
 *
 * @param {import('./expected.js').States} states
 * @param {Events} events
 * @param {Findings} findings
 */
function checkStates({ what, requests, initial }, events, findings) {
  const isTold = (/** @type {Operation} */ operation) => events.of(operation).length > 0;
  for (const { operation, state } of requests) {
    const same = requests.filter((one) => one.state === state && one.operation !== operation);
    const others = requests.filter((one) => one.state !== state).map((one) => one.operation);
    const before = same.map((one) => one.operation);
    /** @param {Operation} earlier whether it was surely undone before this began */
    const isUndone = (earlier) =>
      others.some(
        (other) =>
          isTold(other) && other.start > latestEffect(earlier) && latestEffect(other) < operation.start,
      );
    /** @param {number} since whether something may have undone it before this */
    const mayBeUndone = (since) =>
      others.some((other) => other.start < latestEffect(operation) && latestEffect(other) > since);
    if (!isTold(operation)) {
      if (operation.outcome !== 'ok') continue;
      const isSet = before.some(
        (earlier) => isTold(earlier) && earlier.start < operation.end && !isUndone(earlier),
      );
      const isInitial =
        state === initial && !others.some((other) => isTold(other) && latestEffect(other) < operation.start);
      if (isSet || isInitial) findings.apply('K', 'repetitions');
      else findings.report('K', operation, 'is told of by no event');
      continue;
    }
    findings.apply('K', what);
    const setBefore = before.find(
      (earlier) => earlier.outcome === 'ok' && earlier.end < operation.start && !mayBeUndone(earlier.start),
    );
    if (setBefore !== undefined || (state === initial && !mayBeUndone(-Infinity)))
      findings.report('K', operation, 'is told of by an event, and was so before', { because: [setBefore] });
  }
}

/** @param {NotedEvent} event @param {import('./expected.js').Told} told */
function fits(event, { type, actor, outcome = 'ok', userId, sessionId, sessionIds, reason, detail = {} }) {
  return (
    event.type === type &&
    event.outcome === outcome &&
    (actor === undefined || event.actor === actor) &&
    (userId === undefined || event.userId === userId) &&
    (sessionId === undefined || event.sessionId === sessionId) &&
    (sessionIds === undefined || event.sessionId === null || sessionIds.includes(event.sessionId)) &&
    (reason === undefined || event.reason === reason) &&
    Object.entries(detail).every(([name, value]) => event.detail?.[name] === value)
  );
}

/** @param {NotedEvent | undefined} event */
function describe(event) {
  const { type, actor, userId, sessionId, reason } = event ?? {};
  return `an event ${type} by ${actor}, of user ${userId} and session ${sessionId}${reason ? `, because of ${reason}` : ''}`;
}
