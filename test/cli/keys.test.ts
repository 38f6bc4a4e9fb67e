// gatehouse keys: rotated, retired and encrypted anew under running replicas.
import { userInfo } from 'node:os';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { inHouse, jsonInHouse } from '../support/command.js';
import {
  claimsOf,
  introspect,
  login,
  openHouse,
  refresh,
  SECRET,
  type House,
  type Replica,
  type TestClient,
  type TokenPair,
} from '../support/house.js';
import { holdRow } from '../support/row-lock.js';

const NEW_SECRET = 'another secret for tests, also more than 32 bytes';
const RFC_3339 = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string;
const KID = expect.stringMatching(/^[0-9a-f]{16}$/) as string;

/** Two JWKS max-ages. */
const PUBLISHED_SECONDS = 600;

interface Key {
  kid: string;
  algorithm: string;
  state: string;
  signs_at: string;
}

let house: House;
let replicas: [Replica, Replica];
let client: TestClient;

beforeEach(async () => {
  house = await openHouse();
  const config = { accessTtlSeconds: 3600 };
  replicas = [await house.replica({ config }), await house.replica({ config })];
  client = await house.client();
});
afterEach(() => house.close());

function kidOf(token: string): string {
  const header = Buffer.from(token.split('.')[0] ?? '', 'base64url').toString();
  return (JSON.parse(header) as { kid: string }).kid;
}

async function publishedBy({ app }: Replica): Promise<string[]> {
  const { keys } = (await app.inject({ url: '/.well-known/jwks.json' })).json<{ keys: { kid: string }[] }>();
  return keys.map(({ kid }) => kid);
}

async function listKeys(): Promise<Key[]> {
  return (await jsonInHouse(house, ['keys', 'list'])) as Key[];
}

async function isActive(replica: Replica, token: string): Promise<boolean> {
  return (await introspect(replica, client, token)).json<{ active: boolean }>().active;
}

function readiness({ app }: Replica): Promise<number> {
  return app.inject({ url: '/ready' }).then(({ statusCode }) => statusCode);
}

describe('keys list', () => {
  it('shows the first key of a service as the one that signs', async () => {
    const pair = await login(replicas[0], await house.user());
    expect(await jsonInHouse(house, ['keys', 'list'])).toEqual([
      {
        kid: kidOf(pair.access_token),
        algorithm: 'EdDSA',
        state: 'signing',
        created_at: RFC_3339,
        signs_at: RFC_3339,
        retired_at: null,
      },
    ]);
    expect((await inHouse(house, ['keys', 'list'])).stdout).toMatch(
      /^KID +ALGORITHM +STATE +CREATED AT +SIGNS AT +RETIRED AT\n[0-9a-f]{16} +EdDSA +signing +\S+ +\S+ +-\n$/,
    );
  });
});

function warningOf(before: string, after: string, when: string): string {
  return (
    `gatehouse: warning: the algorithm changes from ${before} to ${after}. Each service that checks signatures itself must know ` +
    `${after} ${when}: without it, it refuses every new token (docs/keys.md)\n`
  );
}

it.each([['retire'], ['reset', '--end-everything']])(
  'keys %s warns of another algorithm, which services must know at once',
  async (verb, ...options) => {
    const args = ['keys', verb, ...(verb === 'retire' ? [(await listKeys())[0]?.kid ?? ''] : options)];
    const changed = await inHouse(house, args, { environment: { JWT_ALGORITHM: 'RS256' } });
    expect([changed.status, changed.stderr]).toEqual([0, warningOf('EdDSA', 'RS256', 'from now on')]);
    // The same again is no change.
    const signing = (await listKeys()).find(({ state }) => state === 'signing')?.kid ?? '';
    const again = ['keys', verb, ...(verb === 'retire' ? [signing] : options)];
    expect((await inHouse(house, again, { environment: { JWT_ALGORITHM: 'RS256' } })).stderr).toBe('');
  },
);

describe('keys rotate', () => {
  it('publishes the next key at once, and lets it sign two JWKS max-ages later', async () => {
    const [replica] = replicas;
    const user = await house.user();
    const before = await login(replica, user);
    const old = kidOf(before.access_token);

    const rotated = (await jsonInHouse(house, ['keys', 'rotate'])) as Key;
    expect(rotated).toEqual({ kid: KID, algorithm: 'EdDSA', state: 'next', signs_at: RFC_3339 });
    for (const each of replicas) expect(await publishedBy(each)).toEqual([old, rotated.kid]);
    expect((await listKeys()).map(({ state }) => state)).toEqual(['signing', 'next']);

    const turn = Date.parse(rotated.signs_at) / 1000;
    await house.database.clock.freeze(Math.floor(turn) - 1);
    expect(kidOf((await login(replica, user)).access_token)).toBe(old);
    await house.database.clock.freeze(Math.ceil(turn));
    const after = await login(replica, user);
    expect([kidOf(after.access_token), kidOf(after.refresh_token)]).toEqual([rotated.kid, rotated.kid]);
    expect((await listKeys()).map(({ state }) => state)).toEqual(['verifying', 'signing']);

    for (const each of replicas) {
      for (const { access_token } of [before, after]) expect(await isActive(each, access_token)).toBe(true);
      expect(await publishedBy(each)).toEqual([old, rotated.kid]);
    }
    const renewed = (await refresh(replicas[1], before.refresh_token)).json<TokenPair>();
    expect(kidOf(renewed.refresh_token)).toBe(rotated.kid);
  });

  it('counts the two max-ages from the rotation, by the clock of the database', async () => {
    await house.database.clock.freeze(new Date('2031-05-06T07:08:09Z'));
    const { signs_at } = (await jsonInHouse(house, ['keys', 'rotate'])) as Key;
    expect(Date.parse(signs_at)).toBe(Date.parse('2031-05-06T07:08:09Z') + PUBLISHED_SECONDS * 1000);
  });

  it.each(['ES256', 'RS256'])('makes a key for %s where JWT_ALGORITHM says so', async (algorithm) => {
    const environment = { JWT_ALGORITHM: algorithm };
    const { status, stdout, stderr } = await inHouse(house, ['keys', 'rotate', '--json'], { environment });
    const rotated = JSON.parse(stdout) as Key;
    expect([status, rotated.algorithm]).toEqual([0, algorithm]);
    expect(stderr).toBe(warningOf('EdDSA', algorithm, `by ${rotated.signs_at}`));
    await house.database.clock.advance(PUBLISHED_SECONDS + 1);
    const pair = await login(replicas[0], await house.user());
    expect(kidOf(pair.access_token)).toBe(rotated.kid);
    expect(await isActive(replicas[1], pair.access_token)).toBe(true);
  });

  it('refuses while a next key is waiting, and says until when', async () => {
    const rotated = (await jsonInHouse(house, ['keys', 'rotate'])) as Key;
    expect(await inHouse(house, ['keys', 'rotate', '--json'])).toEqual({
      status: 1,
      stdout: '',
      stderr: `gatehouse: the key ${rotated.kid} is waiting already and signs from ${rotated.signs_at} on\n`,
    });
    expect(await listKeys()).toHaveLength(2);
  });

  it('lets one of two rotations at once win', async () => {
    const outcomes = await Promise.all([1, 2, 3].map(() => inHouse(house, ['keys', 'rotate', '--json'])));
    expect(outcomes.map(({ status }) => status).sort()).toEqual([0, 1, 1]);
    expect(await listKeys()).toHaveLength(2);
  });
});

describe('keys retire', () => {
  it('ends every session opened before, on every replica at once, and a new login works', async () => {
    const user = await house.user();
    const pairs = [await login(replicas[0], user), await login(replicas[1], await house.user())];
    const leaked = kidOf(pairs[0]?.access_token ?? '');
    for (const { access_token } of pairs) expect(await isActive(replicas[0], access_token)).toBe(true);

    const retired = (await jsonInHouse(house, ['keys', 'retire', leaked])) as Key;
    expect(retired).toEqual({ kid: KID, algorithm: 'EdDSA', state: 'signing', retired_kid: leaked });
    for (const each of replicas) {
      for (const pair of pairs) {
        expect(await isActive(each, pair.access_token)).toBe(false);
        expect((await refresh(each, pair.refresh_token)).statusCode).toBe(401);
      }
      expect(await publishedBy(each)).toEqual([retired.kid]);
      expect(await readiness(each)).toBe(200);
      const fresh = await login(each, user);
      expect(kidOf(fresh.access_token)).toBe(retired.kid);
      for (const other of replicas) expect(await isActive(other, fresh.access_token)).toBe(true);
      expect((await refresh(each, fresh.refresh_token)).statusCode).toBe(200);
    }
    expect(await jsonInHouse(house, ['keys', 'list'])).toMatchObject([
      { kid: leaked, state: 'retired', retired_at: RFC_3339 },
      { kid: retired.kid, state: 'signing', retired_at: null },
    ]);
    expect(await jsonInHouse(house, ['revocations', 'list'])).toMatchObject([
      {
        kind: 'user',
        user_id: null,
        username: null,
        reason: 'key_retired',
        actor: `cli:${userInfo().username}`,
      },
    ]);
    const { rows } = await house.database.admin.query<{ bytes: number }>(
      'SELECT length(encrypted_private_key) AS bytes FROM signing_keys WHERE kid = $1',
      [leaked],
    );
    expect(rows).toEqual([{ bytes: 0 }]);
  });

  it('ends sessions that a key signed which is not the one that leaked, for the leaked one could have', async () => {
    const rotated = (await jsonInHouse(house, ['keys', 'rotate'])) as Key;
    const pair = await login(replicas[0], await house.user());
    expect(kidOf(pair.access_token)).not.toBe(rotated.kid);
    await jsonInHouse(house, ['keys', 'retire', rotated.kid]);
    for (const each of replicas) expect(await isActive(each, pair.access_token)).toBe(false);
  });

  it('says of an unknown key and of a retired one that there is nothing to retire, and ends nothing', async () => {
    const [{ kid }] = (await listKeys()) as [Key];
    await jsonInHouse(house, ['keys', 'retire', kid]);
    const pair = await login(replicas[0], await house.user());
    const again = await inHouse(house, ['keys', 'retire', kid, '--json']);
    expect(again).toMatchObject({ status: 1, stdout: '' });
    expect(again.stderr).toMatch(new RegExp(`^gatehouse: the key ${kid} was retired at \\S+ already\n$`));
    expect(await inHouse(house, ['keys', 'retire', 'ffffffffffffffff', '--json'])).toEqual({
      status: 1,
      stdout: '',
      stderr: 'gatehouse: there is no key ffffffffffffffff: see `gatehouse keys list`\n',
    });
    expect(await isActive(replicas[0], pair.access_token)).toBe(true);
  });
});

describe('a wrong AUTH_SECRET', () => {
  it.each(['rotate', 'retire'])('is refused by keys %s, which changes nothing', async (verb) => {
    const pair = await login(replicas[0], await house.user());
    const before = await listKeys();
    const args = ['keys', verb, ...(verb === 'retire' ? [before[0]?.kid ?? ''] : [])];
    const outcome = await inHouse(house, [...args, '--json'], { environment: { AUTH_SECRET: NEW_SECRET } });
    expect(outcome).toMatchObject({ status: 1, stdout: '' });
    expect(outcome.stderr).toContain('AUTH_SECRET does not open the signing keys');
    expect(outcome.stderr).not.toContain(NEW_SECRET);
    expect(await listKeys()).toEqual(before);
    expect(await isActive(replicas[0], pair.access_token)).toBe(true);
  });

  it('does not keep anybody from looking at the keys', async () => {
    const environment = { AUTH_SECRET: NEW_SECRET };
    expect(await jsonInHouse(house, ['keys', 'list'], { environment })).toEqual(await listKeys());
  });
});

describe('keys reencrypt', () => {
  const environment = { AUTH_SECRET: NEW_SECRET, AUTH_SECRET_PREVIOUS: SECRET };

  it('moves all keys to the new secret: replicas that know it go on, others say so in /ready', async () => {
    const prepared = await house.replica({ secrets: [NEW_SECRET, SECRET] });
    const user = await house.user();
    const pair = await login(prepared, user);
    await jsonInHouse(house, ['keys', 'rotate']);
    expect(await Promise.all([...replicas, prepared].map(readiness))).toEqual([200, 200, 200]);

    expect(await jsonInHouse(house, ['keys', 'reencrypt'], { environment })).toEqual({ reencrypted: 2 });

    expect(await Promise.all([...replicas, prepared].map(readiness))).toEqual([503, 503, 200]);
    const told = (await replicas[0].app.inject({ url: '/ready' })).json<{ detail: string }>().detail;
    expect(told).toContain('AUTH_SECRET');
    for (const each of [...replicas, prepared]) expect(await isActive(each, pair.access_token)).toBe(true);
    expect((await refresh(prepared, pair.refresh_token)).statusCode).toBe(200);

    const restarted = await house.replica({ secrets: [NEW_SECRET] });
    const fresh = await login(restarted, user);
    expect(claimsOf(fresh.access_token).username).toBe(user.username);
    expect(await isActive(prepared, fresh.access_token)).toBe(true);
    await expect(house.replica({ secrets: [SECRET] })).rejects.toThrow('AUTH_SECRET');
  });

  it.each(['rotate', 'retire'])(
    'comes before the new secret seals anything: keys %s uses what all replicas know',
    async (verb) => {
      const [{ kid }] = (await listKeys()) as [Key];
      await jsonInHouse(house, ['keys', verb, ...(verb === 'retire' ? [kid] : [])], { environment });
      const pair = await login(replicas[0], await house.user());
      expect(await Promise.all(replicas.map(readiness))).toEqual([200, 200]);
      expect((await refresh(replicas[1], pair.refresh_token)).statusCode).toBe(200);
      expect(await jsonInHouse(house, ['keys', 'reencrypt'], { environment })).toEqual({
        reencrypted: verb === 'rotate' ? 2 : 1,
      });
    },
  );

  it('spends nothing on a replica that can no longer sign: the same refresh token works elsewhere', async () => {
    const pair = await login(replicas[0], await house.user());
    await jsonInHouse(house, ['keys', 'reencrypt'], { environment });
    expect((await refresh(replicas[0], pair.refresh_token)).statusCode).toBe(503);
    const restarted = await house.replica({ secrets: [NEW_SECRET] });
    expect((await refresh(restarted, pair.refresh_token)).statusCode).toBe(200);
  });

  it('may be run again, and leaves retired keys alone', async () => {
    const [{ kid }] = (await listKeys()) as [Key];
    await jsonInHouse(house, ['keys', 'retire', kid]);
    expect(await jsonInHouse(house, ['keys', 'reencrypt'], { environment })).toEqual({ reencrypted: 1 });
    expect((await inHouse(house, ['keys', 'reencrypt'], { environment })).stdout).toBe(
      '1 key encrypted with AUTH_SECRET\n',
    );
    expect((await listKeys()).map(({ state }) => state)).toEqual(['retired', 'signing']);
    const restarted = await house.replica({ secrets: [NEW_SECRET] });
    expect(await readiness(restarted)).toBe(200);
  });

  it('takes both secrets from files', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'gatehouse-secrets-'));
    const files = { AUTH_SECRET_FILE: join(folder, 'new'), AUTH_SECRET_PREVIOUS_FILE: join(folder, 'old') };
    await writeFile(files.AUTH_SECRET_FILE, `${NEW_SECRET}\n`);
    await writeFile(files.AUTH_SECRET_PREVIOUS_FILE, `${SECRET}\n`);
    const fromFiles = { environment: { ...files, AUTH_SECRET: undefined } };
    expect(await jsonInHouse(house, ['keys', 'reencrypt'], fromFiles)).toEqual({ reencrypted: 1 });
    await rm(folder, { recursive: true });
    expect(await readiness(await house.replica({ secrets: [NEW_SECRET] }))).toBe(200);
  });

  it('says what to set when AUTH_SECRET_PREVIOUS is missing', async () => {
    const outcome = await inHouse(house, ['keys', 'reencrypt', '--json']);
    expect(outcome).toMatchObject({ status: 1, stdout: '' });
    expect(outcome.stderr).toContain('AUTH_SECRET_PREVIOUS is not set: set it to');
    expect(outcome.stderr.split('\n')).toHaveLength(2);
  });

  it('changes nothing when neither secret opens a key, and names the key', async () => {
    const [{ kid }] = (await listKeys()) as [Key];
    const wrong = { AUTH_SECRET: NEW_SECRET, AUTH_SECRET_PREVIOUS: `not ${SECRET}` };
    expect(await inHouse(house, ['keys', 'reencrypt', '--json'], { environment: wrong })).toEqual({
      status: 1,
      stdout: '',
      stderr: `gatehouse: nothing was changed: neither AUTH_SECRET nor AUTH_SECRET_PREVIOUS opens ${kid}\n`,
    });
    expect(await Promise.all(replicas.map(readiness))).toEqual([200, 200]);
  });

  it('loses no key that is made at the same time', async () => {
    const both = { environment: { ...environment } };
    await Promise.all([
      jsonInHouse(house, ['keys', 'reencrypt'], both),
      jsonInHouse(house, ['keys', 'rotate'], both),
    ]);
    await jsonInHouse(house, ['keys', 'reencrypt'], both);
    expect(await listKeys()).toHaveLength(2);
    expect(await readiness(await house.replica({ secrets: [NEW_SECRET] }))).toBe(200);
  });
});

describe('before the service has ever started', () => {
  it('has no key to show, to rotate or to retire, and the service still makes its first', async () => {
    const fresh = await openHouse();
    try {
      expect(await jsonInHouse(fresh, ['keys', 'list'])).toEqual([]);
      for (const args of [['rotate'], ['retire', 'ffffffffffffffff']]) {
        expect(await inHouse(fresh, ['keys', ...args, '--json'])).toEqual({
          status: 1,
          stdout: '',
          stderr: 'gatehouse: there is no key yet: the service makes the first one when it starts\n',
        });
      }
      const environment = { AUTH_SECRET_PREVIOUS: NEW_SECRET };
      expect(await jsonInHouse(fresh, ['keys', 'reencrypt'], { environment })).toEqual({ reencrypted: 0 });
      const replica = await fresh.replica();
      expect(kidOf((await login(replica, await fresh.user())).access_token)).toMatch(/^[0-9a-f]{16}$/);
    } finally {
      await fresh.close();
    }
  });
});

describe('keys reset', () => {
  const environment = { AUTH_SECRET: NEW_SECRET };
  const args = ['keys', 'reset', '--end-everything'];

  it('says what it would do, and does nothing, unless it is told to end everything', async () => {
    const pair = await login(replicas[0], await house.user());
    const before = await listKeys();
    const outcome = await inHouse(house, ['keys', 'reset'], { environment });
    expect(outcome).toMatchObject({ status: 2, stdout: '' });
    expect(outcome.stderr).toMatch(
      /^gatehouse: nothing was changed: with --end-everything every session of every user ends, every key dies, and a new key/,
    );
    expect(await listKeys()).toEqual(before);
    expect(await isActive(replicas[0], pair.access_token)).toBe(true);
  });

  it('ends every session on every replica, and lets a service with a new secret go on where the old one is lost', async () => {
    const user = await house.user();
    const pairs = [await login(replicas[0], user), await login(replicas[1], await house.user())];
    const next = (await jsonInHouse(house, ['keys', 'rotate'])) as Key;
    const old = kidOf(pairs[0]?.access_token ?? '');
    await expect(house.replica({ secrets: [NEW_SECRET] })).rejects.toThrow('AUTH_SECRET');

    const reset = (await jsonInHouse(house, args, { environment })) as Key;

    expect(reset).toEqual({ kid: KID, algorithm: 'EdDSA', state: 'signing', retired: 2 });
    for (const { access_token } of pairs)
      for (const each of replicas) expect(await isActive(each, access_token)).toBe(false);
    expect(await Promise.all(replicas.map(readiness))).toEqual([503, 503]);
    const restarted = await house.replica({ secrets: [NEW_SECRET] });
    expect(await publishedBy(restarted)).toEqual([reset.kid]);
    for (const { access_token, refresh_token } of pairs) {
      expect(await isActive(restarted, access_token)).toBe(false);
      expect((await refresh(restarted, refresh_token)).statusCode).toBe(401);
    }
    const fresh = await login(restarted, user);
    expect(await isActive(restarted, fresh.access_token)).toBe(true);
    expect((await refresh(restarted, fresh.refresh_token)).statusCode).toBe(200);
    expect((await listKeys()).map(({ kid, state }) => [kid, state]).sort()).toEqual(
      [
        [old, 'retired'],
        [next.kid, 'retired'],
        [reset.kid, 'signing'],
      ].sort(),
    );
    expect(await jsonInHouse(house, ['revocations', 'list'])).toMatchObject([
      {
        kind: 'user',
        user_id: null,
        username: null,
        reason: 'keys_reset',
        actor: `cli:${userInfo().username}`,
      },
    ]);
    const { rows } = await house.database.admin.query<{ bytes: number }>(
      'SELECT length(encrypted_private_key) AS bytes FROM signing_keys WHERE kid <> $1',
      [reset.kid],
    );
    expect(rows).toEqual([{ bytes: 0 }, { bytes: 0 }]);
  });

  it('kills a key, too, that a rotation makes at the same time with the old secret', async () => {
    const lock = await holdRow(house.database, 'SELECT FROM service WHERE id = $1 FOR UPDATE', 'true');
    const rotated = jsonInHouse(house, ['keys', 'rotate']);
    await lock.queue(1);
    const reset = jsonInHouse(house, args, { environment });
    await lock.queue(2);
    await lock.release();
    const { kid } = (await reset) as Key;
    expect((await rotated) as Key).toMatchObject({ state: 'next' });
    const keys = await listKeys();
    expect(keys.filter(({ state }) => state !== 'retired').map((key) => key.kid)).toEqual([kid]);
    expect(keys).toHaveLength(3);
  });

  it('has nothing to do before there is a key', async () => {
    const empty = await openHouse();
    const outcome = await inHouse(empty, args, { environment });
    expect(outcome).toMatchObject({ status: 1, stdout: '' });
    expect(outcome.stderr).toContain('there is no key yet');
    await empty.close();
  });
});
