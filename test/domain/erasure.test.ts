// What docs/data.md tells an operator to do about somebody who wants to be forgotten.
import { afterAll, beforeAll, expect, it } from 'vitest';

import { deleteUser, pruneDeletedUsers } from '../../src/domain/operators/deletion.js';
import { bearer, introspect, login, openHouse, refresh, type House, type Replica } from '../support/house.js';

let house: House;
let replicas: [Replica, Replica];
beforeAll(async () => {
  house = await openHouse();
  replicas = [await house.replica(), await house.replica()];
});
afterAll(() => house.close());

it('a user who is deleted is out at once on every replica, and leaves neither name nor address', async () => {
  const client = await house.client();
  const [ada, ben] = [await house.user(), await house.user()];
  const [pair, other] = [await login(replicas[0], ada), await login(replicas[1], ben)];
  await replicas[0].app.inject({
    method: 'POST',
    url: '/logout',
    headers: bearer((await login(replicas[0], ada)).access_token),
  });
  for (const replica of replicas)
    expect((await introspect(replica, client, pair.access_token)).json()).toMatchObject({ active: true });

  await deleteUser(replicas[0].database, ada.id, 'client:console');

  for (const replica of replicas) {
    expect((await introspect(replica, client, pair.access_token)).body).toBe('{"active":false}');
    expect((await refresh(replica, pair.refresh_token)).statusCode).toBe(401);
    const payload = { username: ada.username, password: ada.password };
    expect((await replica.app.inject({ method: 'POST', url: '/login', payload })).statusCode).toBe(401);
    expect((await introspect(replica, client, other.access_token)).json()).toMatchObject({ active: true });
  }
  await pruneDeletedUsers(replicas[1].database);
  const { rows: sessions } = await house.database.admin.query('SELECT FROM sessions WHERE user_id = $1', [
    ada.id,
  ]);
  expect(sessions).toEqual([]);
  for (const table of ['users', 'sessions', 'revocations', 'login_attempts']) {
    const { rows } = await house.database.admin.query<{ text: string }>(
      `SELECT t::text AS text FROM ${table} AS t`,
    );
    for (const { text } of rows) expect(text).not.toContain(ada.username);
  }
  // The memory of what was ended stays, by the id alone.
  const { rows } = await house.database.admin.query(
    'SELECT actor FROM revocations WHERE user_id = $1 ORDER BY actor',
    [ada.id],
  );
  expect(rows).toEqual([{ actor: 'client:console' }, { actor: `user:${ada.id}` }]);
});
