// What backends of a chaos run ask and make of answers, and what is made of a password that is given once more: in the words of the
// contract, and what is none of its answers.
import { expect, it } from 'vitest';

import { userIdOf } from '../chaos/subjects.js';
import { subjectId } from '../../../src/domain/tokens/subjects.js';
import { tellStory } from './checker-story.js';
import { CALLER, hear, REPLICA, type Question } from './hearing.js';

const SUBJECT = { backend: 1, externalId: '1', username: 'Ann' };
const SAID = { scope: 'read', ext: { tenant: 'a' }, amr: null, acr: null, auth_time: null };

const story = tellStory();
const { access, refresh, sid } = story.openFor(100, 'forum', SAID);
const ann = story.logIn(100);
const stepped = story.confirm(ann, 5000).access;

const PAIR = {
  access_token: access.text,
  token_type: 'Bearer',
  expires_in: 30,
  refresh_token: refresh.text,
  refresh_expires_in: 25,
  session_id: sid,
};
const SHOWN = { id: sid, scope: '', ext: { tenant: 'a', version: 1 }, amr: [], acr: 'level-1' };
const SINGLE = { access_token: stepped.text, token_type: 'Bearer', expires_in: 30 };

const asked = { said: { scope: null, acr: 'level-1' }, patch: { scope: null, acr: 'level-1' } };
const open: Question = (ask) => ask.openFor(CALLER, REPLICA, SUBJECT, SAID);
const change: Question = (ask) => ask.changeSession(CALLER, REPLICA, 1, sid, asked);
const end: Question = (ask) => ask.endSessionOf(CALLER, REPLICA, 1, sid);
const endAll: Question = (ask) => ask.endAllOf(CALLER, REPLICA, SUBJECT);
const who = { username: 'ann', password: 'secret', version: 0 };
const confirm: Question = (ask) => ask.reauthenticate(CALLER, REPLICA, ann.access, who);

const WHOSE = { backend: 'forum', actor: 'client:forum' };
const WHO = { ...WHOSE, user: 'forum 1', username: 'Ann', sub: '1' };

it.each([
  [
    open,
    PAIR,
    201,
    ['POST', '/sessions'],
    { external_id: '1', username: 'Ann', ip: '10.0.0.1', scope: 'read', ext: { tenant: 'a' } },
    { kind: 'open', ...WHO, said: SAID, sid, honest: true },
  ],
  [
    change,
    SHOWN,
    200,
    ['PATCH', `/sessions/${sid}`],
    asked.patch,
    { kind: 'change', ...WHOSE, sid, said: asked.said },
  ],
  [end, '', 204, ['DELETE', `/sessions/${sid}`], undefined, { kind: 'client-end', ...WHOSE, sid }],
  [
    endAll,
    { sessions_ended: 2 },
    200,
    ['POST', '/logout-all'],
    { external_id: '1' },
    { kind: 'client-end-all', ...WHO, ended: 2 },
  ],
] as [Question, unknown, number, [string, string], unknown, object][])(
  'backends ask in the words of the contract (%#)',
  async (question, body, status, [method, path], request, record) => {
    const { recorded, sent, told } = await hear(question, body, status);
    expect(sent).toMatchObject({ method, path });
    expect(sent.headers['authorization']).toBe(`Basic ${btoa('forum:s')}`);
    expect(sent.body === undefined ? undefined : JSON.parse(sent.body)).toEqual(request);
    expect(recorded).toMatchObject({ ...record, outcome: 'ok' });
    expect(told).toBe('');
  },
);

it('takes 404 for a session that is not there, or not the client’s', async () => {
  for (const question of [change, end]) {
    const { recorded, told } = await hear(question, { error: 'not_found' }, 404);
    expect({ outcome: recorded.outcome, told }).toEqual({ outcome: 'refused', told: '' });
  }
});

it.each([
  ['a pair of another status', open, PAIR, 200],
  ['half a pair', open, { ...PAIR, refresh_token: undefined }, 201],
  ['another session that is changed', change, { ...SHOWN, id: 'x' }, 200],
  ['claims that nobody asked for', change, { ...SHOWN, acr: 'level-2' }, 200],
  ['a claim that was to go', change, { ...SHOWN, scope: 'read' }, 200],
  ['no number of sessions', endAll, {}, 200],
  ['no token', confirm, {}, 200],
  ['a pair where one token is asked for', confirm, { ...SINGLE, refresh_token: refresh.text }, 200],
  ['another lifetime', confirm, { ...SINGLE, expires_in: 31 }, 200],
] as [string, Question, unknown, number][])('tells of %s', async (_what, question, body, status) => {
  const { recorded, told } = await hear(question, body, status);
  expect({ outcome: recorded.outcome, isTold: told !== '' }).toEqual({ outcome: 'unknown', isTold: true });
});

it('reads the token of a password that is given once more', async () => {
  const { recorded, sent, told } = await hear(confirm, SINGLE);
  expect(JSON.parse(sent.body ?? '')).toEqual({ password: 'secret' });
  expect(recorded).toMatchObject({ kind: 'reauthenticate', user: 'ann', proved: 0, access: 0 });
  expect(told).toBe('');
});

it('knows the rows of users as the service does, though not by its code', () => {
  expect(userIdOf(access.claims)).toBe(subjectId('forum', '1'));
  expect(userIdOf(refresh.claims)).toBe(subjectId('forum', '1'));
  expect(userIdOf(ann.access.claims)).toBe(ann.access.claims['sub']);
});
