// The server's clock as the page knows it: from answers alone, more exactly with each, and right again after a jump.
import { beforeEach, expect, it } from 'vitest';

import { createServerClock, type ServerClock } from '../../../packages/account-page/src/clock.js';

const SERVER = 1_900_000_000;

let counter: number;
let clock: ServerClock;

beforeEach(() => {
  counter = 50;
  clock = createServerClock(() => counter);
});

/** An answer that was written when the server's clock said so, `travel` seconds after it was asked for. */
function hearAt(serverTime: number, travel = 0.01): void {
  const sentAt = counter;
  counter += 2 * travel;
  clock.hear(new Date(Math.floor(serverTime + travel) * 1000).toUTCString(), sentAt, counter);
}

it('knows nothing before the first answer', () => {
  expect(clock.now()).toBeNull();
  clock.hear(null, 0, 1);
  clock.hear('yesterday', 0, 1);
  expect(clock.now()).toBeNull();
});

it('is within half a second after one answer, and much closer after some', () => {
  hearAt(SERVER + 0.9);
  expect(Math.abs((clock.now() ?? 0) - (SERVER + 0.92))).toBeLessThan(0.55);
  for (const part of [0.15, 0.35, 0.62, 0.83, 0.97]) {
    counter = 60 + part;
    hearAt(SERVER + 10.9 + part);
  }
  const truth = SERVER + 10.9 + (counter - 60);
  expect(Math.abs((clock.now() ?? 0) - truth)).toBeLessThan(0.2);
});

it('moves on by itself', () => {
  hearAt(SERVER);
  const before = clock.now() ?? 0;
  counter += 100;
  expect(clock.now()).toBeCloseTo(before + 100, 6);
});

it('follows a clock that was set, or a computer that slept', () => {
  hearAt(SERVER);
  hearAt(SERVER + 3600);
  expect(Math.abs((clock.now() ?? 0) - (SERVER + 3600))).toBeLessThan(0.6);
  hearAt(SERVER + 5);
  expect(Math.abs((clock.now() ?? 0) - (SERVER + 5))).toBeLessThan(0.6);
});

it('believes what tokens say before what a replica with a wrong clock says', () => {
  hearAt(SERVER - 7200);
  clock.learn(SERVER, SERVER + 1, counter, counter);
  expect(clock.now()).toBeGreaterThanOrEqual(SERVER);
  expect(clock.now()).toBeLessThanOrEqual(SERVER + 1);
  hearAt(SERVER - 7100);
  expect(clock.now()).toBeGreaterThanOrEqual(SERVER);
});

it('takes from a live token no more than that its time has come and is not over', () => {
  hearAt(SERVER);
  clock.learn(SERVER - 300, SERVER + 300, counter, counter);
  expect(Math.abs((clock.now() ?? 0) - SERVER)).toBeLessThan(0.6);
});
