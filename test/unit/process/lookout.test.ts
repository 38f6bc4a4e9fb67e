// What the first process tells its workers of the database, and what each worker makes of it.
import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';

import type { Client } from '../../../src/database/driver.js';
import { createFence, OVERTAKEN, type Server } from '../../../src/database/fence.js';
import { createHearer, isHearsay } from '../../../src/process/lookout.js';

const at = (timeline: number, identifier = '70'): Server => ({ identifier, timeline });

function openClient(): { client: Client; brokenOff: Error[] } {
  const brokenOff: Error[] = [];
  const client = Object.assign(new EventEmitter(), { breakOff: (why: Error) => void brokenOff.push(why) });
  return { client: client as unknown as Client, brokenOff };
}

describe('a worker', () => {
  it('breaks off its connections to a primary that another process has heard to be replaced', () => {
    const fence = createFence();
    const { client, brokenOff } = openClient();
    expect(fence.admit(client, at(3))).toBe(true);
    const hearer = createHearer();
    hearer.listen(fence);
    hearer.hear({ heard: at(3) });
    expect(brokenOff).toEqual([]);
    hearer.hear({ heard: at(4) });
    expect(brokenOff.map(({ message }) => message)).toEqual([OVERTAKEN]);
    expect(fence.admit(openClient().client, at(3))).toBe(false);
    expect(fence.admit(openClient().client, at(4))).toBe(true);
  });

  it('knows what it was told before it had a fence', () => {
    const fence = createFence();
    const hearer = createHearer();
    hearer.hear({ heard: at(7) });
    hearer.listen(fence);
    expect(fence.admit(openClient().client, at(6))).toBe(false);
  });

  it('is not led back by hearsay of an earlier timeline', () => {
    const fence = createFence();
    const { client, brokenOff } = openClient();
    fence.admit(client, at(4));
    const hearer = createHearer();
    hearer.listen(fence);
    hearer.hear({ heard: at(3) });
    expect(brokenOff).toEqual([]);
    expect(fence.admit(openClient().client, at(3))).toBe(false);
  });
});

it('a fence tells of each connection that is believed, and of no other one', () => {
  const heard: Server[] = [];
  const fence = createFence(undefined, (server) => heard.push(server));
  for (const timeline of [2, 2, 1, 3]) fence.admit(openClient().client, at(timeline));
  expect(heard).toEqual([at(2), at(2), at(3)]);
});

it.each([['SIGTERM'], [{ config: {} }], [null], [undefined]])('%j is an order, and no hearsay', (order) => {
  expect(isHearsay(order)).toBe(false);
});
