// PostgreSQL stands still with its connections open: 503 in time and nothing else, and the truth again once it moves.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';

import type { TokenPair } from '../../support/house.js';
import type { OwnCluster } from '../../support/own-cluster.js';
import type { Resident } from '../../support/resident.js';
import { retryOn503 } from '../../support/retry.js';
import { ask, type Answer, type Service } from '../../support/service.js';
import { openTwoServices, type TwoServices } from '../../support/two-services.js';
import { slowestOf, statusesOf, verdictsOf, watch } from '../../support/watch.js';

/** The deadline, and what two busy cores may add to it. */
const ANSWER_WITHIN_MS = 2500 + 5500;
const RECOVERS_WITHIN_MS = 10_000;
const READERS = 12;

/** How many sessions are ended before, how many meanwhile, and how many refreshed meanwhile. */
const SESSIONS = 6;

let cluster: OwnCluster;
let services: Service[];
let resident: Resident;
let serviceAt: TwoServices['at'];
let close: TwoServices['close'];

beforeAll(async () => {
  ({ cluster, services, resident, at: serviceAt, close } = await openTwoServices());
});
afterAll(async () => {
  await cluster.thaw();
  await close();
});

/** Everything that writes, on both services, over and over until it is enough. */
async function write(leaving: TokenPair[], staying: TokenPair[], isEnough: () => boolean): Promise<Answer[]> {
  const answers: Answer[] = [];
  const work = async (call: (turn: number) => Promise<Answer>) => {
    for (let turn = 0; !isEnough(); turn += 1) answers.push(await call(turn));
  };
  await Promise.all([
    ...leaving.map((pair) => work((turn) => resident.logOut(serviceAt(turn), pair))),
    ...staying.map((pair) => work((turn) => resident.refresh(serviceAt(turn), pair))),
    work((turn) => resident.logIn(serviceAt(turn))),
    work((turn) => ask(serviceAt(turn), 'GET', '/ready')),
  ]);
  return answers;
}

/** Waits until both services answer a read and a write again. */
async function untilBack(pair: TokenPair): Promise<void> {
  for (;;) {
    const answers = await Promise.all(
      services.flatMap((service) => [resident.introspect(service, pair), resident.refresh(service, pair)]),
    );
    if (answers.every(({ status }) => status === 200)) return;
    await sleep(20);
  }
}

it('answers 503 in time while nothing moves, and is truthful again without help', async () => {
  const pairs = await resident.openSessions(serviceAt(0), 1 + 3 * SESSIONS);
  const [ended, leaving, staying] = [0, 1, 2].map(() => pairs.splice(0, SESSIONS)) as [
    TokenPair[],
    TokenPair[],
    TokenPair[],
  ];
  const [alive, dead] = [pairs, ended].flatMap((some) => some.slice(0, 1)) as [TokenPair, TokenPair];
  const ends = await Promise.all(
    ended.map((pair, place) => retryOn503(() => resident.logOut(serviceAt(place), pair))),
  );
  expect(statusesOf(ends)).toEqual(new Set([204]));

  const { aboutAlive, aboutEnded, stop } = watch(resident, services, { alive, ended: dead }, READERS);
  await sleep(300);
  await cluster.freeze();
  const frozenAtMs = performance.now();
  const begunMeanwhile = () =>
    [...aboutAlive, ...aboutEnded].filter(({ startedAtMs }) => startedAtMs > frozenAtMs);
  const written = await write(leaving, staying, () => begunMeanwhile().length >= READERS);
  const meanwhile = begunMeanwhile();
  const thawedAtMs = performance.now();
  await cluster.thaw();
  await untilBack(alive);
  const recoveredMs = performance.now() - thawedAtMs;
  await sleep(300);
  await stop();

  const read = [...aboutAlive, ...aboutEnded];
  expect(written.length).toBeGreaterThanOrEqual(2 * SESSIONS + 2);
  expect(statusesOf([...meanwhile, ...written])).toEqual(new Set([503]));
  expect(statusesOf(read)).toEqual(new Set([200, 503]));
  expect(slowestOf([...read, ...written])).toBeLessThan(ANSWER_WITHIN_MS);
  expect(recoveredMs).toBeLessThan(RECOVERS_WITHIN_MS);
  expect(services.map(({ process }) => process.exitCode)).toEqual([null, null]);
  expect(verdictsOf(aboutAlive)).toEqual(new Set([true]));
  expect(verdictsOf(aboutEnded)).toEqual(new Set([false]));

  // What was acknowledged stands. What was answered 503 has happened or not, alike everywhere, and can be asked again.
  const askAll = (pair: TokenPair) =>
    Promise.all(services.map((service) => retryOn503(() => resident.introspect(service, pair))));
  for (const pair of ended) expect(verdictsOf(await askAll(pair))).toEqual(new Set([false]));
  for (const [place, pair] of leaving.entries()) {
    expect(verdictsOf(await askAll(pair)).size).toBe(1);
    expect((await retryOn503(() => resident.logOut(serviceAt(place), pair))).status).toBe(204);
    expect(verdictsOf(await askAll(pair))).toEqual(new Set([false]));
  }
  for (const [place, pair] of staying.entries()) {
    expect(verdictsOf(await askAll(pair))).toEqual(new Set([true]));
    expect((await retryOn503(() => resident.refresh(serviceAt(place), pair))).status).toBe(200);
  }
});
