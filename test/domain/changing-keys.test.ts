// A refresh and a logout where other keys are in force than the replica has loaded, before it reads the token or meanwhile.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { Columns, RowOf } from '../../src/database/columns.js';
import type { Ask, Database } from '../../src/database/prisma.js';
import { rotateKeys } from '../../src/domain/keys/lifecycle.js';
import {
  claimsOf,
  introspect,
  login,
  refresh,
  SECRET,
  type Replica,
  type TokenPair,
} from '../support/house.js';
import { logOut, openTwins, type Twins } from '../support/twins.js';

/** How often a request is decided: what the code chooses is written down here once more. */
const MOST_ATTEMPTS = 5;

/** The reason is for the log. */
const GIVEN_UP = { code: 'temporarily_unavailable', cause: { message: 'keys keep changing' } };

let twins: Twins;
let pair: TokenPair;

beforeAll(async () => {
  twins = await openTwins();
});
beforeEach(async () => {
  pair = await login(twins.one, await twins.house.user());
});
afterAll(() => twins.house.close());

/** A replica that finds other keys in force, the first so many times that it sends the statement. */
async function openOvertaken(
  statement: string,
  times: number,
): Promise<{ replica: Replica; sent: string[] }> {
  const { admin } = twins.house.database;
  const sent: string[] = [];
  const through = (pool: Database): Database => ({
    ...pool,
    prepared: <const C extends Columns>(name: string, columns: C): Ask<RowOf<C>> => {
      const ask = pool.prepared(name, columns);
      if (name !== statement) return ask;
      return async (template, ...values) => {
        sent.push(name);
        if (sent.length <= times) await admin.query('UPDATE service SET keys_version = gen_random_uuid()');
        return ask(template, ...values);
      };
    },
  });
  return { replica: await twins.house.replica({ through }), sent };
}

describe('a refresh', () => {
  it('is decided with the keys that are in force', async () => {
    const { replica, sent } = await openOvertaken('rotate_session', MOST_ATTEMPTS - 1);
    const answer = await refresh(replica, pair.refresh_token);
    expect(answer.statusCode).toBe(200);
    expect(claimsOf(answer.json<TokenPair>().refresh_token).jti).toBe(`${pair.session_id}.1`);
    expect(sent).toHaveLength(MOST_ATTEMPTS);
  });

  it('is given up when they keep changing, and has spent nothing', async () => {
    const { replica, sent } = await openOvertaken('rotate_session', MOST_ATTEMPTS);
    await expect(replica.gatehouse.refresh(pair.refresh_token)).rejects.toMatchObject(GIVEN_UP);
    expect(sent).toHaveLength(MOST_ATTEMPTS);
    // After the replay window it would be theft, had it been spent.
    await twins.house.database.clock.advance(31);
    expect((await refresh(twins.two, pair.refresh_token)).statusCode).toBe(200);
  });
});

describe('a logout', () => {
  const isActive = async () =>
    (await introspect(twins.two, twins.client, pair.access_token)).json<{ active: boolean }>().active;

  it('is decided with the keys that are in force', async () => {
    const { replica, sent } = await openOvertaken('end_session', MOST_ATTEMPTS - 1);
    expect((await logOut(replica, pair.access_token)).statusCode).toBe(204);
    expect(await isActive()).toBe(false);
    expect(sent).toHaveLength(MOST_ATTEMPTS);
  });

  it('is given up when they keep changing, and has ended nothing', async () => {
    const { replica, sent } = await openOvertaken('end_session', MOST_ATTEMPTS);
    await expect(replica.gatehouse.logout(pair.access_token, 'access')).rejects.toMatchObject(GIVEN_UP);
    expect(await isActive()).toBe(true);
    expect(sent).toHaveLength(MOST_ATTEMPTS);
  });
});

describe('a token that a newer key has signed than the replica has loaded', () => {
  beforeEach(async () => {
    await rotateKeys(twins.one.database, 'EdDSA', SECRET);
    // From then on it signs.
    await twins.house.database.clock.advance(601);
    pair = await login(twins.one, await twins.house.user());
  });

  it('is refreshed', async () => {
    expect((await refresh(twins.two, pair.refresh_token)).statusCode).toBe(200);
  });

  it('ends its session', async () => {
    expect((await logOut(twins.two, pair.access_token)).statusCode).toBe(204);
    expect((await refresh(twins.one, pair.refresh_token)).statusCode).toBe(401);
  });
});
