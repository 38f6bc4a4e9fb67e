// Every order of what can end a session and of what takes an end back: what is alive afterwards, and what each call answers.
import { afterAll, beforeAll, expect, it } from 'vitest';

import { basic, bearer, introspect, login, openHouse, postForm, refresh } from '../../support/house.js';
import type { House, Replica, TestClient, TestUser, TokenPair } from '../../support/house.js';

const ACTS = ['end', 'lift', 'log out', 'revoke the access token', 'steal', 'end all of the user'] as const;
type Act = (typeof ACTS)[number];

let house: House;
/** What is done at one is asked of the other. */
let replica: Replica;
let other: Replica;
let operator: TestClient;
let client: TestClient;

beforeAll(async () => {
  house = await openHouse();
  // What comes back once is a theft at once.
  const config = { replayWindowSeconds: 0 };
  replica = await house.replica({ config });
  other = await house.replica({ config });
  operator = await house.client(['sessions:end', 'sessions:read', 'revocations:lift']);
  client = await house.client();
});
afterAll(() => house.close());

function orders(length: number): Act[][] {
  if (length === 0) return [[]];
  return orders(length - 1).flatMap((order) => [order, ...ACTS.map((act) => [...order, act])]);
}

/** What is true of one session, as the contract says it; what Gatehouse says is held against it. */
interface Truth {
  /** Ended for good. */
  isOver: boolean;
  /** Rows of operators that are in force: there is never more than one. */
  isHeld: boolean;
  isTokenRevoked: boolean;
}

async function post(
  url: string,
  payload: object,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await replica.app.inject({ method: 'POST', url, headers: basic(operator), payload });
  return { status: response.statusCode, body: response.json() };
}

async function perform(
  act: Act,
  truth: Truth,
  { user, parent, pair, rows }: { user: TestUser; parent: string; pair: TokenPair; rows: string[] },
): Promise<void> {
  const isLive = !truth.isOver && !truth.isHeld;
  if (act === 'end') {
    const { body } = await post('/admin/revocations', { session_ids: [pair.session_id] });
    expect(body).toMatchObject({ sessions_ended: isLive ? 1 : 0, users: isLive ? 1 : 0, liftable: true });
    const url = `/admin/revocations?ending_id=${String(body['ending_id'])}`;
    const { revocations } = (await replica.app.inject({ url, headers: basic(operator) })).json<{
      revocations: { id: string; target: string }[];
    }>();
    expect(revocations.map(({ target }) => target)).toEqual(isLive ? [pair.session_id] : []);
    rows.push(...revocations.map(({ id }) => id));
    truth.isHeld ||= isLive;
  } else if (act === 'lift') {
    const row = rows.at(-1);
    if (row === undefined) return;
    truth.isHeld = false;
    const { status, body } = await post(`/admin/revocations/${row}/lift`, {});
    expect([status, body]).toEqual([200, { restored: truth.isOver ? 0 : 1 }]);
  } else if (act === 'log out') {
    const headers = bearer(pair.access_token);
    const { statusCode } = await replica.app.inject({ method: 'POST', url: '/logout', headers });
    expect(statusCode).toBe(204);
    truth.isOver = true;
  } else if (act === 'revoke the access token') {
    expect((await postForm(replica, '/revoke', client, { token: pair.access_token })).statusCode).toBe(200);
    truth.isTokenRevoked = true;
  } else if (act === 'end all of the user') {
    const { body } = await post('/admin/revocations', { user_ids: [user.id] });
    expect(body).toMatchObject({ sessions_ended: isLive ? 1 : 0, users: 1, liftable: false });
    truth.isOver = true;
  } else {
    const { statusCode, body } = await refresh(replica, parent);
    expect(statusCode).toBe(401);
    expect(body).toContain(truth.isOver ? 'invalid_token' : 'refresh_reused');
    truth.isOver = true;
  }
}

it(
  'leaves alive what nothing in force has ended, after each of all orders of up to three',
  { timeout: 120_000 },
  async () => {
    const all = new Map(orders(3).map((order) => [order.join(', '), order]));
    expect(all.size).toBe(1 + 6 + 6 ** 2 + 6 ** 3);
    for (const [name, order] of all) {
      const user = await house.user();
      const first = await login(replica, user);
      const pair = (await refresh(replica, first.refresh_token)).json<TokenPair>();
      const truth: Truth = { isOver: false, isHeld: false, isTokenRevoked: false };
      const session = { user, parent: first.refresh_token, pair, rows: [] };
      for (const act of order) await perform(act, truth, session);
      const isLive = !truth.isOver && !truth.isHeld;
      const { active } = (await introspect(other, client, pair.access_token)).json<{ active: boolean }>();
      const refreshed = (await refresh(other, pair.refresh_token)).statusCode;
      expect([name, active, refreshed]).toEqual([name, isLive && !truth.isTokenRevoked, isLive ? 200 : 401]);
    }
  },
);
