// Clients with audiences: of tokens for none of them they learn nothing, and end nothing.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import {
  basic,
  login,
  openHouse,
  postForm,
  type House,
  type Replica,
  type TestClient,
} from '../support/house.js';
import type { TokenPair } from '../support/house.js';

const ISSUER = 'http://gatehouse.test';

let house: House;
let replica: Replica;
/** Introspects and revokes, whatever the audience. */
let anyone: TestClient;
/** The same for these two alone. */
let orders: TestClient;
/** For users who were made here. */
let native: TestClient;
let shop: TestClient;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  anyone = await house.client();
  orders = await house.client(['introspect', 'revoke'], ['orders', 'stock']);
  native = await house.client(['introspect', 'revoke'], ['gatehouse']);
  shop = await house.client(['sessions:open'], ['orders', 'mail', 'gatehouse']);
});
afterAll(() => house.close());

async function open(audience: string[], more: object = {}): Promise<TokenPair> {
  const payload = { external_id: 'customer', audience, ...more };
  const answer = await replica.app.inject({
    method: 'POST',
    url: '/sessions',
    headers: basic(shop),
    payload,
  });
  expect(answer.statusCode).toBe(201);
  return answer.json();
}

const INACTIVE = { active: false };

async function isActive(client: TestClient, token: string): Promise<boolean> {
  const { statusCode, body } = await postForm(replica, '/introspect', client, { token });
  expect(statusCode).toBe(200);
  const answer = JSON.parse(body) as { active: boolean };
  if (!answer.active) expect(answer).toEqual(INACTIVE);
  return answer.active;
}

async function askBatch(client: TestClient, tokens: string[]): Promise<Record<string, unknown>[]> {
  const answer = await replica.app.inject({
    method: 'POST',
    url: '/introspect/batch',
    headers: basic(client),
    payload: { tokens },
  });
  expect(answer.statusCode).toBe(200);
  return answer.json<{ results: Record<string, unknown>[] }>().results;
}

describe('introspection', () => {
  it('knows tokens for one of the audiences of the client, alone or in a batch', async () => {
    const tokens = {
      orders: (await open(['orders'])).access_token,
      several: (await open(['mail', 'orders'])).access_token,
      mail: (await open(['mail'])).access_token,
      ours: (await login(replica, await house.user())).access_token,
    };
    const expected: [TestClient, boolean[]][] = [
      [anyone, [true, true, true, true]],
      [orders, [true, true, false, false]],
      [native, [false, false, false, true]],
    ];
    for (const [client, active] of expected) {
      const all = Object.values(tokens);
      expect(await Promise.all(all.map((token) => isActive(client, token)))).toEqual(active);
      const results = await askBatch(client, all);
      expect(results.map((result) => result['active'])).toEqual(active);
      for (const result of results) if (result['active'] === false) expect(result).toEqual(INACTIVE);
    }
  });

  it('says nothing of the successor of another token', async () => {
    const { access_token: token } = await open(['mail'], { access_token_ttl: 30 });
    // Of 30 seconds the second half is its window.
    await house.database.clock.set(20);
    try {
      const answers = [anyone, orders].map((client) => postForm(replica, '/introspect', client, { token }));
      const headers = (await Promise.all(answers)).map((answer) => answer.headers['refreshed-api-token']);
      expect(headers).toEqual([expect.any(String), undefined]);
      expect((await askBatch(anyone, [token]))[0]).toHaveProperty('refreshed_token');
      expect(await askBatch(orders, [token])).toEqual([INACTIVE]);
    } finally {
      await house.database.clock.set(0);
    }
  });
});

describe('revocation', () => {
  async function revoke(client: TestClient, token: string): Promise<void> {
    const { statusCode, body } = await postForm(replica, '/revoke', client, { token });
    expect([statusCode, body]).toEqual([200, '']);
  }

  it('ends what is for the client, and nothing else, with the same answer', async () => {
    const [own, foreign] = [await open(['orders']), await open(['mail'])];
    for (const { access_token: token } of [own, foreign]) await revoke(orders, token);
    expect(await isActive(anyone, own.access_token)).toBe(false);
    expect(await isActive(anyone, foreign.access_token)).toBe(true);
    await revoke(anyone, foreign.access_token);
    expect(await isActive(anyone, foreign.access_token)).toBe(false);
  });

  it('takes a refresh token for one that is for the issuer', async () => {
    const pair = await open(['orders']);
    await revoke(orders, pair.refresh_token);
    expect(await isActive(anyone, pair.access_token)).toBe(true);
    await revoke(await house.client(['revoke'], ['orders', ISSUER]), pair.refresh_token);
    expect(await isActive(anyone, pair.access_token)).toBe(false);
  });
});

it('audiences that are taken away count no more at the next request', async () => {
  const { access_token: token } = await open(['orders']);
  const operator = await house.client(['clients:write', 'introspect', 'revoke']);
  expect(await isActive(orders, token)).toBe(true);
  const answer = await replica.app.inject({
    method: 'PATCH',
    url: `/admin/clients/${orders.id}`,
    headers: basic(operator),
    payload: { audiences: ['stock'] },
  });
  expect(answer.statusCode).toBe(200);
  expect(await isActive(orders, token)).toBe(false);
});
