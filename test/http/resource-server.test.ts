// What a resource server does, with the libraries that people use: discovery, introspection, revocation, and JWTs.
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { JwtAlgorithm } from '../../src/domain/keys/keys.js';
import {
  claimsOf,
  introspect,
  login,
  openHouse,
  type House,
  type Replica,
  type TestClient,
  type TestUser,
  type TokenPair,
} from '../support/house.js';
import { findFreePort } from '../../packages/lab/shared/ports.js';

// Marked as deprecated so that nobody overlooks it: these tests speak http.
// oxlint-disable-next-line typescript/no-deprecated
const INSECURE = { [oauth.allowInsecureRequests]: true };

let house: House;
let replica: Replica;
let issuer: string;
let client: TestClient;
let user: TestUser;
let pair: TokenPair;

/** Opens a house whose one replica really listens where its issuer says. */
async function listen(jwtAlgorithm: JwtAlgorithm): Promise<void> {
  house = await openHouse();
  const port = await findFreePort();
  issuer = `http://127.0.0.1:${port}`;
  replica = await house.replica({ config: { issuer, jwtAlgorithm } });
  await replica.app.listen({ host: '127.0.0.1', port });
  client = await house.client();
  user = await house.user({ scope: 'read write' });
}

describe('oauth4webapi', () => {
  let server: oauth.AuthorizationServer;

  beforeAll(async () => {
    await listen('EdDSA');
    const url = new URL(issuer);
    const response = await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...INSECURE });
    server = await oauth.processDiscoveryResponse(url, response);
  });
  beforeEach(async () => {
    pair = await login(replica, user);
  });
  afterAll(() => house.close());

  async function ask(token: string, auth: oauth.ClientAuth): Promise<oauth.IntrospectionResponse> {
    const by = { client_id: client.id };
    const response = await oauth.introspectionRequest(server, by, auth, token, INSECURE);
    return oauth.processIntrospectionResponse(server, by, response);
  }

  it('discovers the endpoints', () => {
    expect(server).toMatchObject({
      issuer,
      jwks_uri: `${issuer}/.well-known/jwks.json`,
      introspection_endpoint: `${issuer}/introspect`,
      revocation_endpoint: `${issuer}/revoke`,
    });
  });

  it.each([
    ['Basic', () => oauth.ClientSecretBasic(client.secret)],
    ['the form', () => oauth.ClientSecretPost(client.secret)],
  ])('introspects with the secret in %s', async (_where, auth) => {
    expect(await ask(pair.access_token, auth())).toEqual({
      active: true,
      ...claimsOf(pair.access_token),
      token_type: 'Bearer',
    });
    expect(await ask(pair.refresh_token, auth())).toEqual({ active: false });
    expect(await ask('unknown', auth())).toEqual({ active: false });
  });

  it.each([
    ['Basic', () => oauth.ClientSecretBasic(client.secret)],
    ['the form', () => oauth.ClientSecretPost(client.secret)],
  ])('revokes with the secret in %s', async (_where, auth) => {
    const by = { client_id: client.id };
    for (const token of [pair.access_token, pair.refresh_token, 'unknown']) {
      const response = await oauth.revocationRequest(server, by, auth(), token, INSECURE);
      await oauth.processRevocationResponse(response);
      expect(response.status).toBe(200);
    }
    expect(await ask(pair.access_token, auth())).toEqual({ active: false });
  });

  it('understands the refusal of a wrong secret', async () => {
    await expect(ask(pair.access_token, oauth.ClientSecretBasic('wrong'))).rejects.toMatchObject({
      name: 'WWWAuthenticateChallengeError',
      status: 401,
      cause: [{ scheme: 'basic', parameters: { realm: 'gatehouse' } }],
    });
  });

  it('understands the refusal of a missing permission', async () => {
    const revoker = await house.client(['revoke']);
    const by = { client_id: revoker.id };
    const auth = oauth.ClientSecretBasic(revoker.secret);
    const response = await oauth.introspectionRequest(server, by, auth, pair.access_token, INSECURE);
    await expect(oauth.processIntrospectionResponse(server, by, response)).rejects.toMatchObject({
      error: 'insufficient_scope',
      status: 403,
    });
  });
});

describe('openid-client', () => {
  beforeAll(() => listen('EdDSA'));
  beforeEach(async () => {
    pair = await login(replica, user);
  });
  afterAll(() => house.close());

  it.each([
    ['Basic', () => openid.ClientSecretBasic(client.secret)],
    ['the form', () => openid.ClientSecretPost(client.secret)],
  ])('discovers, introspects and revokes with the secret in %s', async (_where, auth) => {
    const config = await openid.discovery(new URL(issuer), client.id, undefined, auth(), {
      algorithm: 'oauth2',
      // oxlint-disable-next-line typescript/no-deprecated -- speaks http
      execute: [openid.allowInsecureRequests],
    });
    expect(await openid.tokenIntrospection(config, pair.access_token)).toMatchObject({
      active: true,
      sub: user.id,
      scope: 'read write',
    });
    await openid.tokenRevocation(config, pair.access_token);
    expect(await openid.tokenIntrospection(config, pair.access_token)).toEqual({ active: false });
  });
});

describe.each(['EdDSA', 'ES256', 'RS256'] as const)('a JWT signed with %s', (algorithm) => {
  let server: oauth.AuthorizationServer;

  beforeAll(async () => {
    await listen(algorithm);
    pair = await login(replica, user);
    server = { issuer, jwks_uri: `${issuer}/.well-known/jwks.json` };
  });
  afterAll(() => house.close());

  function validate(token: string, audience = 'gatehouse'): Promise<oauth.JWTAccessTokenClaims> {
    const request = new Request('http://api.test/', { headers: { authorization: `Bearer ${token}` } });
    return oauth.validateJwtAccessToken(server, request, audience, INSECURE);
  }

  it('is valid over JWKS as an access token (RFC 9068), and so is its successor', async () => {
    expect(await validate(pair.access_token)).toEqual(claimsOf(pair.access_token));
    // The library judges by this machine's clock, to which the successor's iat may lie a little ahead: wind back.
    await house.database.clock.set(-500);
    const older = await login(replica, user);
    await house.database.clock.set(0);
    const { headers } = await introspect(replica, await house.client(), older.access_token);
    const successor = String(headers['refreshed-api-token']);
    expect((await validate(successor)).jti).toMatch(/\.1$/);
  });

  it('is refused as a refresh token, for another audience, and forged', async () => {
    await expect(validate(pair.refresh_token)).rejects.toThrow(/"typ"/);
    await expect(validate(pair.access_token, 'another')).rejects.toThrow(/"aud"/);
    const [header, , signature] = pair.access_token.split('.');
    const payload = Buffer.from(JSON.stringify({ ...claimsOf(pair.access_token), scope: 'admin' }));
    const forged = `${header ?? ''}.${payload.toString('base64url')}.${signature ?? ''}`;
    await expect(validate(forged)).rejects.toThrow(/signature/);
  });
});
