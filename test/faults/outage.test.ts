// The database crashes under load and comes back: 503 in between and nothing else, and everything works again by itself.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { openDatabase } from '../../src/database/prisma.js';
import { addClient } from '../../src/domain/clients.js';
import { createPasswordHasher } from '../../src/domain/passwords.js';
import { addUser } from '../../src/domain/users.js';
import { bearer, type TestClient, type TokenPair } from '../support/house.js';
import { createOwnCluster, type OwnCluster } from '../support/own-cluster.js';
import { ask, createWorkshop, environmentFor, type Answer, type Service } from '../support/service.js';

const ANSWER_WITHIN_MS = 2500;
const RECOVERS_WITHIN_MS = 5000;
const WORKERS = 12;

const NAME = 'resident';
const PASSWORD = 'a password of the resident';

const workshop = createWorkshop();
let cluster: OwnCluster;
let services: Service[];
let client: TestClient;

beforeAll(async () => {
  cluster = await createOwnCluster();
  const environment = environmentFor(cluster.url);
  services = [await workshop.start(environment), await workshop.start(environment)];
  client = await populate();
});
afterAll(async () => {
  await workshop.clear();
  await cluster.remove();
});

async function populate(): Promise<TestClient> {
  const database = openDatabase(cluster.url, { connections: 1 });
  try {
    const passwordHash = await createPasswordHasher().hash(PASSWORD);
    await addUser(database, { username: NAME, passwordHash, scope: '' });
    const added = await addClient(database, 'resource', ['introspect', 'revoke']);
    if (added === null) throw new Error('the client exists');
    return added;
  } finally {
    await database.close();
  }
}

function serviceAt(place: number): Service {
  const service = services[place % services.length];
  if (service === undefined) throw new Error('no service');
  return service;
}

function logIn(service: Service): Promise<Answer> {
  return ask(service, 'POST', '/login', { body: { username: NAME, password: PASSWORD } });
}

function introspect(service: Service, token: string): Promise<Answer> {
  const body = new URLSearchParams({ token, client_id: client.id, client_secret: client.secret });
  return ask(service, 'POST', '/introspect', { body });
}

function refresh(service: Service, token: string): Promise<Answer> {
  return ask(service, 'POST', '/refresh', { body: { refresh_token: token } });
}

/** Asks without pause, as long as it is told to, and keeps every answer. */
function load(access: string, signal: AbortSignal): { answers: Answer[]; done: Promise<unknown> } {
  const answers: Answer[] = [];
  const questions = [
    (service: Service) => introspect(service, access),
    (service: Service) => ask(service, 'GET', '/session', { headers: bearer(access) }),
    (service: Service) => ask(service, 'GET', '/ready'),
  ];
  const work = async (place: number) => {
    for (let turn = place; !signal.aborted; turn += 1) {
      const answer = await questions[turn % questions.length]?.(serviceAt(place));
      if (answer !== undefined) answers.push(answer);
      await sleep(5);
    }
  };
  return { answers, done: Promise.all(Array.from({ length: WORKERS }, (_, place) => work(place))) };
}

async function untilAllAnswer(access: string): Promise<number> {
  const startedAt = performance.now();
  for (;;) {
    const statuses = await Promise.all(
      services.map(async (service) => (await introspect(service, access)).status),
    );
    if (statuses.every((status) => status === 200)) return performance.now() - startedAt;
    await sleep(20);
  }
}

it('answers 503 in time while the database is gone, and recovers without a restart', async () => {
  const pair = (await logIn(serviceAt(0))).json<TokenPair>();
  const other = (await logIn(serviceAt(1))).json<TokenPair>();
  const stop = new AbortController();
  const { answers, done } = load(pair.access_token, stop.signal);
  await sleep(300);
  const before = answers.length;
  await cluster.crash();
  const downAtMs = performance.now();
  const attempts = await Promise.all([
    refresh(serviceAt(0), pair.refresh_token),
    ask(serviceAt(1), 'POST', '/logout', { body: { refresh_token: other.refresh_token } }),
    logIn(serviceAt(1)),
  ]);
  await sleep(1200);
  const upAtMs = performance.now();
  await cluster.start();
  const recoveredMs = await untilAllAnswer(pair.access_token);
  stop.abort();
  await done;

  const during = answers.filter(
    ({ startedAtMs, tookMs }) => startedAtMs > downAtMs && startedAtMs + tookMs < upAtMs,
  );
  expect(answers.slice(0, before).map(({ status }) => status)).not.toContain(503);
  expect(during.length).toBeGreaterThan(WORKERS);
  expect(new Set(during.map(({ status }) => status))).toEqual(new Set([503]));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 503]));
  expect(attempts.map(({ status }) => status)).toEqual([503, 503, 503]);
  const refused = [...answers.filter(({ status }) => status === 503), ...attempts];
  expect(refused.filter(({ headers }) => !/^[1-9][0-9]*$/.test(headers.get('retry-after') ?? ''))).toEqual(
    [],
  );
  expect(new Set(refused.map((answer) => answer.json<{ error: string }>().error))).toEqual(
    new Set(['temporarily_unavailable']),
  );
  expect(Math.max(...refused.map(({ tookMs }) => tookMs))).toBeLessThan(ANSWER_WITHIN_MS);
  expect(recoveredMs).toBeLessThan(RECOVERS_WITHIN_MS);
  expect(services.map(({ process }) => process.exitCode)).toEqual([null, null]);

  // What failed has spent and ended nothing: the same call does now what it should have done.
  expect((await refresh(serviceAt(1), pair.refresh_token)).status).toBe(200);
  expect((await introspect(serviceAt(0), other.access_token)).json()).toMatchObject({ active: true });
  const logout = await ask(serviceAt(0), 'POST', '/logout', { body: { refresh_token: other.refresh_token } });
  expect(logout.status).toBe(204);
  expect((await introspect(serviceAt(1), other.access_token)).body).toBe('{"active":false}');
  expect((await logIn(serviceAt(0))).status).toBe(200);
});

it('keeps what it has answered, through a crash right afterwards', async () => {
  const logins: Answer[] = [];
  for (let place = 0; place < 4; place += 1) logins.push(await logIn(serviceAt(place)));
  expect(logins.map(({ status, body }) => (status === 200 ? status : body))).toEqual([200, 200, 200, 200]);
  const [kept, ...ended] = logins.map((answer) => answer.json<TokenPair>());
  const logouts = await Promise.all(
    ended.map(({ access_token }, place) =>
      ask(serviceAt(place), 'POST', '/logout', { headers: bearer(access_token) }),
    ),
  );
  await cluster.crash();
  await cluster.start();
  await untilAllAnswer(kept?.access_token ?? '');
  expect(logouts.map(({ status }) => status)).toEqual([204, 204, 204]);
  for (const { access_token } of ended) {
    expect((await introspect(serviceAt(0), access_token)).body).toBe('{"active":false}');
  }
  expect((await introspect(serviceAt(1), kept?.access_token ?? '')).json()).toMatchObject({ active: true });
});
