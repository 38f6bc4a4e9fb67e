// POST /revoke (RFC 7009): a refresh token ends its session, an access token its own lineage.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { CLIENT_CHALLENGE, forge, MARKER, oauthErrorOf } from '../support/answers.js';
import {
  basic,
  introspect,
  login,
  openHouse,
  refresh,
  type House,
  type Replica,
  type TestClient,
  type TokenPair,
} from '../support/house.js';

let house: House;
let replica: Replica;
let client: TestClient;
let asker: TestClient;
let pair: TokenPair;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  client = await house.client(['revoke']);
  asker = await house.client(['introspect']);
});
beforeEach(async () => {
  await house.database.clock.freeze(1_900_000_000);
  pair = await login(replica, await house.user());
});
afterAll(() => house.close());

function post(payload: string, headers: Record<string, string> = basic(client)) {
  const type = { 'content-type': 'application/x-www-form-urlencoded' };
  return replica.app.inject({ method: 'POST', url: '/revoke', headers: { ...type, ...headers }, payload });
}

async function isActive(token: string): Promise<boolean> {
  return (await introspect(replica, asker, token)).json<{ active: boolean }>().active;
}

describe('success', () => {
  it.each([
    ['an access token', () => pair.access_token],
    ['a refresh token', () => pair.refresh_token],
    ['an unknown token', () => forge(pair.access_token)],
    ['a text that is no token', () => MARKER],
    ['a very long text', () => 'a'.repeat(16_000)],
  ])('is an empty 200 for %s, each time', async (_what, token) => {
    for (const attempt of [1, 2]) {
      const response = await post(`token=${token()}`);
      expect([attempt, response.statusCode, response.body]).toEqual([attempt, 200, '']);
      expect(response.headers['cache-control']).toBe('no-store');
      expect(response.headers).not.toHaveProperty('content-type');
    }
  });

  it('ends the lineage of an access token and leaves the session', async () => {
    await post(`token=${pair.access_token}&token_type_hint=refresh_token`);
    expect(await isActive(pair.access_token)).toBe(false);
    const next = await refresh(replica, pair.refresh_token);
    expect(next.statusCode).toBe(200);
    expect(await isActive(next.json<TokenPair>().access_token)).toBe(true);
  });

  it('ends the session of a refresh token', async () => {
    const next = (await refresh(replica, pair.refresh_token)).json<TokenPair>();
    await post(`token=${pair.refresh_token}&token_type_hint=access_token`);
    expect([await isActive(pair.access_token), await isActive(next.access_token)]).toEqual([false, false]);
    expect((await refresh(replica, next.refresh_token)).statusCode).toBe(401);
  });

  it('revokes an expired access token, so that its grace is over', async () => {
    await house.database.clock.advance(610);
    expect((await introspect(replica, asker, pair.access_token)).headers).toHaveProperty(
      'refreshed-api-token',
    );
    expect((await post(`token=${pair.access_token}`)).statusCode).toBe(200);
    const after = await introspect(replica, asker, pair.access_token);
    expect(after.headers).not.toHaveProperty('refreshed-api-token');
  });

  it('notes who revoked what', async () => {
    await post(`token=${pair.access_token}`);
    await post(`token=${pair.refresh_token}`);
    const { rows } = await house.database.admin.query(
      `SELECT kind, reason, actor FROM revocations
       WHERE user_id = (SELECT user_id FROM sessions WHERE id = $1) ORDER BY kind`,
      [pair.session_id],
    );
    const by = { reason: 'revoked', actor: `client:${client.id}` };
    expect(rows).toEqual([
      { kind: 'token', ...by },
      { kind: 'session', ...by },
    ]);
  });
});

it('takes parameters without a value for omitted ones, and the same credentials in both places', async () => {
  const credentials = `client_id=${client.id}&client_secret=${client.secret}`;
  for (const form of ['client_id=&client_secret=&token_type_hint=&x=', credentials]) {
    const { access_token: token } = await login(replica, await house.user());
    const response = await post(`${form}&token=${token}`);
    expect(response.statusCode).toBe(200);
    expect(response.body).toBe('');
    expect(await isActive(token)).toBe(false);
  }
});

describe('refusal', () => {
  it.each([
    ['no credentials', () => ({})],
    ['a wrong secret', () => basic({ ...client, secret: MARKER })],
    ['an unknown client', () => basic({ id: MARKER, secret: client.secret })],
  ])('refuses %s, and revokes nothing', async (_what, headers) => {
    expect(oauthErrorOf(await post(`token=${pair.access_token}`, headers()))).toEqual({
      status: 401,
      error: 'invalid_client',
      challenge: CLIENT_CHALLENGE,
    });
    expect(await isActive(pair.access_token)).toBe(true);
  });

  it('refuses a client without the permission, and revokes nothing', async () => {
    expect(oauthErrorOf(await post(`token=${pair.refresh_token}`, basic(asker)))).toEqual({
      status: 403,
      error: 'insufficient_scope',
    });
    expect(await isActive(pair.access_token)).toBe(true);
  });

  it.each([
    ['no token', 'token_type_hint=access_token'],
    ['a token without a value', 'token='],
    ['two tokens', `token=${MARKER}&token=${MARKER}`],
    ['another secret in the form than in Basic', `token=${MARKER}&client_secret=${MARKER}`],
  ])('refuses %s', async (_what, payload) => {
    expect(oauthErrorOf(await post(payload))).toEqual({ status: 400, error: 'invalid_request' });
  });
});
