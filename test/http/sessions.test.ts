// /sessions: where the user is logged in, and how to end one of them.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { ask, MARKER, problemOf } from '../support/answers.js';
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

const NOON = 1_900_000_000;

let house: House;
let replica: Replica;
let client: TestClient;
let first: TokenPair;
let second: TokenPair;
let stranger: TokenPair;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
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
  return ask(replica, { url: '/sessions', headers: bearer(token) });
}

function end(token: string, id: string) {
  return ask(replica, { method: 'DELETE', url: `/sessions/${id}`, headers: bearer(token) });
}

describe('GET /sessions', () => {
  it('lists exactly the living sessions of the user, latest used first', async () => {
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
          id: first.session_id,
          current: false,
          created_at: at(0),
          last_used_at: at(120),
          expires_at: at(90 * 86_400),
          ...device,
        },
        {
          id: second.session_id,
          current: true,
          created_at: at(60),
          last_used_at: at(60),
          expires_at: at(60 + 90 * 86_400),
          ...device,
        },
      ],
    });
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
