// What administrators of a chaos run ask and make of answers: each order in the words of the contract, and what is none of its answers.
import { expect, it } from 'vitest';

import type { Row } from '../chaos/history.js';
import type { Target } from '../chaos/orders.js';
import { tellStory } from './checker-story.js';
import { CALLER, hear, REPLICA, type Question } from './hearing.js';

const HOW = { administrator: 3 };

const { access, refresh } = tellStory().logIn(100);
const ROW: Row = { id: 'row-1', kind: 'session', target: access.sid };
const LISTED = { ...ROW, ending_id: 'ending-1', liftable: true };
const DONE = { ending_id: 'ending-1', sessions_ended: 2, users: 1, tokens: 1, liftable: true };

const order =
  (target: Target, more = {}): Question =>
  (ask) =>
    ask.order(CALLER, REPLICA, target, { ...HOW, ...more });
const ids: Target = { by: 'session_ids', sids: ['a', 'b'] };
const rows: Question = (ask) => ask.rows(CALLER, REPLICA, 'ending-1', HOW);
const lift: Question = (ask) => ask.lift(CALLER, REPLICA, ROW, HOW);
const user = { id: 'id-1', username: 'ann' };
const scope: Question = (ask) => ask.changeScope(CALLER, REPLICA, user, 'read', HOW);

it.each([
  [ids, { session_ids: ['a', 'b'] }, { sids: ['a', 'b'] }],
  [{ by: 'user_ids', users: [user] }, { user_ids: ['id-1'] }, { users: ['ann'] }],
  [{ by: 'jti', lineage: 'a', generation: 3 }, { jti: 'a.3' }, { lineage: 'a' }],
  [{ by: 'token', token: refresh }, { token: refresh.text }, { token: refresh.id }],
  [
    { by: 'ip', network: '10.0.0.1', since: 0, until: 1500 },
    { ip: '10.0.0.1', since: '1970-01-01T00:00:00.000Z', until: '1970-01-01T00:00:01.500Z' },
    { network: '10.0.0.1', since: 0, until: 1500 },
  ],
  [{ by: 'all', before: 0 }, { all: true, opened_before: '1970-01-01T00:00:00.000Z' }, { before: 0 }],
] as [Target, object, object][])('orders in the words of the contract: %j', async (target, body, record) => {
  const liftable = target.by !== 'user_ids' && target.by !== 'all';
  const { recorded, sent, told } = await hear(order(target), { ...DONE, liftable });
  expect(JSON.parse(sent.body ?? '')).toEqual(body);
  expect(sent.headers['authorization']).toBe(`Basic ${btoa('second:s')}`);
  expect(recorded).toMatchObject({
    ...record,
    kind: 'order',
    by: target.by,
    outcome: 'ok',
    ending: 'ending-1',
    counted: 3,
  });
  expect(told).toBe('');
});

it('asks for a dry run and for a limit, and knows the answers of both', async () => {
  const dry = await hear(order(ids, { isDryRun: true }), { sessions: 1, users: 1, tokens: 0, sample: [] });
  expect(JSON.parse(dry.sent.body ?? '')).toMatchObject({ dry_run: true });
  expect(dry.recorded).toMatchObject({ outcome: 'ok', isDryRun: true, counted: null });
  const few = await hear(order(ids, { mostSessions: 1 }), { error: 'too_many_sessions' }, 409);
  expect(JSON.parse(few.sent.body ?? '')).toMatchObject({ max_sessions: 1 });
  expect(few.recorded).toMatchObject({ outcome: 'refused', error: 'too_many_sessions' });
  expect(dry.told + few.told).toBe('');
});

it('reads rows, and what a lift and a change say', async () => {
  expect(await hear(rows, { revocations: [LISTED], next: null })).toMatchObject({
    recorded: { kind: 'rows', ending: 'ending-1', rows: [ROW] },
    told: '',
  });
  expect(await hear(lift, { restored: 0 })).toMatchObject({
    recorded: { kind: 'lift', row: 'row-1', rowKind: 'session', target: access.sid, restored: false },
    sent: { path: '/admin/revocations/row-1/lift' },
    told: '',
  });
  expect(await hear(scope, { username: 'ann' })).toMatchObject({
    recorded: { kind: 'scope', user: 'ann', scope: 'read', outcome: 'ok' },
    sent: { method: 'PATCH', path: '/admin/users/id-1', body: '{"scope":"read"}' },
    told: '',
  });
});

it.each([
  ['an order without numbers', order(ids), { ...DONE, sessions_ended: '2' }],
  ['an order that says the wrong thing of lifts', order(ids), { ...DONE, liftable: false }],
  ['a dry run with an ending', order(ids, { isDryRun: true }), { ...DONE, sessions: 1 }],
  ['a row of another order', rows, { revocations: [{ ...LISTED, ending_id: 'x' }], next: null }],
  ['a row that could not be lifted', rows, { revocations: [{ ...LISTED, liftable: false }], next: null }],
  ['rows on a second page', rows, { revocations: [LISTED], next: 'more' }],
  ['a lift of two', lift, { restored: 2 }],
  ['a lift that says more', lift, { restored: 1, session: 'x' }],
  ['a change of somebody else', scope, { username: 'bob' }],
] as [string, Question, unknown][])(
  'tells of %s, and takes it for no answer',
  async (_name, question, body) => {
    const { recorded, told } = await hear(question, body);
    expect({ outcome: recorded.outcome, isTold: told !== '' }).toEqual({ outcome: 'unknown', isTold: true });
  },
);
