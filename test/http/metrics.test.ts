// Metrics: what is counted of logins, refreshes, judgements and ends, and that no caller can add a series.
import { readFileSync } from 'node:fs';
import type { InjectOptions } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { createReplicaMetrics, type ReplicaMetrics } from '../../src/observability/replica-metrics.js';
import type { Ask } from '../../src/database/prisma.js';
import { DatabaseUnavailable } from '../../src/database/unavailable.js';
import { STALLED } from '../../src/database/stalled-commits.js';
import { AuthError, Reason } from '../../src/domain/errors.js';
import { unavailabilityOf, type Unavailability } from '../../src/domain/reports/unavailability.js';
import { runs } from '../support/hostile.js';
import {
  basic,
  bearer,
  introspect,
  login,
  openHouse,
  postForm,
  refresh,
  type House,
  type Replica,
  type TestClient,
} from '../support/house.js';
import { retryOn503 } from '../support/retry.js';

/** A hundred thousand requests take minutes on a busy machine. */
const LONGEST_MS = runs(240_000, 3_600_000);

let house: House;
let metrics: ReplicaMetrics;
let replica: Replica;
let client: TestClient;
let before: Map<string, number>;

/** Values of our own series by their text. */
async function read(): Promise<Map<string, number>> {
  const lines = (await metrics.registry.metrics()).split('\n');
  const ours = lines.filter((line) => /^(?:gatehouse|http)_/.test(line) && !/_bucket|_sum/.test(line));
  return new Map(
    ours.map((line) => {
      const space = line.lastIndexOf(' ');
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
}

/** What has been counted since the test began of metrics whose names begin so. */
async function counted(...beginnings: string[]): Promise<Record<string, number>> {
  const now = [...(await read())];
  const grown = now.map(([name, value]) => [name, value - (before.get(name) ?? NaN)] as const);
  return Object.fromEntries(
    grown.filter(([name, by]) => by !== 0 && beginnings.some((beginning) => name.startsWith(beginning))),
  );
}

beforeAll(async () => {
  house = await openHouse();
  const pool = { connections: () => ({ open: 0, idle: 0, waiting: 0 }) };
  metrics = createReplicaMetrics({ hasher: house.hasher, pools: { work: pool, liveness: pool } });
  replica = await house.replica({ meter: metrics.meter });
  client = await house.client();
});
beforeEach(async () => {
  await house.database.clock.freeze(1_900_000_000);
  before = await read();
});
afterAll(() => house.close());

it('counts logins by what they were answered', async () => {
  const user = await house.user();
  await login(replica, user);
  const payload = { username: user.username, password: 'not the password of anybody' };
  await replica.app.inject({ method: 'POST', url: '/login', payload });
  await replica.app.inject({ method: 'POST', url: '/login', payload: { username: 'without a password' } });
  expect(await counted('gatehouse_logins')).toEqual({
    'gatehouse_logins_total{outcome="ok"}': 1,
    'gatehouse_logins_total{outcome="wrong"}': 1,
  });
});

it('counts refresh tokens by what became of them, and a theft as an end', async () => {
  const { refresh_token: first } = await login(replica, await house.user());
  const second = (await refresh(replica, first)).json<{ refresh_token: string }>().refresh_token;
  await house.database.clock.freeze(1_900_000_010);
  await refresh(replica, first);
  await refresh(replica, second);
  await refresh(replica, first);
  await house.database.clock.freeze(1_900_000_060);
  await refresh(replica, first);
  await refresh(replica, second);
  await refresh(replica, 'no token of ours');
  expect(await counted('gatehouse_refreshes', 'gatehouse_ends')).toEqual({
    'gatehouse_refreshes_total{verdict="rotated"}': 2,
    'gatehouse_refreshes_total{verdict="replayed"}': 1,
    'gatehouse_refreshes_total{verdict="superseded"}': 1,
    'gatehouse_refreshes_total{verdict="reused"}': 1,
    'gatehouse_refreshes_total{verdict="dead"}': 2,
    'gatehouse_ends_total{reason="refresh_reused",actor_kind="gatehouse"}': 1,
  });
});

it('counts a refresh token that comes twice in the same millisecond as rotated twice', async () => {
  const { refresh_token: token } = await login(replica, await house.user());
  const [one, two] = [await refresh(replica, token), await refresh(replica, token)];
  expect([one.statusCode, two.statusCode]).toEqual([200, 200]);
  expect(await counted('gatehouse_refreshes')).toEqual({ 'gatehouse_refreshes_total{verdict="rotated"}': 2 });
});

it('counts judgements by who asks, and not what a wrong client asked', async () => {
  const pair = await login(replica, await house.user());
  const asked = async (token: string) => (await introspect(replica, client, token)).statusCode;
  await asked(pair.access_token);
  await asked(pair.access_token);
  await asked(pair.refresh_token);
  await asked('no token of ours');
  await introspect(replica, { ...client, secret: 'wrong' }, pair.access_token);
  await replica.app.inject({ url: '/session', headers: bearer(pair.access_token) });
  await replica.app.inject({ url: '/session', headers: bearer(pair.refresh_token) });
  await replica.app.inject({ url: '/session' });
  expect(await counted('gatehouse_judgements')).toEqual({
    'gatehouse_judgements_total{kind="access",result="live",how="single"}': 2,
    'gatehouse_judgements_total{kind="refresh",result="dead",how="single"}': 1,
    'gatehouse_judgements_total{kind="none",result="dead",how="single"}': 1,
    'gatehouse_judgements_total{kind="access",result="live",how="session"}': 1,
    'gatehouse_judgements_total{kind="refresh",result="dead",how="session"}': 1,
  });
});

it('counts each token of a batch', async () => {
  const pair = await login(replica, await house.user());
  const ask = (by: TestClient) =>
    replica.app.inject({
      method: 'POST',
      url: '/introspect/batch',
      headers: basic(by),
      payload: { tokens: [pair.access_token, pair.refresh_token, pair.access_token] },
    });
  expect((await ask(client)).statusCode).toBe(200);
  expect((await ask({ ...client, secret: 'wrong' })).statusCode).toBe(401);
  expect(await counted('gatehouse_judgements')).toEqual({
    'gatehouse_judgements_total{kind="access",result="live",how="batch"}': 2,
    'gatehouse_judgements_total{kind="refresh",result="dead",how="batch"}': 1,
  });
});

it('counts successors, and the statements that answer', async () => {
  const pair = await login(replica, await house.user());
  await house.database.clock.freeze(1_900_000_550);
  before = await read();
  await introspect(replica, client, pair.access_token);
  expect(await counted('gatehouse_reissues', 'gatehouse_liveness')).toEqual({
    gatehouse_reissues_total: 1,
    gatehouse_liveness_batch_size_count: 1,
    gatehouse_liveness_statement_duration_seconds_count: 1,
  });
});

it('counts each end once, and no repetition', async () => {
  const user = await house.user();
  const [one, two, three, four] = [
    await login(replica, user),
    await login(replica, user),
    await login(replica, user),
    await login(replica, user),
  ];
  const { app } = replica;
  for (let time = 1; time <= 2; time += 1) {
    await app.inject({ method: 'POST', url: '/logout', headers: bearer(one.access_token) });
    await postForm(replica, '/revoke', client, { token: two.access_token });
    await postForm(replica, '/revoke', client, { token: three.refresh_token });
    const url = `/sessions/${two.session_id}`;
    await app.inject({ method: 'DELETE', url, headers: bearer(four.access_token) });
  }
  const payload = { current_password: user.password, new_password: 'another password of some length' };
  const headers = bearer(four.access_token);
  const changed = await retryOn503(() => app.inject({ method: 'POST', url: '/password', headers, payload }));
  await app.inject({ method: 'POST', url: '/password', headers, payload });
  const { access_token: last } = changed.json<{ access_token: string }>();
  await app.inject({ method: 'POST', url: '/logout-all', headers: bearer(last) });
  await app.inject({ method: 'POST', url: '/logout-all', headers: bearer(last) });
  expect(await counted('gatehouse_ends')).toEqual({
    'gatehouse_ends_total{reason="logout",actor_kind="user"}': 1,
    'gatehouse_ends_total{reason="revoked",actor_kind="client"}': 2,
    'gatehouse_ends_total{reason="session_ended",actor_kind="user"}': 1,
    'gatehouse_ends_total{reason="password_changed",actor_kind="user"}': 1,
    'gatehouse_ends_total{reason="logout_all",actor_kind="user"}': 1,
  });
});

it('counts no end of what had ended with all sessions of its user', async () => {
  const user = await house.user();
  const [one, two, three] = [
    await login(replica, user),
    await login(replica, user),
    await login(replica, user),
  ];
  const { app } = replica;
  await app.inject({ method: 'POST', url: '/logout-all', headers: bearer(three.access_token) });
  expect(
    (await app.inject({ method: 'POST', url: '/logout', headers: bearer(one.access_token) })).statusCode,
  ).toBe(204);
  await postForm(replica, '/revoke', client, { token: two.access_token });
  await postForm(replica, '/revoke', client, { token: two.refresh_token });
  expect(await counted('gatehouse_ends')).toEqual({
    'gatehouse_ends_total{reason="logout_all",actor_kind="user"}': 1,
  });
});

it('counts the end of the one session that was kept when all others of its user ended', async () => {
  const pair = await login(replica, await house.user());
  const { app } = replica;
  const headers = bearer(pair.access_token);
  await app.inject({ method: 'POST', url: '/logout-all', headers, payload: { except_current: true } });
  await app.inject({ method: 'POST', url: '/logout', headers });
  expect(await counted('gatehouse_ends')).toEqual({
    'gatehouse_ends_total{reason="logout_all",actor_kind="user"}': 1,
    'gatehouse_ends_total{reason="logout",actor_kind="user"}': 1,
  });
});

it('counts answers by the pattern of their route', async () => {
  const pair = await login(replica, await house.user());
  before = await read();
  const headers = bearer(pair.access_token);
  const { app } = replica;
  await app.inject({ method: 'DELETE', url: `/sessions/${pair.session_id}`, headers });
  await app.inject({ method: 'HEAD', url: '/health' });
  await app.inject({ method: 'PROPFIND' as 'GET', url: '/session/a/b' });
  await app.inject({ method: 'PUT', url: '/login' });
  await app.inject({ url: '/%68ealth' });
  await app.inject({ url: '/elsewhere' });
  const count = (method: string, route: string, status: number) =>
    `http_request_duration_seconds_count{method="${method}",route="${route}",status_code="${status}"}`;
  expect(await counted('http_')).toEqual({
    [count('DELETE', '/sessions/:id', 204)]: 1,
    [count('GET', '/health', 200)]: 1,
    [count('other', '/session/*', 401)]: 1,
    [count('other', 'unmatched', 405)]: 1,
    [count('other', 'unmatched', 404)]: 2,
  });
});

it('serves as much as docs/metrics.md says', async () => {
  const said =
    /There are some (?<histograms>\d+)\s+histograms of requests, and a page of about (?<kilobytes>\d+) kB/.exec(
      readFileSync('docs/metrics.md', 'utf8'),
    )?.groups;
  const text = await metrics.registry.metrics();
  const histograms = text.match(/^http_request_duration_seconds_count/gm)?.length ?? 0;
  const kilobytes = text.length / 1000;
  expect(Math.abs(histograms / Number(said?.['histograms']) - 1), `${histograms} histograms`).toBeLessThan(
    0.1,
  );
  expect(Math.abs(kilobytes / Number(said?.['kilobytes']) - 1), `${kilobytes} kB`).toBeLessThan(0.1);
});

it(
  'has the same series after however many requests with invented names, paths and clients',
  async () => {
    const { app } = replica;
    const kinds: ((n: number) => InjectOptions)[] = [
      (n) => ({ url: `/path-${n}/${n}` }),
      (n) => ({ method: `M${n % 2 === 0 ? 'KCOL' : 'OVE'}` as 'GET', url: `/session/${n}` }),
      (n) => ({ url: '/session', headers: bearer(`token-${n}`) }),
      (n) => ({ method: 'POST', url: '/refresh', payload: { refresh_token: `token-${n}` } }),
      (n) => ({ method: 'POST', url: '/login', payload: { [`name-${n}`]: n } }),
      (n) => ({
        method: 'POST',
        url: '/introspect',
        headers: {
          ...basic({ id: `client-${n}`, secret: 'x' }),
          'content-type': 'application/x-www-form-urlencoded',
        },
        payload: 'token=x',
      }),
      (n) => ({
        method: 'DELETE',
        url: `/sessions/${n}`,
        headers: { host: `host-${n}`, 'user-agent': `agent-${n}` },
      }),
      (n) => ({ url: `/docs/static/${n}` }),
    ];
    const count = runs(2000, 100_000);
    for (let n = 0; n < count; n += 50)
      await Promise.all(
        Array.from({ length: 50 }, (_, k) => app.inject(kinds[(n + k) % kinds.length]?.(n + k) ?? '/')),
      );
    // Names of people, who exist and who do not.
    for (let n = 0; n < 20; n += 1) {
      const payload = { username: `nobody-${n}`, password: 'a password of nobody' };
      await app.inject({ method: 'POST', url: '/login', payload });
    }
    const after = await read();
    expect([...after.keys()]).toEqual([...before.keys()]);
    const answers = [...(await read())].filter(([name]) => name.startsWith('http_'));
    const asked = answers.reduce((sum, [name, value]) => sum + value - (before.get(name) ?? NaN), 0);
    expect(asked).toBe(count + 20);
  },
  LONGEST_MS,
);

/** Asks, unless the database is said to be away. */
function unless<Row>(isBroken: () => boolean, ask: Ask<Row>): Ask<Row> {
  return (...asked) => {
    if (isBroken()) return Promise.reject(new DatabaseUnavailable(STALLED, 'commits_wait'));
    return ask(...asked);
  };
}

describe('an answer that nobody knows', () => {
  it('is counted by what was missing', async () => {
    let isBroken = false;
    const broken = await house.replica({
      meter: metrics.meter,
      through: (database) => ({
        ...database,
        query: (columns) => unless(() => isBroken, database.query(columns)),
        prepared: (name, columns) => unless(() => isBroken, database.prepared(name, columns)),
      }),
    });
    const user = await house.user();
    const pair = await login(broken, user);
    before = await read();
    isBroken = true;
    const { username, password } = user;
    await broken.app.inject({ url: '/session', headers: bearer(pair.access_token) });
    await broken.app.inject({ method: 'POST', url: '/login', payload: { username, password } });
    expect((await refresh(broken, pair.refresh_token)).statusCode).toBe(503);
    isBroken = false;
    expect(
      await counted('gatehouse_unavail', 'gatehouse_logins', 'gatehouse_refreshes', 'gatehouse_judg'),
    ).toEqual({
      'gatehouse_unavailable_total{reason="commits_wait"}': 3,
      'gatehouse_logins_total{outcome="unavailable"}': 1,
      'gatehouse_judgements_total{kind="none",result="unavailable",how="session"}': 1,
    });
  });
  it.each<[cause: unknown, reason: Unavailability]>([
    [new DatabaseUnavailable('no answer within 2000 ms', 'database_slow'), 'database_slow'],
    [new Reason('more logins than can be hashed in time', 'hashing'), 'hashing'],
    [new Reason('keys keep changing'), 'other'],
    [new AuthError('server_error'), 'other'],
    [undefined, 'other'],
  ])('%s', (cause, reason) => {
    expect(unavailabilityOf(cause)).toBe(reason);
  });
});

it('hears nothing any more once it is stopped', async () => {
  metrics.stop();
  await login(replica, await house.user());
  expect(Object.keys(await counted('gatehouse_refreshes', 'gatehouse_liveness'))).toEqual([]);
});
