// Logins whose callers have gone: a slot for hashing is free when its hash is done, not when nobody waits for it.
import { connect, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';

import type { Argon2 } from '../../src/domain/passwords/argon2.js';
import { createPasswordHasher } from '../../src/domain/passwords/hasher.js';
import { openHouse, type House } from '../support/house.js';

const SLOTS = 2;
const LOGINS = 7;

/** Counts what hashes at the same time, and holds it until `open` is called. No password is right. */
function createHeldArgon2() {
  const counts = { running: 0, most: 0, started: 0 };
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const argon2: Argon2 = {
    verify: async () => {
      counts.started += 1;
      counts.running += 1;
      counts.most = Math.max(counts.most, counts.running);
      await opened;
      counts.running -= 1;
      return false;
    },
    verifyForeign: () => Promise.reject(new Error('no hash is another system’s')),
    hash: () => Promise.reject(new Error('a login hashes nothing new')),
    hashMs: () => 1,
    close: () => Promise.resolve(),
  };
  return { counts, open, argon2 };
}

const { counts, open, argon2 } = createHeldArgon2();
const hasher = createPasswordHasher({ maxConcurrent: SLOTS, maxWaitMs: 60_000, argon2 });

let house: House;
beforeAll(async () => (house = await openHouse({ hasher })));
afterAll(() => house.close());

it('an aborted login keeps its slot until its hash is done', async () => {
  const { app } = await house.replica();
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;

  const logIn = (turn: number) => {
    const body = JSON.stringify({ username: `nobody-${turn}`, password: 'any' });
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    socket.write(
      `POST /login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    return socket;
  };
  const early = Array.from({ length: LOGINS }, (_, turn) => logIn(turn));
  await expect.poll(hasher.load).toMatchObject({ running: SLOTS, waiting: LOGINS - SLOTS });
  for (const socket of early) socket.destroy();
  await expect
    .poll(() => new Promise((resolve) => app.server.getConnections((_, count) => resolve(count))))
    .toBe(0);
  const late = logIn(LOGINS);
  await expect.poll(() => hasher.load().waiting).toBe(LOGINS - SLOTS + 1);
  expect(hasher.load().running).toBe(SLOTS);
  expect(counts).toMatchObject({ running: SLOTS, started: SLOTS });

  open();
  await expect.poll(hasher.load).toMatchObject({ running: 0, waiting: 0, admitted: 0 });
  expect(counts).toEqual({ running: 0, started: LOGINS + 1, most: SLOTS });
  late.destroy();
});
