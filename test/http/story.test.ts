// The README's story: in, asked about, on, out, refused.
import { afterAll, beforeAll, expect, it } from 'vitest';

import {
  bearer,
  introspect,
  login,
  openHouse,
  refresh,
  type House,
  type Replica,
  type TokenPair,
} from '../support/house.js';

let house: House;
let replica: Replica;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
});
afterAll(() => house.close());

it('logs in, introspects, refreshes, logs out, and is refused', async () => {
  const client = await house.client();
  const pair = await login(replica, await house.user({ scope: 'read write' }));
  expect((await introspect(replica, client, pair.access_token)).json()).toMatchObject({
    active: true,
    scope: 'read write',
  });

  const next = (await refresh(replica, pair.refresh_token)).json<TokenPair>();
  expect((await introspect(replica, client, next.access_token)).json()).toMatchObject({ active: true });

  const logout = await replica.app.inject({
    method: 'POST',
    url: '/logout',
    headers: bearer(next.access_token),
  });
  expect(logout.statusCode).toBe(204);
  for (const token of [pair.access_token, next.access_token]) {
    expect((await introspect(replica, client, token)).body).toBe('{"active":false}');
  }
  expect((await refresh(replica, next.refresh_token)).statusCode).toBe(401);
});
