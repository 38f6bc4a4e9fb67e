// Workers share nothing but the port: what one has ended, the other refuses from the moment of the answer.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { inHouse, jsonInHouse } from '../../support/command.js';
import { linesOf, openConnections, type Connection } from '../../support/connections.js';
import {
  basic,
  bearer,
  openHouse,
  type House,
  type TestClient,
  type TestUser,
  type TokenPair,
} from '../../support/house.js';
import { retryOn503 } from '../../support/retry.js';
import { createWorkshop, environmentFor, type Service } from '../../support/service.js';

const CONNECTIONS = 8;

const workshop = createWorkshop();
let house: House;
let service: Service;
let connections: Connection[];
let user: TestUser;
let client: TestClient;

beforeAll(async () => {
  house = await openHouse();
  service = await workshop.start({
    ...environmentFor(house.database.url),
    WORKERS: '2',
    LOG_LEVEL: 'debug',
  });
  connections = await openConnections(service, CONNECTIONS);
  expect(new Set(connections.map(({ pid }) => pid)).size).toBe(2);
});
beforeEach(async () => {
  user = await house.user();
  client = await house.client();
});
afterAll(async () => {
  await workshop.clear();
  await house.close();
});

async function logIn({ ask }: Connection): Promise<TokenPair> {
  const { username, password } = user;
  const answer = await retryOn503(() => ask('POST', '/login', { body: { username, password } }));
  expect(answer.status).toBe(200);
  return JSON.parse(answer.body) as TokenPair;
}

function form({ ask }: Connection, path: string, token: string) {
  return ask('POST', path, { headers: basic(client), body: new URLSearchParams({ token }) });
}

/** What every connection says of an access token, all at once, as the user's own and as a resource server. */
async function opinions(token: string): Promise<unknown[]> {
  const asked = connections.map(async (connection) => {
    const [session, introspected] = await Promise.all([
      retryOn503(() => connection.ask('GET', '/session', { headers: bearer(token) })),
      retryOn503(() => form(connection, '/introspect', token)),
    ]);
    const { active = introspected.status } = JSON.parse(introspected.body) as { active?: boolean };
    return [session.status, active];
  });
  return [...new Set((await Promise.all(asked)).map((opinion) => JSON.stringify(opinion)))].map(
    (opinion) => JSON.parse(opinion) as unknown,
  );
}

/** Ends in front of one worker, for a token that both have found alive a moment ago. */
type End = (connection: Connection, pair: TokenPair) => Promise<{ status: number }>;

const ENDS: [string, End][] = [
  [
    'a logout',
    ({ ask }, { access_token }) => ask('POST', '/logout', { headers: bearer(access_token), body: {} }),
  ],
  [
    'a logout by the refresh token',
    ({ ask }, { refresh_token }) => ask('POST', '/logout', { body: { refresh_token } }),
  ],
  [
    'a logout everywhere',
    ({ ask }, { access_token }) => ask('POST', '/logout-all', { headers: bearer(access_token), body: {} }),
  ],
  [
    'the end of that session',
    ({ ask }, { access_token, session_id }) =>
      ask('DELETE', `/sessions/${session_id}`, { headers: bearer(access_token) }),
  ],
  ['a revocation', (connection, { access_token }) => form(connection, '/revoke', access_token)],
  [
    'the revocation of the session',
    (connection, { refresh_token }) => form(connection, '/revoke', refresh_token),
  ],
  ['a disabled user', () => inHouse(house, ['users', 'disable', user.username])],
  [
    'a new password',
    () =>
      inHouse(house, ['users', 'password', user.username, '--password-stdin'], {
        input: 'a quite new password\n',
      }),
  ],
  [
    'a session ended from the command line',
    (_, pair) => inHouse(house, ['sessions', 'end', pair.session_id]),
  ],
  ['a retired key', async () => inHouse(house, ['keys', 'retire', await signingKey()])],
];

async function signingKey(): Promise<string> {
  const keys = (await jsonInHouse(house, ['keys', 'list'])) as { kid: string; state: string }[];
  return keys.find(({ state }) => state === 'signing')?.kid ?? '';
}

describe.each(ENDS)('%s', (_what, end) => {
  it('counts on every connection at once, whichever worker did it', async () => {
    const byPid = new Map(connections.map((connection) => [connection.pid, connection]));
    for (const connection of [...byPid.values(), ...byPid.values()]) {
      if (_what === 'a disabled user') await inHouse(house, ['users', 'enable', user.username]);
      if (_what === 'a new password') user = await house.user();
      const pair = await logIn(connection);
      expect(await opinions(pair.access_token)).toEqual([[200, true]]);
      const first = await end(connection, pair);
      const isLate = first.status === 503;
      const { status } = isLate ? await retryOn503(() => end(connection, pair)) : first;
      // What was given up may have been done all the same: then nothing is left to be ended.
      expect(isLate ? [0, 200, 204, 401] : [0, 200, 204]).toContain(status);
      expect(await opinions(pair.access_token)).toEqual([[401, false]]);
    }
  });
});

it('take no notice of a signal of their own: the first process decides', async () => {
  const pids = new Set(connections.map(({ pid }) => pid));
  for (const pid of pids) {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const) process.kill(pid, signal);
  }
  await sleep(300);
  for (const { ask } of connections) expect((await retryOn503(() => ask('GET', '/ready'))).status).toBe(200);
  // A worker that had gone would have been replaced.
  const said = linesOf(service).map(({ msg }) => String(msg));
  expect(said.filter((msg) => msg.startsWith('a worker ended'))).toEqual([]);
});

it('forget a removed client at once', async () => {
  const [connection] = connections;
  if (connection === undefined) return;
  const pair = await logIn(connection);
  expect(await opinions(pair.access_token)).toEqual([[200, true]]);
  await inHouse(house, ['clients', 'remove', client.id]);
  expect(await opinions(pair.access_token)).toEqual([[200, 401]]);
});

it('agree on a refresh token that is used on all connections at once', async () => {
  const [connection] = connections;
  if (connection === undefined) return;
  const { refresh_token } = await logIn(connection);
  const answers = await Promise.all(
    connections.map(({ ask }) => retryOn503(() => ask('POST', '/refresh', { body: { refresh_token } }))),
  );
  const successors = answers.map(({ body }) => (JSON.parse(body) as TokenPair).refresh_token);
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  expect(new Set(successors).size).toBe(1);
});
