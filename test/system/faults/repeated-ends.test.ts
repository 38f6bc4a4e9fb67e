// An end that is asked for again: it is acknowledged when its own commit is, as if it were the first.
//
// Where a standby must confirm, an end that was answered 503 may become visible after a crash and still be on one machine
// alone. To call it done because it is visible would lose it with that machine.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import {
  login,
  openHouse,
  postForm,
  type House,
  type Replica,
  type TestClient,
} from '../../support/house.js';
import { retryOn503 } from '../../support/retry.js';
import { stallCommits } from '../../support/stalled-commits.js';
import { logOut } from '../../support/twins.js';

let house: House;
let replica: Replica;
let client: TestClient;

beforeAll(async () => {
  house = await openHouse({ deadlines: 'shipped' });
  replica = await house.replica();
  client = await house.client();
});
afterAll(() => house.close());

/** Runs while no commit that writes to the table comes to an end. */
async function whileCommitsStall<T>(table: 'sessions' | 'revocations', work: () => Promise<T>): Promise<T> {
  const stall = await stallCommits(house.database, table);
  try {
    return await work();
  } finally {
    await stall.end();
  }
}

describe('a second end', () => {
  it('of a session waits for a commit, as the first one does', async () => {
    const { access_token: access } = await login(replica, await house.user());
    const end = () => logOut(replica, access);
    expect((await retryOn503(end)).statusCode).toBe(204);

    expect((await whileCommitsStall('sessions', end)).statusCode).toBe(503);
    expect((await retryOn503(end)).statusCode).toBe(204);
  });

  it('of a token waits for a commit, as the first one does', async () => {
    const { access_token: token } = await login(replica, await house.user());
    const revoke = () => postForm(replica, '/revoke', client, { token });
    expect((await retryOn503(revoke)).statusCode).toBe(200);

    expect((await whileCommitsStall('revocations', revoke)).statusCode).toBe(503);
    expect((await retryOn503(revoke)).statusCode).toBe(200);
  });
});
