// What the clients of a chaos run make of answers: which are a yes, a no or nothing, and which the contract does not know.
import { expect, it } from 'vitest';

import { createRecorder } from '../chaos/history.js';
import type { Answer } from '../chaos/http.js';
import { createQuestions, type Questions, type Reply } from '../chaos/questions.js';
import { RULES, tellStory } from './checker-story.js';

const JSON_TYPE = { 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' };
const CHALLENGE = { ...JSON_TYPE, 'www-authenticate': 'Bearer realm="gatehouse"' };
const LATER = { ...JSON_TYPE, 'retry-after': '1' };
const CALLER = { number: 1, address: '10.0.0.1' };
const REPLICA = { name: 'one', port: 1 };

const { access, refresh, operation } = tellStory().logIn(100, { scope: 'read' });
const claims: Record<string, unknown> = access.claims;
const about = { active: true, ...claims, token_type: 'Bearer' };
const headers = {
  ...JSON_TYPE,
  'x-auth-subject': access.claims['sub'] as string,
  'x-auth-username': 'ann',
  'x-auth-session': access.sid,
  'x-auth-scope': 'read',
  'x-auth-client': 'gatehouse',
};
const pair = {
  access_token: access.text,
  token_type: 'Bearer',
  expires_in: 30,
  refresh_token: refresh.text,
  refresh_expires_in: 25,
  session_id: access.sid,
};

type Said = Partial<Pick<Answer, 'status' | 'headers'>> & { body?: unknown };

async function hear(question: (ask: Questions) => Promise<Reply>, said: Said) {
  const { replies, ...heard } = await hearAll(async (ask) => [await question(ask)], said);
  const [{ outcome, error, active, others }] = replies as [Reply];
  return { outcome, error, active, others, ...heard };
}

async function hearAll(
  question: (ask: Questions) => Promise<Reply[]>,
  { status = 200, body = '', ...rest }: Said,
) {
  const recorder = createRecorder({ seed: 1, rules: RULES });
  const received: string[] = [];
  const answer = { isBroken: false, start: 1, end: 2, headers: JSON_TYPE, status, ...rest };
  const ask = createQuestions({
    http: {
      send: () =>
        Promise.resolve({ ...answer, body: typeof body === 'string' ? body : JSON.stringify(body) }),
      counts: { late: 0, silent: 0 },
      close: () => undefined,
    },
    recorder,
    client: { id: 'chaos', secret: 'secret' },
    onToken: ({ text }) => received.push(text),
  });
  const replies = await question(ask);
  return { replies, received, told: ask.manners().told.join() };
}

const introspect = (ask: Questions) => ask.introspect(CALLER, REPLICA, access);
const session = (ask: Questions) => ask.session(CALLER, REPLICA, access);
const list = (ask: Questions) => ask.list(CALLER, REPLICA, access);
const logout = (ask: Questions) => ask.logout(CALLER, REPLICA, access);
const renew = (ask: Questions) => ask.refresh(CALLER, REPLICA, refresh);

it.each([
  ['a live token', introspect, { body: about }, 'ok'],
  ['a dead one', introspect, { body: { active: false } }, 'ok'],
  ['claims', session, { body: claims, headers }, 'ok'],
  ['no body', logout, { status: 204 }, 'ok'],
  ['a pair', renew, { body: pair }, 'ok'],
  ['401', session, { status: 401, body: { error: 'invalid_token' }, headers: CHALLENGE }, 'refused'],
  ['429', session, { status: 429, body: { error: 'too_many_requests' }, headers: LATER }, 'refused'],
  ['503', session, { status: 503, body: { error: 'temporarily_unavailable' }, headers: LATER }, 'unknown'],
  ['nothing', session, { status: null }, 'unknown'],
] as [string, (ask: Questions) => Promise<Reply>, Said, string][])(
  'takes %s',
  async (_name, question, said, outcome) => {
    expect(await hear(question, said)).toMatchObject({ outcome, told: '' });
  },
);

it.each([
  ['what may be cached', introspect, { body: about, headers: { 'cache-control': 'public' } }],
  ['a body beside 204', logout, { status: 204, body: '{}' }],
  ['500', session, { status: 500, body: { error: 'server_error' } }],
  ['a page of somebody else', session, { status: 502, body: '<html>' }],
  ['a no with the status of a yes that is not its own', logout, { status: 200, body: '' }],
  ['401 without a challenge', session, { status: 401, body: { error: 'invalid_token' } }],
  [
    'a code with another status',
    session,
    { status: 403, body: { error: 'invalid_token' }, headers: CHALLENGE },
  ],
  ['503 without Retry-After', session, { status: 503, body: { error: 'temporarily_unavailable' } }],
  ['a code of another endpoint', session, { status: 404, body: { error: 'not_found' } }],
  ['what is no list', list, { body: {} }],
  ['a pair that says another lifetime', renew, { body: { ...pair, expires_in: 31 } }],
  ['a pair that says another lifetime of the second', renew, { body: { ...pair, refresh_expires_in: 1 } }],
  ['a pair that says another session', renew, { body: { ...pair, session_id: 'x' } }],
  ['a pair with more', renew, { body: { ...pair, id_token: 'x' } }],
  ['half a pair', renew, { body: { ...pair, refresh_token: null } }],
  [
    'a successor without Vary',
    session,
    { body: claims, headers: { ...headers, 'refreshed-api-token': access.text } },
  ],
  [
    'a successor beside a failure',
    session,
    {
      status: 503,
      body: { error: 'temporarily_unavailable' },
      headers: { ...LATER, vary: 'Authorization', 'refreshed-api-token': access.text },
    },
  ],
] as [string, (ask: Questions) => Promise<Reply>, Said][])(
  'tells of %s, and takes it for no answer',
  async (_name, question, said) => {
    const { outcome, told } = await hear(question, said);
    expect({ outcome, isTold: told !== '' }).toEqual({ outcome: 'unknown', isTold: true });
  },
);

it('notes each claim of an introspection that is not the token’s, and what is beside or missing', async () => {
  const rest: Record<string, unknown> = { ...about };
  delete rest['exp'];
  const { others, active } = await hear(introspect, {
    body: { ...rest, sub: 'x', admin: true, active: 'yes' },
  });
  expect(active).toBe(true);
  expect(others?.toSorted()).toEqual(['active', 'admin', 'exp', 'sub']);
  expect(await hear(introspect, { body: [] })).toMatchObject({ active: true, others: ['the whole answer'] });
});

it('notes each claim and header of a session that is not the token’s', async () => {
  const body = { ...claims, scope: 'write' };
  const { others } = await hear(session, { body, headers: { ...headers, 'x-auth-username': 'bob' } });
  expect(others).toEqual(['scope', 'x-auth-username']);
  const fewer: Record<string, string> = { ...headers };
  delete fewer['x-auth-scope'];
  expect(await hear(session, { body: claims, headers: fewer })).toMatchObject({ others: ['x-auth-scope'] });
});

it('reads who is current in a list, and holds its times against the token', async () => {
  const own = {
    id: access.sid,
    current: true,
    created_at: new Date(1000 * Number(claims['auth_time']) + 105).toISOString(),
    last_used_on: new Date(1000 * Number(claims['auth_time']) + 105).toISOString().slice(0, 10),
    expires_at: new Date(1000 * Number(claims['session_exp'])).toISOString(),
    ip: null,
    user_agent: null,
  };
  const sessions = [{ ...own, id: 'other', current: false, expires_at: '' }, own];
  expect(await hear(list, { body: { sessions } })).toMatchObject({ outcome: 'ok', told: '' });
  for (const wrong of [
    { expires_at: own.created_at },
    { last_used_on: '1999-12-31' },
    { last_used_on: own.created_at },
  ]) {
    const { told } = await hear(list, { body: { sessions: [{ ...own, ...wrong }] } });
    expect(told).toContain('other times of a session');
  }
});

const story = tellStory();
const [ann, bob] = [story.logIn(100), story.logIn(100, { user: 'bob' })];
const successor = story.successorOf(ann.access, 20_000);
const aboutBob = { active: true, ...bob.access.claims, token_type: 'Bearer' };
const batch = (ask: Questions) => ask.introspectBatch(CALLER, REPLICA, [ann.access, bob.access]);
const said = (results: unknown[], more = {}) => ({ body: { results, ...more } });

it('reads each result of a batch as an introspection of its own', async () => {
  const ofAnn = { active: false, refreshed_token: successor.text };
  const { replies, received, told } = await hearAll(batch, said([ofAnn, aboutBob]));
  const common = { kind: 'introspect', batchSize: 2, outcome: 'ok', start: 1, end: 2 };
  expect(replies).toMatchObject([
    { ...common, token: ann.access.id, active: false, tokens: { reissued: { text: successor.text } } },
    { ...common, token: bob.access.id, active: true, reissued: null },
  ]);
  expect(replies.map(({ others }) => others)).toEqual([undefined, undefined]);
  expect({ received, told }).toEqual({ received: [successor.text], told: '' });
});

it('notes the claims of a result that is in another’s place', async () => {
  const { replies } = await hearAll(batch, said([aboutBob, { active: false, sub: 'x' }]));
  expect(replies.map(({ active, others }) => ({ active, hasOthers: others?.includes('sub') }))).toEqual([
    { active: true, hasOthers: true },
    { active: true, hasOthers: true },
  ]);
});

it('knows nothing of any token after a batch that was not answered', async () => {
  const later = { status: 503, body: { error: 'temporarily_unavailable' }, headers: LATER };
  const { replies, told } = await hearAll(batch, later);
  expect({ outcomes: replies.map(({ outcome }) => outcome), told }).toEqual({
    outcomes: ['unknown', 'unknown'],
    told: '',
  });
});

it.each([
  ['fewer results', said([aboutBob])],
  ['more results', said([{ active: false }, aboutBob, aboutBob])],
  ['a member beside the results', said([{ active: false }, aboutBob], { more: 1 })],
  ['a result that is none', said([null, aboutBob])],
  ['no results', { body: {} }],
  [
    'a successor that is no one result’s',
    { ...said([{ active: false }, aboutBob]), headers: { ...JSON_TYPE, 'refreshed-api-token': 'x' } },
  ],
] as [string, Said][])('tells of a batch with %s, and takes it for no answer', async (_name, answer) => {
  const { replies, told } = await hearAll(batch, answer);
  expect(replies.map(({ outcome }) => outcome)).toEqual(['unknown', 'unknown']);
  expect(told).not.toBe('');
});

it('gives each token to be verified once', async () => {
  const twice = async (ask: Questions) => {
    await renew(ask);
    return await renew(ask);
  };
  expect((await hear(twice, { body: pair })).received).toEqual([access.text, refresh.text]);
  expect(operation.outcome).toBe('ok');
});

it.each([
  ['the same process as before', [7, 7], 1],
  ['one that was killed', [7, null], 0],
  ['the next one', [7, 8], 0],
  ['none', [null, null], 0],
] as [string, (number | null)[], number][])(
  'counts a broken connection against %s',
  async (_name, pids, broken) => {
    const recorder = createRecorder({ seed: 1, rules: RULES });
    const ask = createQuestions({
      http: {
        send: () =>
          Promise.resolve({ status: null, headers: {}, body: '', isBroken: true, start: 1, end: 2 }),
        counts: { late: 0, silent: 0 },
        close: () => undefined,
      },
      recorder,
      client: { id: 'chaos', secret: 'secret' },
    });
    await ask.introspect(CALLER, { ...REPLICA, isUp: () => true, pid: () => pids.shift() ?? null }, access);
    expect(ask.manners().broken).toBe(broken);
  },
);
