// Logins whose callers have gone: a place to hash is free when its hash is done, not when nobody waits for it.
import { connect, type AddressInfo } from 'node:net';
import pino from 'pino';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';

import { buildApp } from '../../src/app.js';
import { openDatabase } from '../../src/database/prisma.js';
import { createGatehouse } from '../../src/domain/gatehouse.js';
import { createPasswordHasher } from '../../src/domain/passwords/hasher.js';
import { createTokenCodec } from '../../src/http/jwt.js';
import { AMPLE_MS, DEFAULTS, openHouse, SECRET, type House } from '../support/house.js';

const BOUND = 2;
const LOGINS = 7;

/** What argon2 really does, counted beneath the hasher, and held until `gate.open`. */
const argon2 = vi.hoisted(() => {
  const nothing: () => void = () => undefined;
  return { running: 0, most: 0, started: 0, gate: { open: nothing } };
});

vi.mock('../../src/domain/passwords/argon2.js', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../src/domain/passwords/argon2.js')>();
  const opened = new Promise<void>((resolve) => (argon2.gate.open = resolve));
  return {
    createArgon2: (assumedMs: number) => {
      const real = original.createArgon2(assumedMs);
      return {
        ...real,
        verify: async (phc: string, password: string) => {
          argon2.running += 1;
          argon2.started += 1;
          argon2.most = Math.max(argon2.most, argon2.running);
          await opened;
          return await real.verify(phc, password).finally(() => (argon2.running -= 1));
        },
      };
    },
  };
});

let house: House;
beforeAll(async () => (house = await openHouse()));
afterAll(() => house.close());

it('an aborted login keeps its place until its hash is done', async () => {
  const database = openDatabase(house.database.url, { deadlineMs: AMPLE_MS });
  const hasher = createPasswordHasher({
    maxConcurrent: BOUND,
    maxWaitMs: 60_000,
    parameters: { memoryKib: 8, passes: 1, lanes: 1 },
  });
  const gatehouse = await createGatehouse({
    database,
    hasher,
    createCodec: createTokenCodec,
    rules: DEFAULTS,
    jwtAlgorithm: 'EdDSA',
    secrets: [SECRET],
  });
  const app = await buildApp({ gatehouse, config: DEFAULTS, logger: pino({ level: 'silent' }) });
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
  await expect.poll(hasher.load).toMatchObject({ running: BOUND, waiting: LOGINS - BOUND });
  for (const socket of early) socket.destroy();
  await expect
    .poll(() => new Promise((resolve) => app.server.getConnections((_, count) => resolve(count))))
    .toBe(0);
  const late = logIn(LOGINS);
  await expect.poll(() => hasher.load().waiting).toBe(LOGINS - BOUND + 1);
  expect(hasher.load().running).toBe(BOUND);
  expect(argon2).toMatchObject({ running: BOUND, started: BOUND });

  argon2.gate.open();
  await expect.poll(hasher.load).toEqual({ running: 0, waiting: 0, admitted: 0 });
  expect(argon2).toMatchObject({ running: 0, started: LOGINS + 1, most: BOUND });
  late.destroy();
  await app.close();
  await database.close();
});
