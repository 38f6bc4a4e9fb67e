// Users: one answer for every kind of wrong, one user per name, and passwords that are kept up to date.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openDatabase, type Database } from '../../src/database/prisma.js';
import { findAttempts } from '../../src/domain/guessing/locks.js';
import { createThrottle } from '../../src/domain/guessing/throttle.js';
import { changeUser } from '../../src/domain/operators/users.js';
import { createPasswordHasher, type PasswordHasher } from '../../src/domain/passwords/hasher.js';
import {
  addUser,
  changePassword,
  disableUser,
  enableUser,
  findUsersBeyondTokens,
} from '../../src/domain/users/users.js';
import { findUser, listUsers } from '../../src/domain/users/found.js';
import { authenticate } from '../../src/domain/users/authenticate.js';
import { AMPLE_MS, login } from '../support/house.js';
import { openTwins, stateOf, stateOfRefresh, type Twins } from '../support/twins.js';

let twins: Twins;
let database: Database;

beforeAll(async () => {
  twins = await openTwins();
  database = openDatabase(twins.house.database.url, { deadlineMs: AMPLE_MS });
});
afterAll(async () => {
  await database.close();
  await twins.house.close();
});

async function hashOf(id: string): Promise<string | undefined> {
  const { rows } = await twins.house.database.admin.query<{ hash: string }>(
    'SELECT password_hash AS hash FROM users WHERE id = $1',
    [id],
  );
  return rows[0]?.hash;
}

it('names the users whose tokens would be too long, and no other', async () => {
  const names = { issuer: 'https://id.example.com', audience: 'gatehouse' };
  const add = (username: string, bytes: number) =>
    addUser(database, { username, passwordHash: 'none', scope: 'x'.repeat(bytes) });
  const namesBeyond = async (rules: typeof names) =>
    (await findUsersBeyondTokens(database, rules)).map(({ username }) => username);
  await Promise.all([add('large', 2100), add('too-large', 2400), add('huge', 9000), add('small', 0)]);
  await twins.house.database.admin.query(
    `INSERT INTO users (id, username, client_id, external_id, created_at)
     SELECT gen_random_uuid(), 'shop ' || name, 'shop', name, now() FROM repeat('x', 255) AS name`,
  );
  expect(await namesBeyond({ ...names, issuer: `https://${'i'.repeat(1200)}.example` })).not.toContainEqual(
    expect.stringContaining('shop'),
  );
  expect(await namesBeyond(names)).toEqual(['huge', 'too-large']);
  const longer = { ...names, audience: 'a'.repeat(1000) };
  expect(await namesBeyond(longer)).toEqual(['huge', 'large', 'too-large']);
});

/** The hasher, with a list of what it was made to do. */
function watch(hasher: PasswordHasher): PasswordHasher & { work: string[] } {
  const work: string[] = [];
  return {
    ...hasher,
    work,
    verify: (phc, password) => {
      work.push('verify');
      return hasher.verify(phc, password);
    },
    burn: (password) => {
      work.push('burn');
      return hasher.burn(password);
    },
    hash: (password) => {
      work.push('hash');
      return hasher.hash(password);
    },
  };
}

describe('authenticate', () => {
  it('finds the user by any spelling of the name, with the epoch of the moment', async () => {
    const user = await twins.house.user({ username: 'zoë' });
    await changePassword(database, 'zoë', await twins.house.hasher.hash('a new password'));
    for (const spelling of ['zoë', 'ZOË', 'zoe\u0308', 'ＺＯË']) {
      expect(await authenticate(database, twins.house.hasher, spelling, 'a new password')).toEqual({
        id: user.id,
        epoch: '1',
      });
    }
  });

  it('gives one answer to every kind of wrong, and spends one verification on each', async () => {
    const user = await twins.house.user();
    const disabled = await twins.house.user();
    await disableUser(database, disabled.username);
    await addUser(database, { username: 'without-password', passwordHash: null, scope: '' });
    const wrongs: [string, string][] = [
      [user.username, 'not the password'],
      [user.username, ''],
      [disabled.username, disabled.password],
      [disabled.username, 'not the password'],
      ['without-password', user.password],
      ['without-password', ''],
      ['nobody-of-that-name', user.password],
      ['a name that cannot exist', user.password],
      ['', user.password],
      ['\u0000', '\u0000'],
      ['x'.repeat(10_000), user.password],
    ];
    for (const [username, password] of wrongs) {
      const hasher = watch(twins.house.hasher);
      const attempt = authenticate(database, hasher, username, password);
      await expect(attempt, username.slice(0, 40)).rejects.toMatchObject({ code: 'invalid_credentials' });
      expect(hasher.work).toHaveLength(1);
      expect(['verify', 'burn']).toContain(hasher.work[0]);
    }
  });

  it('hashes anew what is weaker than today’s parameters, once', async () => {
    const user = await twins.house.user();
    const weak = await hashOf(user.id);
    const stronger = watch(createPasswordHasher({ parameters: { memoryKib: 16, passes: 1, lanes: 1 } }));
    await authenticate(database, stronger, user.username, user.password);
    expect(await hashOf(user.id)).not.toBe(weak);
    expect(await hashOf(user.id)).toContain('m=16,');
    await authenticate(database, stronger, user.username, user.password);
    expect(stronger.work).toEqual(['verify', 'hash', 'verify']);
  });

  it('does not bring an old password back by hashing it anew', async () => {
    const user = await twins.house.user();
    const changed = await twins.house.hasher.hash('the new password');
    const hasher = createPasswordHasher({ parameters: { memoryKib: 16, passes: 1, lanes: 1 } });
    const meddled: PasswordHasher = {
      ...hasher,
      hash: async (password) => {
        await changePassword(database, user.username, changed);
        return await hasher.hash(password);
      },
    };
    await authenticate(database, meddled, user.username, user.password);
    expect(await hashOf(user.id)).toBe(changed);
  });

  it('lets in whom it cannot hash anew: without room to hash, and without a database that takes it', async () => {
    const stronger = createPasswordHasher({ parameters: { memoryKib: 16, passes: 1, lanes: 1 } });
    const busy: PasswordHasher = { ...stronger, hash: () => Promise.reject(new Error('no room')) };
    const user = await twins.house.user();
    const weak = await hashOf(user.id);
    expect(await authenticate(database, busy, user.username, user.password)).toMatchObject({ id: user.id });
    const { admin } = twins.house.database;
    await admin.query(
      `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$;
       CREATE TRIGGER refuse BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION refuse()`,
    );
    try {
      const proved = await authenticate(database, stronger, user.username, user.password);
      expect(proved).toMatchObject({ id: user.id });
    } finally {
      await admin.query('DROP FUNCTION refuse CASCADE');
    }
    expect(await hashOf(user.id)).toBe(weak);
  });

  it('changes nothing when the password is wrong', async () => {
    const user = await twins.house.user();
    const before = await hashOf(user.id);
    const stronger = createPasswordHasher({ parameters: { memoryKib: 16, passes: 1, lanes: 1 } });
    await expect(authenticate(database, stronger, user.username, 'wrong')).rejects.toMatchObject({
      code: 'invalid_credentials',
    });
    expect(await hashOf(user.id)).toBe(before);
  });
});

describe('adding a user', () => {
  it('lets one in of many who take a name at once', async () => {
    const added = await Promise.all(
      Array.from({ length: 10 }, (_, place) =>
        addUser(database, { username: 'coveted', passwordHash: `hash ${place}`, scope: '' }),
      ),
    );
    const winners = added.filter((user) => user !== null);
    expect(winners).toHaveLength(1);
    expect(await findUser(database, 'COVETED')).toMatchObject({ id: winners[0]?.id, disabledAt: null });
  });
});

describe('disabling', () => {
  it('can be repeated, keeps the first date, and is undone by enabling, which brings no session back', async () => {
    const user = await twins.house.user();
    const pair = await login(twins.one, user);
    expect(await disableUser(database, user.username.toUpperCase())).toBe(true);
    const first = await findUser(database, user.username);
    await twins.house.database.clock.advance(60);
    expect(await disableUser(database, user.username)).toBe(true);
    expect((await findUser(database, user.username))?.disabledAt).toEqual(first?.disabledAt);
    expect(first?.disabledAt).toBeInstanceOf(Date);

    expect(await enableUser(database, user.username)).toBe(true);
    expect((await findUser(database, user.username))?.disabledAt).toBeNull();
    expect(await stateOf(twins, pair.access_token)).toBe('dead');
    expect(await stateOfRefresh(twins, pair.refresh_token)).toBe('dead');
    expect(await stateOf(twins, (await login(twins.two, user)).access_token)).toBe('alive');
  });
});

it('a new password lets no disabled user in, and leaves the date of the disabling', async () => {
  const user = await twins.house.user();
  await disableUser(database, user.username);
  const before = await findUser(database, user.username);
  await twins.house.database.clock.advance(60);
  const password = 'another password of that user';
  expect(await changePassword(database, user.username, await twins.house.hasher.hash(password))).toBe(true);
  expect(before?.disabledAt).toBeInstanceOf(Date);
  expect(await findUser(database, user.username)).toEqual(before);
  await expect(
    twins.one.gatehouse.login({ username: user.username, password }, { ip: '192.0.2.9', userAgent: null }),
  ).rejects.toMatchObject({ code: 'invalid_credentials' });
});

it('says no for users that do not exist, or cannot', async () => {
  for (const name of ['nobody-of-that-name', 'a name that cannot exist', '', ' ']) {
    expect(await disableUser(database, name)).toBe(false);
    expect(await enableUser(database, name)).toBe(false);
    expect(await changePassword(database, name, 'hash')).toBe(false);
    expect(await findUser(database, name)).toBeNull();
  }
});

it('lists users by name', async () => {
  const names = ['list-b', 'list-a', 'list-c'];
  for (const username of names) await twins.house.user({ username, scope: 'read' });
  const listed = (await listUsers(database)).filter(({ username }) => username.startsWith('list-'));
  expect(listed.map(({ username, scope }) => [username, scope])).toEqual(
    names.toSorted().map((name) => [name, 'read']),
  );
});

describe('a new password by an operator', () => {
  type Set = (user: { id: string; username: string }) => Promise<unknown>;
  const rules = { issuer: 'https://id.example.com', audience: 'gatehouse' };
  const WAYS: [string, Set][] = [
    ['by name', ({ username }) => changePassword(database, username, 'new')],
    ['by id', ({ id }) => changeUser(database, id, { passwordHash: 'new' }, 'cli:test', rules)],
  ];

  const guess = async (username: string) => {
    await createThrottle(database).takeAttempt(username, '198.51.100.7');
    return await counted(username);
  };
  const counted = async (username: string) => (await findAttempts(database, username)).attempts.length;

  it.each(WAYS)('%s forgets the attempts at the old one, and those at nobody else’s', async (_way, set) => {
    const [user, other] = [await twins.house.user(), await twins.house.user()];
    for (const { username } of [user, other]) expect(await guess(username)).toBeGreaterThan(0);
    await set(user);
    expect([await counted(user.username), await hashOf(user.id)]).toEqual([0, 'new']);
    expect(await counted(other.username)).toBeGreaterThan(0);
  });

  it.each(WAYS)('%s is not there without that: one statement does both', async (_way, set) => {
    const { admin } = twins.house.database;
    const user = await twins.house.user();
    const before = await hashOf(user.id);
    await guess(user.username);
    await admin.query(
      `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''kept''; END';
       CREATE TRIGGER refuse BEFORE DELETE ON login_attempts FOR EACH ROW EXECUTE FUNCTION refuse()`,
    );
    try {
      await expect(set(user)).rejects.toThrow();
    } finally {
      await admin.query('DROP FUNCTION refuse CASCADE');
    }
    expect(await hashOf(user.id)).toBe(before);
  });

  it('is what unlocks: disabling, and another scope, leave the attempts', async () => {
    const user = await twins.house.user();
    const attempts = await guess(user.username);
    await changeUser(database, user.id, { scope: 'read' }, 'cli:test', rules);
    await disableUser(database, user.username);
    expect(await counted(user.username)).toBe(attempts);
  });
});
