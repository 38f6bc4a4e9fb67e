// POST /introspect (RFC 7662): a live access token gives its claims, everything else exactly {"active":false}.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { openDatabase } from '../../src/database/prisma.js';
import { addClient, removeClient } from '../../src/domain/clients.js';
import { disableUser } from '../../src/domain/users/users.js';
import { CLIENT_CHALLENGE, forge, MARKER, oauthErrorOf } from '../support/answers.js';
import {
  AMPLE_MS,
  basic,
  bearer,
  claimsOf,
  login,
  openHouse,
  postForm,
  type House,
  type Replica,
  type TestClient,
  type TestUser,
  type TokenPair,
} from '../support/house.js';

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

let house: House;
let replica: Replica;
let client: TestClient;
let user: TestUser;
let pair: TokenPair;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  client = await house.client(['introspect']);
});
beforeEach(async () => {
  await house.database.clock.freeze(1_900_000_000);
  user = await house.user({ scope: 'read write' });
  pair = await login(replica, user);
});
afterAll(() => house.close());

function post(payload: string, headers: Record<string, string> = basic(client)) {
  return replica.app.inject({
    method: 'POST',
    url: '/introspect',
    headers: { ...FORM, ...headers },
    payload,
  });
}

describe('a live access token', () => {
  it('is answered with exactly its claims', async () => {
    const response = await post(`token=${pair.access_token}`);
    expect(response.statusCode).toBe(200);
    expect(response.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(response.headers['cache-control']).toBe('no-store');
    const claims = claimsOf(pair.access_token);
    expect(response.json()).toEqual({
      active: true,
      iss: 'http://gatehouse.test',
      sub: user.id,
      aud: 'gatehouse',
      client_id: 'gatehouse',
      username: user.username,
      scope: 'read write',
      sid: pair.session_id,
      jti: claims.jti,
      iat: 1_900_000_000,
      exp: 1_900_000_600,
      auth_time: 1_900_000_000,
      session_exp: claims.session_exp,
      token_type: 'Bearer',
    });
  });

  it('has no scope when it has none', async () => {
    const { access_token: token } = await login(replica, await house.user());
    const body = (await post(`token=${token}`)).json<object>();
    expect(body).toMatchObject({ active: true });
    expect(body).not.toHaveProperty('scope');
  });

  it.each(['access_token', 'refresh_token', 'whatever', ''])(
    'is recognised whatever the hint says: %j',
    async (hint) => {
      expect((await post(`token=${pair.access_token}&token_type_hint=${hint}`)).json()).toMatchObject({
        active: true,
      });
    },
  );

  it.each([
    ['with values', 'audience=x', '__proto__=y&constructor=z'],
    ['without', 'audience=&=&token_type_hint', '__proto__=&constructor=&toString&resource='],
  ])('is answered when unknown parameters come along, %s', async (_how, before, after) => {
    const response = await post(`${before}&token=${pair.access_token}&${after}`);
    expect(response.json()).toMatchObject({ active: true });
  });
});

describe('everything else is exactly {"active":false}', () => {
  it.each([
    ['a refresh token', () => pair.refresh_token],
    ['a forged token', () => forge(pair.access_token)],
    ['a text that is no token', () => MARKER],
    ['a very long text', () => 'a'.repeat(16_000)],
    ['a token without a signature', () => pair.access_token.replace(/[^.]+$/, '')],
  ])('%s', async (_what, token) => {
    const response = await post(`token=${token()}`);
    expect(response.statusCode).toBe(200);
    expect(response.body).toBe('{"active":false}');
    expect(response.headers).not.toHaveProperty('refreshed-api-token');
  });

  it.each([
    ['at its exp', () => house.database.clock.advance(600)],
    ['after a logout', () => logout()],
    ['after its user was disabled', () => disable()],
  ])('%s', async (_when, end) => {
    await end();
    const response = await post(`token=${pair.access_token}`);
    expect(response.statusCode).toBe(200);
    expect(response.body).toBe('{"active":false}');
  });

  async function logout(): Promise<void> {
    await replica.app.inject({ method: 'POST', url: '/logout', headers: bearer(pair.access_token) });
  }

  async function disable(): Promise<void> {
    const database = openDatabase(house.database.url, { connections: 1, deadlineMs: AMPLE_MS });
    await disableUser(database, user.username);
    await database.close();
  }
});

describe('the client', () => {
  it('authenticates in the form as well', async () => {
    const credentials = `client_id=${client.id}&client_secret=${client.secret}`;
    expect((await post(`token=${pair.access_token}&${credentials}`, {})).json()).toMatchObject({
      active: true,
    });
  });

  it('may have an id of one letter', async () => {
    const database = openDatabase(house.database.url, { connections: 1, deadlineMs: AMPLE_MS });
    const short = await addClient(database, { id: 'x', permissions: ['introspect'] });
    await database.close();
    if (short === null) throw new Error('the client exists');
    const response = await post(`token=${pair.access_token}`, basic(short));
    expect(response.json()).toMatchObject({ active: true });
  });

  it('may write Basic in any letter case, and several spaces behind it', async () => {
    const authorization = basic(client).authorization.replace('Basic ', 'bASIC  ');
    const response = await post(`token=${pair.access_token}`, { authorization });
    expect(response.json()).toMatchObject({ active: true });
  });

  it('may percent-encode what Basic carries', async () => {
    const encoded = { id: client.id.replaceAll('-', '%2D'), secret: client.secret.replace(/^./, hexOf) };
    expect((await post(`token=${pair.access_token}`, basic(encoded))).json()).toMatchObject({ active: true });
  });

  it.each([
    ['its id', () => `client_id=${client.id}`],
    ['its secret', () => `client_secret=${client.secret}`],
    ['both', () => `client_id=${client.id}&client_secret=${client.secret}`],
    [
      'both in percent-encoding',
      () => `client_id=${hexAll(client.id)}&client_secret=${hexAll(client.secret)}`,
    ],
    ['its id, and a secret without a value', () => `client_id=${client.id}&client_secret=`],
    ['its secret, and an id without a value', () => `client_id=&client_secret=${client.secret}`],
    ['both without a value', () => 'client_id=&client_secret='],
    ['both without a value or a sign', () => 'client_id&client_secret'],
    ['both without a value, before the token', () => 'client_id=&client_secret=&x=1'],
  ])('may repeat in the form what Basic says: %s', async (_what, form) => {
    const encoded = { id: hexAll(client.id), secret: hexAll(client.secret) };
    for (const headers of [basic(client), basic(encoded)]) {
      for (const payload of [`token=${pair.access_token}&${form()}`, `${form()}&token=${pair.access_token}`])
        expect((await post(payload, headers)).json()).toMatchObject({ active: true });
    }
  });

  it.each([
    ['no credentials', () => ({}), ''],
    ['a wrong secret', () => basic({ ...client, secret: MARKER }), ''],
    ['an empty secret', () => basic({ ...client, secret: '' }), ''],
    ['an unknown client', () => basic({ id: MARKER, secret: client.secret }), ''],
    ['an inherited name', () => basic({ id: 'constructor', secret: client.secret }), ''],
    ['no id', () => basic({ ...client, id: '' }), ''],
    ['Basic twice', () => ({ authorization: twice(basic(client).authorization) }), ''],
    ['Basic behind another scheme', () => ({ authorization: `Digest ${basic(client).authorization}` }), ''],
    ['something behind Basic', () => ({ authorization: `${basic(client).authorization} x` }), ''],
    ['no base64', () => ({ authorization: `Basic ${MARKER}!` }), ''],
    ['no colon', () => ({ authorization: `Basic ${Buffer.from(MARKER).toString('base64')}` }), ''],
    ['no valid percent-encoding', () => basic({ ...client, secret: `%${MARKER}` }), ''],
    ['a user token instead', () => bearer(pair.access_token), ''],
    ['a wrong secret in the form', () => ({}), () => `&client_id=${client.id}&client_secret=${MARKER}`],
    ['only an id in the form', () => ({}), () => `&client_id=${client.id}`],
    ['only a secret in the form', () => ({}), () => `&client_secret=${client.secret}`],
    [
      'only an id in the form, and a secret without a value',
      () => ({}),
      () => `&client_id=${client.id}&client_secret=`,
    ],
    [
      'only a secret in the form, and an id without a value',
      () => ({}),
      () => `&client_id=&client_secret=${client.secret}`,
    ],
    ['neither of both a value', () => ({}), '&client_id=&client_secret='],
    [
      'the same wrong secret twice',
      () => basic({ ...client, secret: MARKER }),
      () => `&client_id=${client.id}&client_secret=${MARKER}`,
    ],
    [
      'an empty header beside the form',
      () => ({ authorization: '' }),
      () => `&client_id=${client.id}&client_secret=${client.secret}`,
    ],
  ])('is refused with %s', async (_what, headers, form) => {
    const extra = typeof form === 'string' ? form : form();
    expect(oauthErrorOf(await post(`token=${pair.access_token}${extra}`, headers()))).toEqual({
      status: 401,
      error: 'invalid_client',
      challenge: CLIENT_CHALLENGE,
    });
  });

  it.each([
    ['a Bearer token', () => bearer(pair.access_token)],
    ['a Bearer token beside the form', () => bearer(pair.access_token), () => `&client_id=${client.id}`],
    ['another scheme', () => ({ authorization: 'Digest a=b' })],
    ['Basic behind another scheme', () => ({ authorization: `Digest ${basic(client).authorization}` })],
  ])(
    'is told that only client credentials are taken, when it sends %s',
    async (_what, headers, form = () => '') => {
      for (const url of ['/introspect', '/revoke'] as const) {
        const response = await replica.app.inject({
          method: 'POST',
          url,
          headers: { ...FORM, ...headers() },
          payload: `token=${pair.access_token}${form()}`,
        });
        expect(oauthErrorOf(response)).toMatchObject({ status: 401, challenge: CLIENT_CHALLENGE });
        expect(response.json<{ error_description: string }>().error_description).toMatch(
          /not Basic.*client id and a client secret.*Bearer token opens nothing/,
        );
      }
    },
  );

  it.each([
    ['Authenticate with a client id and a client secret.', 'nothing', () => ''],
    ['The client id or the client secret is wrong.', 'an id alone', () => `&client_id=${client.id}`],
    ['The client id or the client secret is wrong.', 'a secret alone', () => `&client_secret=${MARKER}`],
  ])('is told: %s, when it sends %s', async (sentence, _what, form) => {
    const response = await post(`token=${pair.access_token}${form()}`, {});
    expect(response.json()).toEqual({ error: 'invalid_client', error_description: sentence });
  });

  it('is refused from the moment it was removed, on every replica', async () => {
    const other = await house.replica();
    const leaving = await house.client();
    expect((await postForm(other, '/introspect', leaving, { token: 'a' })).statusCode).toBe(200);
    const database = openDatabase(house.database.url, { connections: 1, deadlineMs: AMPLE_MS });
    await removeClient(database, leaving.id);
    await database.close();
    expect(oauthErrorOf(await postForm(other, '/introspect', leaving, { token: 'a' }))).toMatchObject({
      status: 401,
      error: 'invalid_client',
    });
  });

  it('is refused without the permission', async () => {
    const revoker = await house.client(['revoke']);
    const response = await post(`token=${pair.access_token}`, basic(revoker));
    expect(oauthErrorOf(response)).toEqual({ status: 403, error: 'insufficient_scope' });
  });

  it.each([
    ['another secret', () => `&client_secret=${MARKER}`],
    ['another secret and its id', () => `&client_id=${client.id}&client_secret=${MARKER}`],
    ['another id', () => `&client_id=${MARKER}`],
    ['another id and its secret', () => `&client_id=${MARKER}&client_secret=${client.secret}`],
    ['another id in other letters', () => `&client_id=${client.id.toUpperCase()}`],
    ['its id and a space', () => `&client_id=${client.id}%20`],
    ['its secret, encoded twice', () => `&client_secret=${hexAll(hexAll(client.secret))}`],
    ['a space for a secret', () => '&client_secret=+'],
    ['all of it different', () => `&client_id=${MARKER}&client_secret=${MARKER}`],
  ])('is told that the form says something else than Basic: %s', async (_what, extra) => {
    const response = await post(`token=${pair.access_token}${extra()}`);
    expect(oauthErrorOf(response)).toEqual({ status: 400, error: 'invalid_request' });
    // One sentence for all: it says neither which part differs nor whether one of the two is right.
    expect(response.json<{ error_description: string }>().error_description).toBe(
      'The form and the Authorization header carry different credentials: send them in one place, or the same in both.',
    );
  });

  it.each([
    ['two ids', () => `client_id=${client.id}&client_id=${client.id}`],
    ['two ids, of which one has no value', () => `client_id=&client_id=${client.id}`],
    ['two ids, of which the other has no value', () => `client_id=${client.id}&client_id=`],
    ['two ids without a value', () => 'client_id=&client_id='],
    ['two secrets, of which one has no value', () => `client_secret=&client_secret=${client.secret}`],
  ])('is told that %s are too many', async (_what, form) => {
    for (const headers of [basic(client), {}]) {
      const response = await post(`token=${pair.access_token}&${form()}`, headers);
      expect(oauthErrorOf(response)).toEqual({ status: 400, error: 'invalid_request' });
    }
  });
});

describe('a malformed request', () => {
  it.each([
    ['no body', ''],
    ['no token', `token_type_hint=${MARKER}`],
    ['a token without a value', 'token='],
    ['a token without a value or a sign', 'token'],
    ['two tokens, of which one has no value', `token=&token=${MARKER}`],
    ['an unknown parameter twice, of which one has no value', `token=${MARKER}&${MARKER}=1&${MARKER}=`],
    ['an unknown parameter twice without a value', `token=${MARKER}&${MARKER}&${MARKER}`],
    ['two tokens', `token=${MARKER}&token=${MARKER}`],
    ['two hints', `token=${MARKER}&token_type_hint=a&token_type_hint=b`],
    ['an unknown parameter twice', `token=${MARKER}&${MARKER}=1&${MARKER}=2`],
  ])('is refused: %s', async (_what, payload) => {
    expect(oauthErrorOf(await post(payload))).toEqual({ status: 400, error: 'invalid_request' });
  });

  it('takes a token without a value for a missing one', async () => {
    const [missing, empty] = [await post('x=1'), await post('token=&x=1')];
    expect(empty.json()).toEqual(missing.json());
    expect(empty.json()).toMatchObject({ error_description: 'token is missing or repeated' });
  });

  it('is refused without body and type', async () => {
    const response = await replica.app.inject({ method: 'POST', url: '/introspect', headers: basic(client) });
    expect(oauthErrorOf(response)).toEqual({ status: 400, error: 'invalid_request' });
  });

  it('takes no token from the query', async () => {
    const response = await replica.app.inject({
      method: 'POST',
      url: `/introspect?token=${pair.access_token}`,
      headers: { ...basic(client), ...FORM },
      payload: '',
    });
    expect(oauthErrorOf(response)).toEqual({ status: 400, error: 'invalid_request' });
  });
});

function twice(text: string): string {
  return `${text}, ${text}`;
}

function hexOf(character: string): string {
  return `%${character.charCodeAt(0).toString(16)}`;
}

function hexAll(text: string): string {
  return text.replaceAll(/[^]/g, hexOf);
}
