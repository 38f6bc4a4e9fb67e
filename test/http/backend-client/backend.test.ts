// The package for backends against a Gatehouse that really listens: sessions are opened, changed and ended.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import {
  BackendError,
  createBackend,
  type Backend,
  type BackendOptions,
} from '../../../packages/backend/src/backend.js';
import { claimsOf, introspect, refresh, type TestClient } from '../../support/house.js';
import { openStage, type Stage } from '../resource-server/stage.js';

let stage: Stage;
let shop: TestClient;
let backend: Backend;
let externalId: string;
let number = 0;

beforeAll(async () => {
  stage = await openStage();
  shop = await stage.house.client(['sessions:open']);
  backend = open(shop);
});
beforeEach(() => {
  number += 1;
  externalId = `customer-${number}`;
});
afterAll(() => stage.close());

/** Patient: other tests may take the machine. */
function open({ id, secret }: TestClient, more: Partial<BackendOptions> = {}): Backend {
  const { url } = stage.options;
  return createBackend({ url, clientId: id, clientSecret: secret, timeoutMs: 30_000, ...more });
}

async function isActive(token: string): Promise<boolean> {
  return (await introspect(stage.replica, stage.client, token)).json<{ active: boolean }>().active;
}

async function failureOf(asked: Promise<unknown>): Promise<BackendError> {
  const error: unknown = await asked.then(
    () => new Error('it did not fail'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof BackendError)) throw error;
  return error;
}

const SAID = {
  username: 'Ünal Ö.',
  scope: 'orders:read',
  ext: { plan: 'gold', seats: 3 },
  amr: ['pwd', 'otp'],
  acr: 'silver',
  act: { sub: 'support-7' },
};

describe('openSession', () => {
  it('gives tokens with all that was said', async () => {
    const opened = await backend.openSession({
      external_id: externalId,
      ...SAID,
      audience: ['gatehouse'],
      auth_time: 1_700_000_000,
      session_ttl: 3600,
      access_token_ttl: 60,
      ip: '203.0.113.9',
      user_agent: 'a browser',
    });
    expect(claimsOf(opened.access_token)).toMatchObject({
      sub: externalId,
      client_id: shop.id,
      ...SAID,
      auth_time: 1_700_000_000,
    });
    expect(opened).toMatchObject({ token_type: 'Bearer', expires_in: 60 });
    expect(claimsOf(opened.access_token).sid).toBe(opened.session_id);
    expect((await refresh(stage.replica, opened.refresh_token ?? '')).statusCode).toBe(200);
  });

  it('gives no refresh token where none is wanted, and takes undefined for what is not said', async () => {
    const opened = await backend.openSession({ external_id: externalId, refresh: false, ext: undefined });
    expect(opened).not.toHaveProperty('refresh_token');
    expect(await isActive(opened.access_token)).toBe(true);
  });

  it('opens another session each time', async () => {
    const [one, two] = [
      await backend.openSession({ external_id: externalId }),
      await backend.openSession({ external_id: externalId }),
    ];
    expect(one.session_id).not.toBe(two.session_id);
    expect(await backend.endAll(externalId)).toEqual({ sessions_ended: 2 });
  });
});

describe('updateSession', () => {
  it('changes what is said, and access tokens of before are dead', async () => {
    const opened = await backend.openSession({ external_id: externalId, ...SAID });
    const changed = await backend.updateSession(opened.session_id, { scope: null, ext: { seats: null } });
    expect(changed).toMatchObject({
      id: opened.session_id,
      external_id: externalId,
      username: SAID.username,
      scope: '',
      ext: { plan: 'gold' },
      amr: SAID.amr,
      act: SAID.act,
    });
    expect(await isActive(opened.access_token)).toBe(false);
  });

  it('fails for a session that has ended, and for one of another client', async () => {
    const { session_id: id } = await backend.openSession({ external_id: externalId });
    const forum = open(await stage.house.client(['sessions:open']));
    expect(await failureOf(forum.updateSession(id, { scope: 'a' }))).toMatchObject({
      code: 'not_found',
      status: 404,
      isUnavailable: false,
    });
    await backend.endSession(id);
    expect((await failureOf(backend.updateSession(id, { scope: 'a' }))).code).toBe('not_found');
  });
});

describe('endSession', () => {
  it('ends a session, and says true again when it had ended', async () => {
    const opened = await backend.openSession({ external_id: externalId });
    expect(await backend.endSession(opened.session_id)).toBe(true);
    expect(await isActive(opened.access_token)).toBe(false);
    expect(await backend.endSession(opened.session_id)).toBe(true);
  });

  it('says false of a session of another client, which lives on', async () => {
    const forum = open(await stage.house.client(['sessions:open']));
    const opened = await backend.openSession({ external_id: externalId });
    expect(await forum.endSession(opened.session_id)).toBe(false);
    expect(await isActive(opened.access_token)).toBe(true);
  });
});

describe('endAll', () => {
  it('ends all sessions of a user of this client, and none of a user of the same name elsewhere', async () => {
    const forum = open(await stage.house.client(['sessions:open']));
    const other = await forum.openSession({ external_id: externalId });
    const own = await backend.openSession({ external_id: externalId });
    expect(await backend.endAll(externalId)).toEqual({ sessions_ended: 1 });
    expect(await isActive(own.access_token)).toBe(false);
    expect(await isActive(other.access_token)).toBe(true);
    expect(await backend.endAll('nobody')).toEqual({ sessions_ended: 0 });
  });
});

describe('a refusal', () => {
  it('says which member is wrong, and repeats no value', async () => {
    const secret = 'x'.repeat(1100);
    const error = await failureOf(
      backend.openSession({ external_id: externalId, ext: { secret }, scope: 'a  b' }),
    );
    expect(error).toMatchObject({ code: 'invalid_request', status: 400, isUnavailable: false });
    expect(error.errors?.map(({ path }) => path).sort()).toEqual(['body/ext', 'body/scope']);
    expect(error.message).toContain('body/ext is 1113 bytes of JSON');
    expect(error.message).not.toContain(secret);
  });

  it('of a user who is disabled is one that waiting does not mend', async () => {
    await backend.openSession({ external_id: externalId });
    await stage.replica.database.query(
      {},
    )`UPDATE users SET disabled_at = now() WHERE external_id = ${externalId}`;
    expect(await failureOf(backend.openSession({ external_id: externalId }))).toMatchObject({
      code: 'user_disabled',
      status: 409,
      isUnavailable: false,
    });
  });

  it.each<[string, () => Promise<TestClient>, object]>([
    [
      'wrong credentials',
      () => Promise.resolve({ id: shop.id, secret: 'wrong' }),
      { code: 'invalid_client', status: 401, isUnavailable: false },
    ],
    [
      'a client without the permission',
      () => stage.house.client(['introspect']),
      { code: 'insufficient_scope', status: 403, isUnavailable: false },
    ],
  ])('tells of %s, and its message holds no secret', async (_what, client, expected) => {
    const given = await client();
    const error = await failureOf(open(given).openSession({ external_id: externalId }));
    expect(error).toMatchObject(expected);
    expect(String(error.stack)).not.toContain(given.secret);
  });

  it('of a Gatehouse that is away is told from all others', async () => {
    const { url } = await closedPort();
    const away = open(shop, { url });
    const id = '01a203fe-bbc7-77e9-9198-c643995645db';
    for (const ask of [
      () => away.openSession({ external_id: externalId }),
      () => away.updateSession(id, {}),
      () => away.endSession(id),
      () => away.endAll(externalId),
    ])
      expect(await failureOf(ask())).toMatchObject({ code: 'unreachable', status: 0, isUnavailable: true });
  });
});

/** An address at which nobody listens any more. */
async function closedPort(): Promise<{ url: string }> {
  const { createServer } = await import('node:http');
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as { port: number };
  await new Promise((closed) => server.close(closed));
  return { url: `http://127.0.0.1:${port}` };
}
