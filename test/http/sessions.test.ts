// /sessions: where the user is logged in, and how to end one of them.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { MARKER, problemOf } from '../support/answers.js';
import {
  bearer,
  introspect,
  login,
  openHouse,
  refresh,
  type House,
  type Replica,
  type TestClient,
  type TokenPair,
} from '../support/house.js';

const DAY = 86_400;
/** Of 17 March 2030, UTC. */
const MIDNIGHT = 21_990 * DAY;
const NOON = MIDNIGHT + DAY / 2;

let house: House;
let replica: Replica;
let client: TestClient;
let first: TokenPair;
let second: TokenPair;
let stranger: TokenPair;
/** Whose access tokens last for days. */
let patient: Replica;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  patient = await house.replica({ config: { accessTtlSeconds: 5 * DAY } });
  client = await house.client();
});
beforeEach(async () => {
  await house.database.clock.freeze(NOON);
  const user = await house.user();
  stranger = await login(replica, await house.user());
  first = await login(replica, user);
  await house.database.clock.advance(60);
  second = await login(replica, user);
});
afterAll(() => house.close());

function list(token: string) {
  return replica.app.inject({ url: '/sessions', headers: bearer(token) });
}

function end(token: string, id: string) {
  return replica.app.inject({ method: 'DELETE', url: `/sessions/${id}`, headers: bearer(token) });
}

/** As who holds a token for days sees the list: every byte and every header but those of each request. */
async function seen(token: string, on: Replica = patient): Promise<unknown> {
  const { statusCode, headers, body } = await on.app.inject({ url: '/sessions', headers: bearer(token) });
  expect(statusCode).toBe(200);
  return { headers: { ...headers, date: null, 'x-request-id': null }, body };
}

async function usedOn(token: string, on: Replica = patient): Promise<Record<string, string>> {
  const { sessions } = (await on.app.inject({ url: '/sessions', headers: bearer(token) })).json<{
    sessions: { id: string; last_used_on: string }[];
  }>();
  return Object.fromEntries(sessions.map(({ id, last_used_on }) => [id, last_used_on]));
}

describe('GET /sessions', () => {
  it('lists exactly the living sessions of the user, newest ones first', async () => {
    await house.database.clock.advance(60);
    await refresh(replica, first.refresh_token);
    const response = await list(second.access_token);
    expect(response.statusCode).toBe(200);
    expect(response.headers['cache-control']).toBe('no-store');
    const at = (seconds: number) => new Date((NOON + seconds) * 1000).toISOString();
    const device = { ip: '127.0.0.1', user_agent: 'lightMyRequest' };
    expect(response.json()).toEqual({
      sessions: [
        {
          id: second.session_id,
          current: true,
          created_at: at(60),
          last_used_on: '2030-03-17',
          expires_at: at(60 + 90 * DAY),
          ...device,
        },
        {
          id: first.session_id,
          current: false,
          created_at: at(0),
          last_used_on: '2030-03-17',
          expires_at: at(90 * DAY),
          ...device,
        },
      ],
    });
  });

  it('tells nothing of when within a day a refresh token was rotated, however often somebody asks', async () => {
    await house.database.clock.freeze(MIDNIGHT + 600);
    const user = await house.user();
    const thief = await login(patient, user);
    let [owner, other] = [await login(patient, user), await login(patient, user)];
    const before = await seen(thief.access_token);
    for (let rotation = 1; rotation <= 100; rotation += 1) {
      await house.database.clock.advance(600 + (rotation % 7) * 60);
      const response = await refresh(patient, owner.refresh_token);
      expect(response.statusCode).toBe(200);
      owner = response.json<TokenPair>();
      expect(await seen(thief.access_token)).toEqual(before);
      // The other one takes its turn, so that an order by use would show.
      [owner, other] = [other, owner];
    }
  });

  it('shows the day of the last use, and today for what is less than 24 hours ago', async () => {
    await house.database.clock.freeze(NOON);
    const user = await house.user();
    const [still, moving] = [await login(patient, user), await login(patient, user)];
    const days = async () => {
      const found = await usedOn(moving.access_token);
      return [found[still.session_id], found[moving.session_id]];
    };
    for (const [seconds, expected] of [
      [0, ['2030-03-17', '2030-03-17']],
      [DAY / 2 - 1, ['2030-03-17', '2030-03-17']],
      // Midnight: what was used yesterday at noon was used less than 24 hours ago.
      [DAY / 2, ['2030-03-18', '2030-03-18']],
      [DAY - 1, ['2030-03-18', '2030-03-18']],
      [DAY, ['2030-03-17', '2030-03-17']],
    ] as const) {
      await house.database.clock.freeze(NOON + seconds);
      expect([seconds, await days()]).toEqual([seconds, expected]);
    }
    expect((await refresh(patient, moving.refresh_token)).statusCode).toBe(200);
    expect(await days()).toEqual(['2030-03-17', '2030-03-18']);
    await house.database.clock.freeze(NOON + 3 * DAY);
    expect(await days()).toEqual(['2030-03-17', '2030-03-18']);
    // A promoted primary whose clock is behind the one that rotated.
    await house.database.clock.freeze(NOON - 60);
    expect(await days()).toEqual(['2030-03-17', '2030-03-17']);
  });

  it.each(['Pacific/Kiritimati', 'Pacific/Niue'])('tells days of UTC to a database in %s', async (zone) => {
    const { admin, url } = house.database;
    const name = new URL(url).pathname.slice(1);
    await admin.query(`ALTER DATABASE ${name} SET timezone = '${zone}'`);
    const abroad = await house.replica({ config: { accessTtlSeconds: 5 * DAY } });
    for (const at of [MIDNIGHT, MIDNIGHT + DAY - 1]) {
      await house.database.clock.freeze(at);
      const pair = await login(abroad, await house.user());
      for (const later of [0, 2 * DAY]) {
        await house.database.clock.freeze(at + later);
        expect(await usedOn(pair.access_token, abroad)).toEqual({ [pair.session_id]: '2030-03-17' });
      }
    }
    await admin.query(`ALTER DATABASE ${name} RESET timezone`);
  });

  it('shows no session that has ended', async () => {
    await end(second.access_token, first.session_id);
    const { sessions } = (await list(second.access_token)).json<{ sessions: { id: string }[] }>();
    expect(sessions.map(({ id }) => id)).toEqual([second.session_id]);
  });
});

describe('DELETE /sessions/:id', () => {
  it('ends that session with an empty 204, and no other', async () => {
    const response = await end(second.access_token, first.session_id);
    expect(response.statusCode).toBe(204);
    expect(response.body).toBe('');
    expect(response.headers['cache-control']).toBe('no-store');
    expect((await introspect(replica, client, first.access_token)).body).toBe('{"active":false}');
    expect((await refresh(replica, first.refresh_token)).statusCode).toBe(401);
    expect((await introspect(replica, client, second.access_token)).json()).toMatchObject({ active: true });
  });

  it('answers 204 also when it had ended', async () => {
    await end(second.access_token, first.session_id);
    expect((await end(second.access_token, first.session_id)).statusCode).toBe(204);
  });

  it('ends the session that asks', async () => {
    expect((await end(second.access_token, second.session_id)).statusCode).toBe(204);
    expect((await list(second.access_token)).statusCode).toBe(401);
  });

  it("does not know another user's session, and leaves it alone", async () => {
    expect(problemOf(await end(second.access_token, stranger.session_id))).toEqual({
      status: 404,
      error: 'not_found',
    });
    expect((await introspect(replica, client, stranger.access_token)).json()).toMatchObject({ active: true });
  });

  it.each([
    ['an unknown id', randomUUID()],
    ['no id at all', MARKER],
    ['a very long text', `${MARKER}${'a'.repeat(5000)}`],
    ['a zero byte', '%00'],
    ['a list of ids', `${randomUUID()},${randomUUID()}`],
  ])('does not know %s', async (_what, id) => {
    expect(problemOf(await end(second.access_token, id))).toEqual({ status: 404, error: 'not_found' });
  });
});
