// The database crashes under load and comes back: 503 in between and nothing else, and everything works again by itself.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { bearer, type TokenPair } from '../../support/house.js';
import type { OwnCluster } from '../../support/own-cluster.js';
import type { Resident } from '../../support/resident.js';
import { retryOn503 } from '../../support/retry.js';
import { ask, type Answer, type Service } from '../../support/service.js';
import { openTwoServices, type TwoServices } from '../../support/two-services.js';

/** The deadlines, and what a busy machine may add. */
const ANSWER_WITHIN_MS = 2500 + 5500;
const RECOVERS_WITHIN_MS = 15_000;
const WORKERS = 12;

let cluster: OwnCluster;
let services: Service[];
let resident: Resident;
let serviceAt: TwoServices['at'];
let close: TwoServices['close'];

beforeAll(async () => {
  ({ cluster, services, resident, at: serviceAt, close } = await openTwoServices());
});
afterAll(() => close());

/** Asks without pause, as long as it is told to, and keeps every answer. */
function load(pair: TokenPair, signal: AbortSignal): { answers: Answer[]; done: Promise<unknown> } {
  const answers: Answer[] = [];
  const questions = [
    (service: Service) => resident.introspect(service, pair),
    (service: Service) => ask(service, 'GET', '/session', { headers: bearer(pair.access_token) }),
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

async function untilAllAnswer(pair: TokenPair): Promise<number> {
  const startedAt = performance.now();
  for (;;) {
    const statuses = await Promise.all(
      services.map(async (service) => (await resident.introspect(service, pair)).status),
    );
    if (statuses.every((status) => status === 200)) return performance.now() - startedAt;
    await sleep(20);
  }
}

it('answers 503 in time while the database is gone, and recovers without a restart', async () => {
  const [pair] = (await resident.openSessions(serviceAt(0), 1)) as [TokenPair];
  const [other] = (await resident.openSessions(serviceAt(1), 1)) as [TokenPair];
  const stop = new AbortController();
  const { answers, done } = load(pair, stop.signal);
  await expect.poll(() => answers.some(({ status }) => status === 200)).toBe(true);
  await cluster.crash();
  const downAtMs = performance.now();
  const attempts = await Promise.all([
    resident.refresh(serviceAt(0), pair),
    resident.logOut(serviceAt(1), other),
    resident.logIn(serviceAt(1)),
  ]);
  await sleep(3000);
  const upAtMs = performance.now();
  await cluster.start();
  const recoveredMs = await untilAllAnswer(pair);
  stop.abort();
  await done;

  const during = answers.filter(
    ({ startedAtMs, tookMs }) => startedAtMs > downAtMs && startedAtMs + tookMs < upAtMs,
  );
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
  expect((await retryOn503(() => resident.refresh(serviceAt(1), pair))).status).toBe(200);
  const alive = await retryOn503(() => resident.introspect(serviceAt(0), other));
  expect(alive.json()).toMatchObject({ active: true });
  const logout = await retryOn503(() => resident.logOut(serviceAt(0), other));
  expect(logout.status).toBe(204);
  const dead = await retryOn503(() => resident.introspect(serviceAt(1), other));
  expect(dead.body).toBe('{"active":false}');
  expect((await retryOn503(() => resident.logIn(serviceAt(0)))).status).toBe(200);
});

it('keeps what it has answered, through a crash right afterwards', async () => {
  const logins: TokenPair[] = [];
  for (let place = 0; place < 4; place += 1)
    logins.push(...(await resident.openSessions(serviceAt(place), 1)));
  const [kept, ...ended] = logins as [TokenPair, ...TokenPair[]];
  const logouts = await Promise.all(
    ended.map(({ access_token }, place) =>
      retryOn503(() => ask(serviceAt(place), 'POST', '/logout', { headers: bearer(access_token) })),
    ),
  );
  await cluster.crash();
  await cluster.start();
  await untilAllAnswer(kept);
  expect(logouts.map(({ status }) => status)).toEqual([204, 204, 204]);
  for (const pair of ended) {
    const answer = await retryOn503(() => resident.introspect(serviceAt(0), pair));
    expect(answer.body).toBe('{"active":false}');
  }
  const answer = await retryOn503(() => resident.introspect(serviceAt(1), kept));
  expect(answer.json()).toMatchObject({ active: true });
});
