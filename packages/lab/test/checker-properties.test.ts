// The chaos checker against random runs of the contract: it says nothing of right ones, and finds every answer turned round.
import fastCheck from 'fast-check';
import { expect, it } from 'vitest';

import { createRandom } from '../shared/random.js';
import { check } from '../chaos/checker.js';
import { JUDGED } from '../chaos/floors.js';
import type { History, NotedEvent, Operation } from '../chaos/history.js';
import { runReference, type Kinds } from './reference-run.js';
import type { Mistake } from './reference-service.js';

const SEED = 20_261_122;

/** Refresh tokens that come back, and outages: much of what is rare in other runs. */
const REPLAYING: Kinds = [
  ['login', 3],
  ['refresh', 20],
  ['silence', 0.4],
  ['away', 0.3],
];

/** Changes of password, many of them repeated, and what comes between. */
const RENEWING: Kinds = [
  ['login', 4],
  ['own-password', 8],
  ['refresh', 6],
  ['introspect', 4],
  ['list', 2],
  ['logout', 0.5],
  ['revoke', 0.5],
  ['logout-all', 0.3],
  ['password', 0.3],
  ['disable', 0.2],
  ['enable', 1],
  ['retire-key', 0.1],
];

/** Ends that are lifted, and what comes between. */
const LIFTING: Kinds = [
  ['login', 4],
  ['order', 6],
  ['rows', 8],
  ['lift', 6],
  ['introspect', 10],
  ['session', 3],
  ['list', 2],
  ['refresh', 6],
  ['logout', 1],
  ['revoke', 1],
  ['own-password', 0.5],
  ['logout-all', 0.3],
  ['scope', 0.5],
];

/** Other scopes, and who is told of them. */
const RESCOPING: Kinds = [
  ['login', 3],
  ['scope', 3],
  ['introspect', 10],
  ['session', 3],
  ['refresh', 8],
  ['own-password', 1],
  ['order', 0.5],
];

/** Users who are deleted and added, and what comes between. */
const DELETING: Kinds = [
  ['login', 6],
  ['add-user', 2],
  ['delete', 1.5],
  ['export', 3],
  ['introspect', 10],
  ['session', 3],
  ['list', 2],
  ['refresh', 6],
  ['own-password', 1],
  ['password', 0.3],
  ['scope', 0.5],
  ['order', 1],
];

/** Backends, whose users are called alike, and passwords that are given once more. */
const BACKING: Kinds = [
  ['login', 2],
  ['open', 5],
  ['change', 5],
  ['client-end', 1.5],
  ['client-end-all', 0.5],
  ['reauthenticate', 2],
  ['introspect', 10],
  ['session', 6],
  ['list', 2],
  ['refresh', 10],
  ['logout', 0.5],
  ['logout-all', 0.3],
  ['end-session', 0.5],
  ['own-password', 0.3],
  ['order', 0.5],
  ['rows', 1],
  ['lift', 1],
];

/** All that leaves events. */
const RECORDING: Kinds = [
  ['login', 6],
  ['refresh', 6],
  ['logout', 3],
  ['revoke', 3],
  ['end-session', 2],
  ['logout-all', 1],
  ['password', 0.5],
  ['own-password', 1.5],
  ['disable', 1],
  ['enable', 2],
  ['retire-key', 0.1],
  ['order', 2],
  ['rows', 4],
  ['lift', 3],
  ['scope', 1],
  ['delete', 0.3],
  ['add-user', 0.5],
  ['open', 3],
  ['change', 3],
  ['client-end', 2],
  ['client-end-all', 0.7],
];

function no(operation: Operation, error: string, status = 401): Operation {
  const {
    id,
    mark,
    kind,
    replica,
    client,
    start,
    end,
    user,
    password,
    proved,
    honest,
    token,
    sid,
    exceptCurrent,
    maxAge,
    backend,
    said,
  } = operation;
  const asked = { user, password, proved, honest, token, sid, exceptCurrent, maxAge, backend, said };
  const known = Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined));
  return { id, mark, kind, replica, client, start, end, outcome: 'refused', status, error, ...known };
}

function yes(operation: Operation): Operation {
  return { ...operation, outcome: 'ok', status: null, error: null };
}

interface Surroundings {
  /** A retired key makes strangers of its tokens. */
  hasRetired: boolean;
  /** Sessions of both users. */
  strangers: Map<string, string>;
}

/** Every other answer that could have been given to the same request, as far as it needs no new token. */
function othersOf(operation: Operation, { hasRetired, strangers }: Surroundings): Operation[] {
  const { kind, outcome, error, active, reissued } = operation;
  // Then this too is a right answer.
  if (kind === 'logout' && hasRetired) return [];
  const others: Operation[] = [];
  if (typeof reissued === 'number') others.push({ ...operation, reissued: null });
  if (kind === 'introspect') others.push({ ...operation, active: active !== true, reissued: null });
  if (outcome === 'ok' && ['session', 'list', 'logout-all', 'end-session', 'logout'].includes(kind))
    others.push(no(operation, 'invalid_token'));
  if (outcome === 'ok' && kind === 'login') others.push(no(operation, 'invalid_credentials'));
  if (outcome === 'ok' && kind === 'password' && operation.proved !== undefined)
    others.push(no(operation, 'invalid_token'), no(operation, 'invalid_credentials'));
  if (outcome === 'refused' && ['session', 'logout-all'].includes(kind) && operation.status === 401)
    others.push(yes(operation));
  if (kind === 'list' && outcome === 'ok') others.push(...otherLists(operation, strangers));
  if (kind === 'end-session' && operation.status === 404) others.push(yes(operation));
  if ((kind === 'introspect' && active === true) || (kind === 'session' && outcome === 'ok'))
    others.push({ ...operation, others: ['exp'] });
  if (kind === 'reauthenticate' && outcome === 'ok')
    others.push(no(operation, 'invalid_token'), no(operation, 'invalid_credentials'));
  if (kind === 'session' && operation.maxAge !== undefined && outcome === 'ok')
    others.push(no(operation, 'insufficient_user_authentication'));
  if (kind === 'change' || kind === 'client-end')
    others.push(outcome === 'ok' ? no(operation, 'not_found', 404) : yes(operation));
  if (kind === 'lift' && operation.restored === true && operation.rowKind === 'session')
    others.push({ ...operation, restored: false });
  if (kind === 'lift') others.push(...otherLifts(operation));
  if (kind === 'export' || kind === 'scope') others.push(...otherLookUps(operation, strangers));
  if (kind === 'refresh')
    for (const other of ['invalid_token', 'refresh_superseded', 'refresh_reused'])
      if (other !== error) others.push(no(operation, other));
  return others;
}

/** Lists that lack one session, hold another user's, or call another one current. */
function otherLists(operation: Operation, users: Map<string, string>): Operation[] {
  const { sids = [], current = [] } = operation;
  const [own = ''] = current;
  const anothers = [...users].find(([, user]) => user !== users.get(own))?.[0];
  return [
    ...sids.map((sid) => ({
      ...operation,
      sids: sids.filter((other) => other !== sid),
      current: current.filter((other) => other !== sid),
    })),
    ...sids.filter((sid) => sid !== own).map((sid) => ({ ...operation, current: [sid] })),
    { ...operation, current: [] },
    ...(anothers === undefined ? [] : [{ ...operation, sids: [...sids, anothers] }]),
  ];
}

/** Who was there is not found, or the other way round; and an export shows a session of somebody else. */
function otherLookUps(operation: Operation, users: Map<string, string>): Operation[] {
  const { sids: _, ...rest } = operation;
  const isFound = operation.outcome === 'ok';
  const other = isFound
    ? { ...rest, outcome: 'refused' as const, status: 404, error: 'not_found' }
    : yes(operation);
  const anothers = [...users].find(([, user]) => user !== operation.user)?.[0];
  if (!isFound || operation.sids === undefined || anothers === undefined) return [other];
  return [other, { ...operation, sids: [...operation.sids, anothers] }];
}

/** Of a row that is final none is lifted, and of others none is refused. */
function otherLifts(operation: Operation): Operation[] {
  const { restored: _, ...rest } = operation;
  if (operation.outcome === 'ok')
    return [{ ...rest, outcome: 'refused', status: 409, error: 'not_liftable' }];
  return [{ ...yes(operation), restored: true }];
}

function withAnswer(history: History, answer: Operation): History {
  return {
    ...history,
    operations: history.operations.map((operation) => (operation.id === answer.id ? answer : operation)),
  };
}

it('says nothing of right answers, however they overlap and whatever is lost', () => {
  fastCheck.assert(
    fastCheck.property(fastCheck.integer(), fastCheck.integer({ min: 5, max: 400 }), (seed, steps) => {
      const history = runReference({ random: createRandom(seed), steps, isSequential: false });
      expect(check(history).violations).toEqual([]);
    }),
    { seed: SEED, numRuns: 400 },
  );
});

it('has work for every rule in such runs', () => {
  const history = runReference({ random: createRandom(SEED), steps: 20_000, isSequential: false });
  const { applied, judged } = check(history).counts;
  expect(Math.min(...Object.values(applied))).toBeGreaterThan(10);
  // Where much is in doubt, hardly a lift is owed a yes.
  const lifting = { random: createRandom(SEED), steps: 4000, isSequential: true, kinds: LIFTING };
  const all = { ...judged, ...check(runReference(lifting)).counts.judged };
  expect(Object.keys(all)).toEqual(expect.arrayContaining(JUDGED));
});

it('says nothing of right answers one after the other, and finds each that is turned round', () => {
  let turned = 0;
  fastCheck.assert(
    fastCheck.property(fastCheck.integer(), fastCheck.nat(), (seed, place) => {
      const history = runReference({ random: createRandom(seed), steps: 120, isSequential: true });
      expect(check(history).violations).toEqual([]);
      const hasRetired = history.operations.some(({ kind }) => kind === 'retire-key');
      const logins = history.operations.filter(({ kind, outcome }) => kind === 'login' && outcome === 'ok');
      const strangers = new Map(logins.map(({ sid = '', user = '' }) => [sid, user]));
      const others = history.operations.flatMap((operation) =>
        othersOf(operation, { hasRetired, strangers }),
      );
      const other = others[place % Math.max(1, others.length)];
      if (other === undefined) return;
      turned += 1;
      expect(check(withAnswer(history, other)).violations, JSON.stringify(other)).not.toEqual([]);
    }),
    { seed: SEED, numRuns: 600 },
  );
  expect(turned).toBeGreaterThan(500);
});

it.each<[Mistake, string[]]>([
  ['ignores-outages', ['E', 'F']],
  ['opens-what-had-run-out', ['F']],
  ['knows-in-an-outage', ['E', 'F']],
])('finds a service that %s, by the rules of replays', (mistake, rules) => {
  const history = runReference({
    random: createRandom(SEED),
    steps: 5000,
    isSequential: false,
    mistake,
    kinds: REPLAYING,
  });
  const found = new Set(check(history).violations.map(({ rule }) => rule));
  expect([...found].toSorted()).toEqual(rules);
});

it('says nothing of right changes of password, however they overlap and are repeated', () => {
  fastCheck.assert(
    fastCheck.property(fastCheck.integer(), (seed) => {
      const run = { random: createRandom(seed), steps: 300, isSequential: seed % 2 === 0, kinds: RENEWING };
      expect(check(runReference(run)).violations).toEqual([]);
    }),
    { seed: SEED, numRuns: 200 },
  );
});

it('says nothing of right replays over outages, however they overlap', () => {
  fastCheck.assert(
    fastCheck.property(fastCheck.integer(), (seed) => {
      const run = { random: createRandom(seed), steps: 500, isSequential: seed % 2 === 0, kinds: REPLAYING };
      expect(check(runReference(run)).violations).toEqual([]);
    }),
    { seed: SEED, numRuns: 200 },
  );
});

it.each([
  ['lifts', LIFTING],
  ['scopes', RESCOPING],
  ['deletions', DELETING],
  ['events', RECORDING],
  ['sessions of backends', BACKING],
])('says nothing of right %s, however they overlap', (_name, kinds) => {
  fastCheck.assert(
    fastCheck.property(fastCheck.integer(), (seed) => {
      const run = { random: createRandom(seed), steps: 300, isSequential: seed % 2 === 0, kinds };
      expect(check(runReference(run)).violations).toEqual([]);
    }),
    { seed: SEED, numRuns: 120 },
  );
});

/** Lost, written twice, or of somebody else. */
function othersOfEvent(events: NotedEvent[], event: NotedEvent): NotedEvent[][] {
  const others = events.filter((other) => other !== event);
  const wrong: Partial<NotedEvent>[] = [
    { type: 'key.reset' },
    { outcome: 'server_error' },
    { mark: null },
    { mark: 1_000_000 },
    { type: null },
  ];
  for (const member of ['actor', 'userId', 'sessionId'] as const)
    if (event[member] !== null) wrong.push({ [member]: 'another' });
  return [
    // Owed to nobody: see docs/events.md.
    ...(event.type === 'login' ? [] : [others]),
    [...events, { ...event, id: 'event-again' }],
    ...wrong.map((change) => [...others, { ...event, ...change }]),
  ];
}

it('finds each event that is lost, written twice, or of somebody else, where answers come one after the other', () => {
  let turned = 0;
  fastCheck.assert(
    fastCheck.property(fastCheck.integer(), fastCheck.nat(), (seed, place) => {
      const run = { random: createRandom(seed), steps: 120, isSequential: true, kinds: RECORDING };
      const history = runReference(run);
      expect(check(history).violations).toEqual([]);
      const events = history.events ?? [];
      const all = events.flatMap((event) => othersOfEvent(events, event));
      const other = all[place % Math.max(1, all.length)];
      if (other === undefined) return;
      turned += 1;
      const changed =
        other.find((event) => !events.includes(event)) ?? events.find((event) => !other.includes(event));
      const letters = check({ ...history, events: other }).violations.map(({ rule }) => rule);
      expect(letters, JSON.stringify(changed)).toContain('K');
    }),
    { seed: SEED, numRuns: 400 },
  );
  expect(turned).toBeGreaterThan(350);
});
