// Three users with one `sub`: of Gatehouse and of two backends. None sees or ends what is another's, by whichever way.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { subjectId } from '../../src/domain/tokens/subjects.js';
import { jsonInHouse } from '../support/command.js';
import {
  basic,
  bearer,
  introspect,
  login,
  openHouse,
  postForm,
  type House,
  type Replica,
  type TestClient,
  type TokenPair,
} from '../support/house.js';

const ALWAYS = { since: '2020-01-01T00:00:00Z', until: '2999-01-01T00:00:00Z' };

interface Party {
  /** The id of the user's row. */
  userId: string;
  pair: TokenPair;
  /** The client that has opened the session; null for a user of Gatehouse. */
  client: TestClient | null;
}

type Name = 'gatehouse' | 'shop' | 'forum';
const NAMES: Name[] = ['gatehouse', 'shop', 'forum'];

let house: House;
let replica: Replica;
let other: Replica;
let server: TestClient;
let operator: TestClient;
let sub: string;
let parties: Record<Name, Party>;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  other = await house.replica();
  server = await house.client();
  operator = await house.client([
    ...(['users:read', 'users:write', 'sessions:read', 'sessions:end'] as const),
    ...(['events:read', 'sessions:open'] as const),
  ]);
});
beforeEach(async () => {
  const user = await house.user();
  sub = user.id;
  const openFor = async (): Promise<Party> => {
    const client = await house.client(['sessions:open']);
    const opened = await ask('POST', '/sessions', client, { external_id: sub });
    expect(opened.statusCode).toBe(201);
    return { userId: subjectId(client.id, sub), pair: opened.json(), client };
  };
  parties = {
    gatehouse: { userId: sub, pair: await login(replica, user), client: null },
    shop: await openFor(),
    forum: await openFor(),
  };
});
afterAll(() => house.close());

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

/** As a client, or with an access token. */
function ask(method: Method, url: string, as: TestClient | string, payload?: object) {
  const headers = typeof as === 'string' ? bearer(as) : basic(as);
  return replica.app.inject({ method, url, headers, ...(payload && { payload }) });
}

/** Whose access tokens the other replica takes, in each way in which it is asked; the ways have to agree. */
async function alive(): Promise<Name[]> {
  const tokens = NAMES.map((name) => parties[name].pair.access_token);
  const batch = await other.app.inject({
    method: 'POST',
    url: '/introspect/batch',
    headers: basic(server),
    payload: { tokens },
  });
  const { results } = batch.json<{ results: { active: boolean }[] }>();
  const live = results.map(({ active }) => active);
  const one = tokens.map((token) => introspect(other, server, token));
  expect((await Promise.all(one)).map((answer) => answer.json<{ active: boolean }>().active)).toEqual(live);
  for (const url of ['/session', '/session/below', '/sessions']) {
    const answers = tokens.map((token) => other.app.inject({ url, headers: bearer(token) }));
    expect((await Promise.all(answers)).map(({ statusCode }) => statusCode === 200)).toEqual(live);
  }
  return NAMES.filter((_name, place) => live[place]);
}

const idsIn = (list: { id: string }[]) => list.map(({ id }) => id);

describe.each(NAMES)('the user of %s', (name) => {
  it('sees one session, and operators see one of that user, in each list', async () => {
    const { userId, pair } = parties[name];
    const mine = [pair.session_id];
    const own = (await ask('GET', '/sessions', pair.access_token)).json<{ sessions: { id: string }[] }>();
    expect(idsIn(own.sessions)).toEqual(mine);
    const found = await ask('GET', `/admin/sessions?user_id=${userId}`, operator);
    expect(idsIn(found.json<{ sessions: { id: string }[] }>().sessions)).toEqual(mine);
    const exported = await ask('GET', `/admin/users/${userId}/export`, operator);
    const { sessions, events } = exported.json<{
      sessions: { id: string }[];
      events: { session_id: string | null; user_id: string }[];
    }>();
    expect(idsIn(sessions)).toEqual(mine);
    const listed = (await ask('GET', `/admin/events?user_id=${userId}`, operator)).json<{
      events: typeof events;
    }>();
    for (const told of [events, listed.events]) {
      const opened = told.flatMap(({ session_id: id }) => id ?? []);
      expect(opened).toEqual(mine);
      expect(told.map(({ user_id: id }) => id)).toEqual(told.map(() => userId));
    }
  });

  it('is found by the pair of client and subject alone', async () => {
    const { userId, client } = parties[name];
    if (client === null) {
      expect((await ask('GET', `/admin/users/${sub}`, operator)).json()).toMatchObject({
        id: sub,
        client_id: null,
      });
      return;
    }
    const found = await ask('GET', `/admin/users?client_id=${client.id}&external_id=${sub}`, operator);
    expect(idsIn(found.json<{ users: { id: string }[] }>().users)).toEqual([userId]);
  });

  it('cannot end or change what is of the others, and is told that there is no such thing', async () => {
    const { pair, client } = parties[name];
    for (const { pair: theirs } of NAMES.filter((each) => each !== name).map((each) => parties[each])) {
      const url = `/sessions/${theirs.session_id}`;
      const attempts = [
        await ask('DELETE', url, pair.access_token),
        ...(client === null ? [] : [await ask('DELETE', url, client)]),
        ...(client === null ? [] : [await ask('PATCH', url, client, { scope: 'admin' })]),
      ];
      expect(attempts.map(({ statusCode }) => statusCode)).toEqual(attempts.map(() => 404));
    }
    expect(await alive()).toEqual(NAMES);
  });
});

const revoke = (order: object) => ask('POST', '/admin/revocations', operator, order);

/** Each ends the access token of one, and of nobody else. */
const WAYS: Record<string, (party: Party) => PromiseLike<unknown>> = {
  'POST /logout': ({ pair }) => ask('POST', '/logout', pair.access_token),
  'POST /logout-all': ({ pair }) => ask('POST', '/logout-all', pair.access_token, {}),
  'DELETE /sessions/:id': ({ pair }) => ask('DELETE', `/sessions/${pair.session_id}`, pair.access_token),
  '/revoke of the access token': ({ pair }) =>
    postForm(replica, '/revoke', server, { token: pair.access_token }),
  '/revoke of the refresh token': ({ pair }) =>
    postForm(replica, '/revoke', server, { token: pair.refresh_token }),
  'an end of the user': ({ userId }) => revoke({ user_ids: [userId] }),
  'an end of the session': ({ pair }) => revoke({ session_ids: [pair.session_id] }),
  'an end of a token': ({ pair }) => revoke({ token: pair.access_token }),
  'disabling over HTTP': ({ userId }) => ask('PATCH', `/admin/users/${userId}`, operator, { disabled: true }),
  'disabling on the command line': ({ userId, client }) =>
    jsonInHouse(house, [
      ...['users', 'disable'],
      ...(client === null ? [userId] : ['--client-id', client.id, '--external-id', sub]),
    ]),
  deletion: ({ userId }) => ask('DELETE', `/admin/users/${userId}`, operator),
};

/** The same of what only clients can do. */
const WAYS_OF_CLIENTS: Record<string, (party: Party, client: TestClient) => PromiseLike<unknown>> = {
  'DELETE /sessions/:id by the client': ({ pair }, client) =>
    ask('DELETE', `/sessions/${pair.session_id}`, client),
  'PATCH /sessions/:id': ({ pair }, client) =>
    ask('PATCH', `/sessions/${pair.session_id}`, client, { scope: 'less' }),
  'POST /logout-all by the client': (_party, client) =>
    ask('POST', '/logout-all', client, { external_id: sub }),
  'an end of all of the client': (_party, client) => revoke({ client_id: client.id, ...ALWAYS }),
};

const CASES: [way: string, name: Name, end: (party: Party) => PromiseLike<unknown>][] = [
  ...Object.entries(WAYS).flatMap(([way, end]) => NAMES.map((name) => [way, name, end] as (typeof CASES)[0])),
  ...Object.entries(WAYS_OF_CLIENTS).flatMap(([way, endBy]) =>
    (['shop', 'forum'] as const).map(
      (name) => [way, name, (party) => endBy(party, party.client ?? operator)] as (typeof CASES)[0],
    ),
  ),
];

it.each(CASES)('%s ends what is of %s alone', async (_way, name, end) => {
  await end(parties[name]);
  expect(await alive()).toEqual(NAMES.filter((each) => each !== name));
});
