// /.well-known: the public keys (RFC 7517) and where everything is (RFC 8414), for anyone and for caches.
import { customFetch, discoveryRequest, processDiscoveryResponse } from 'oauth4webapi';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openDatabase } from '../../src/database/prisma.js';
import { rotateKeys } from '../../src/domain/keys/lifecycle.js';
import { retireKey } from '../../src/domain/keys/retirement.js';
import { AMPLE_MS, openHouse, SECRET, type House, type Replica } from '../support/house.js';

interface Jwks {
  keys: { kid: string }[];
}

let house: House;
let replica: Replica;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
});
afterAll(() => house.close());

function jwksOf(from: Replica) {
  return from.app.inject({ url: '/.well-known/jwks.json' });
}

describe('the key set', () => {
  it('shows exactly the public half, and may be kept', async () => {
    const response = await jwksOf(replica);
    expect(response.statusCode).toBe(200);
    expect(response.headers['cache-control']).toBe('public, max-age=300');
    expect(response.headers['content-type']).toMatch(/^application\/jwk-set\+json/);
    expect(response.json()).toEqual({
      keys: [
        {
          kty: 'OKP',
          crv: 'Ed25519',
          x: expect.stringMatching(/^[\w-]{43}$/) as string,
          kid: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
          alg: 'EdDSA',
          use: 'sig',
        },
      ],
    });
  });

  it.each([
    ['ES256', ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']],
    ['RS256', ['alg', 'e', 'kid', 'kty', 'n', 'use']],
  ] as const)('shows exactly the public members of an %s key', async (jwtAlgorithm, members) => {
    const other = await openHouse();
    const { keys } = (await jwksOf(await other.replica({ config: { jwtAlgorithm } }))).json<Jwks>();
    await other.close();
    expect(keys.map((key) => Object.keys(key).sort())).toEqual([[...members]]);
    expect(keys[0]).toMatchObject({ alg: jwtAlgorithm });
  });

  it('shows the next key as soon as it is made, and drops a retired one at once, on every replica', async () => {
    const other = await house.replica();
    const database = openDatabase(house.database.url, { connections: 1, deadlineMs: AMPLE_MS });
    const [old] = (await jwksOf(other)).json<Jwks>().keys;
    const next = await rotateKeys(database, 'EdDSA', SECRET);
    expect((await jwksOf(other)).json<Jwks>().keys.map(({ kid }) => kid)).toEqual([old?.kid, next?.kid]);
    const fresh = await retireKey(database, old?.kid ?? '', 'EdDSA', SECRET);
    const kids = (await jwksOf(other)).json<Jwks>().keys.map(({ kid }) => kid);
    expect(new Set(kids)).toEqual(new Set([next?.kid, fresh?.kid]));
    await database.close();
  });
});

it('tells where everything is, to the letter', async () => {
  const response = await replica.app.inject({ url: '/.well-known/oauth-authorization-server' });
  expect(response.statusCode).toBe(200);
  expect(response.headers['content-type']).toBe('application/json; charset=utf-8');
  expect(response.headers['cache-control']).toBe('public, max-age=3600');
  expect(response.json()).toEqual({
    issuer: 'http://gatehouse.test',
    jwks_uri: 'http://gatehouse.test/.well-known/jwks.json',
    introspection_endpoint: 'http://gatehouse.test/introspect',
    introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    revocation_endpoint: 'http://gatehouse.test/revoke',
    revocation_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    response_types_supported: [],
    grant_types_supported: [],
  });
});

describe('the metadata of an issuer with a path', () => {
  const PLACE = '/.well-known/oauth-authorization-server';

  it.each([
    'https://login.gatehouse.test/auth',
    'https://login.gatehouse.test/a/b-c.d',
    // What the router takes for its own signs.
    'https://login.gatehouse.test/tenant:1/v*',
    'https://login.gatehouse.test/%C3%A4',
  ])(
    'lies where RFC 8414 looks for that of %s, and where a gateway that takes the path away asks',
    async (issuer) => {
      const { app } = await house.replica({ config: { issuer } });
      const plain = await app.inject({ url: PLACE });
      const inserted = await app.inject({ url: PLACE + new URL(issuer).pathname });
      expect(plain.json()).toMatchObject({ issuer, introspection_endpoint: `${issuer}/introspect` });
      expect([inserted.statusCode, inserted.body]).toEqual([200, plain.body]);
      expect(inserted.headers['cache-control']).toBe('public, max-age=3600');
    },
  );

  it('is found there by a client that knows nothing but the issuer', async () => {
    const issuer = new URL('https://login.gatehouse.test/auth');
    const { app } = await house.replica({ config: { issuer: issuer.href } });
    const asked: string[] = [];
    const response = await discoveryRequest(issuer, {
      algorithm: 'oauth2',
      [customFetch]: async (url: string) => {
        asked.push(url);
        const { body, headers } = await app.inject({ url: new URL(url).pathname });
        return new Response(body, { headers: { 'content-type': String(headers['content-type']) } });
      },
    });
    expect((await processDiscoveryResponse(issuer, response)).jwks_uri).toBe(
      'https://login.gatehouse.test/auth/.well-known/jwks.json',
    );
    expect(asked).toEqual(['https://login.gatehouse.test/.well-known/oauth-authorization-server/auth']);
  });

  it('lies behind no other path', async () => {
    const { app } = await house.replica({ config: { issuer: 'https://login.gatehouse.test/auth' } });
    for (const path of ['/', '/auth/', '/auth/v1', '/Auth', '/%61uth', '/au'])
      expect([path, (await app.inject({ url: PLACE + path })).statusCode]).toEqual([path, 404]);
    for (const path of ['/', '/auth'])
      expect([path, (await replica.app.inject({ url: PLACE + path })).statusCode]).toEqual([path, 404]);
  });
});
