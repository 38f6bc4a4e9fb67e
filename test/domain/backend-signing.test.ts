// Which tokens are signed when a backend opens a session: those that it is given, and no other.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { openDatabase, type Database } from '../../src/database/prisma.js';
import type { Client } from '../../src/domain/clients.js';
import type { Gatehouse } from '../../src/domain/gatehouse.js';
import type { CreateTokenCodec } from '../../src/domain/keys/ring.js';
import { createTokenCodec } from '../../src/http/jwt.js';
import { openGatehouse, openHouse, type House } from '../support/house.js';

let house: House;
let database: Database;
let gatehouse: Gatehouse;
let backend: Client;
const signed: string[] = [];

const recordingCodec: CreateTokenCodec = async (key, typ) => {
  const codec = await createTokenCodec(key, typ);
  return {
    ...codec,
    sign: (claims) => {
      signed.push(typ);
      return codec.sign(claims);
    },
  };
};

beforeAll(async () => {
  house = await openHouse();
  database = openDatabase(house.database.url);
  gatehouse = await openGatehouse(database, house.hasher, recordingCodec);
  const { id } = await house.client(['sessions:open']);
  backend = { id, permissions: ['sessions:open'], audiences: [] };
});
beforeEach(() => {
  signed.length = 0;
});
afterAll(async () => {
  await database.close();
  await house.close();
});

describe('a session that a backend opens', () => {
  it.each([
    ['with a refresh token', true, ['at+jwt', 'rt+jwt']],
    ['without a refresh token', false, ['at+jwt']],
  ])('%s signs what it is answered with, and no other token', async (_how, refreshes, expected) => {
    const wanted = { externalId: 'customer-1', claims: {}, refreshes, ip: null, userAgent: null };
    const opened = await gatehouse.backends.openSession(backend, wanted);
    expect(Object.hasOwn(opened, 'refreshToken')).toBe(refreshes);
    expect([...signed].sort()).toEqual(expected);
  });
});
