// Users with hashes of another system: their first login, and what happens beside it and beside their import.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { importUsers } from '../../src/domain/operators/import.js';
import { MOST_LINES } from '../../src/domain/operators/import-lines.js';
import { authenticate } from '../../src/domain/users/authenticate.js';
import { changePassword } from '../../src/domain/users/users.js';
import { BCRYPT, FOREIGN, FOREIGN_PASSWORD } from '../support/foreign-hashes.js';
import { openHouse, type House, type Replica } from '../support/house.js';
import { holdRow } from '../support/row-lock.js';

const RULES = { issuer: 'http://gatehouse.test', audience: 'gatehouse' };
const HASH = FOREIGN['bcrypt $2b$'] ?? '';

let house: House;
let replica: Replica;
beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
});
afterAll(() => house.close());

const newName = () => `imported-${randomUUID()}`;

async function importLines(lines: object[], by = 'client:console') {
  const texts = lines.map((line, place) => ({ line: place + 1, text: JSON.stringify(line) }));
  return await importUsers(replica.database, texts, by, RULES);
}

async function importOne(hash = HASH): Promise<string> {
  const username = newName();
  expect(await importLines([{ username, password_hash: hash }])).toEqual({ created: 1, refused: [] });
  return username;
}

async function hashOf(username: string): Promise<string> {
  const { rows } = await house.database.admin.query<{ hash: string }>(
    'SELECT password_hash AS hash FROM users WHERE username = $1',
    [username],
  );
  return rows[0]?.hash ?? '';
}

const enter = (username: string, password: string) =>
  authenticate(replica.database, house.hasher, username, password);

describe('the first login of an imported user', () => {
  it.each(Object.entries(FOREIGN))('puts a hash of ours in the place of one by %s', async (_name, hash) => {
    const username = await importOne(hash);
    await expect(enter(username, 'another')).rejects.toMatchObject({ code: 'invalid_credentials' });
    expect(await hashOf(username)).toContain(hash);
    await enter(username, FOREIGN_PASSWORD);
    const fresh = await hashOf(username);
    expect(fresh).toMatch(/^\$argon2id\$v=19\$/);
    expect(fresh).not.toContain(hash);
    await enter(username, FOREIGN_PASSWORD);
    expect(await hashOf(username)).toBe(fresh);
    await expect(enter(username, 'another')).rejects.toMatchObject({ code: 'invalid_credentials' });
  });

  it('makes all of a password count of which bcrypt knew 72 bytes', async () => {
    const username = await importOne(BCRYPT.longest);
    const [typed, other] = [`${'x'.repeat(72)}typed`, `${'x'.repeat(72)}other`];
    await enter(username, typed);
    await expect(enter(username, other)).rejects.toMatchObject({ code: 'invalid_credentials' });
    await enter(username, typed);
  });

  it('leaves a new password alone that was set meanwhile', async () => {
    const username = await importOne();
    const verify = async (stored: string, password: string) => {
      const isRight = await house.hasher.verify(stored, password);
      await changePassword(replica.database, username, 'set meanwhile');
      return isRight;
    };
    await authenticate(replica.database, { ...house.hasher, verify }, username, FOREIGN_PASSWORD);
    expect(await hashOf(username)).toBe('set meanwhile');
  });
});

describe('an import', () => {
  it('of the same names by two at once, in any order, adds each once, and neither fails', async () => {
    const names = Array.from({ length: 300 }, newName);
    const lines = names.map((username) => ({ username, password_hash: HASH }));
    const other = await house.replica();
    const texts = lines.toReversed().map((line, place) => ({ line: place + 1, text: JSON.stringify(line) }));
    const outcomes = await Promise.all([
      importLines(lines),
      importUsers(other.database, texts, 'client:other', RULES),
      importLines(lines),
    ]);
    expect(outcomes.reduce((sum, { created }) => sum + created, 0)).toBe(300);
    expect(outcomes.flatMap(({ refused }) => refused.map(({ error }) => error))).toEqual(
      Array.from({ length: 600 }, () => 'username_taken'),
    );
    const { rows } = await house.database.admin.query<{ detail: { users: number } }>(
      `SELECT detail FROM events WHERE type = 'user.imported' ORDER BY id DESC LIMIT 3`,
    );
    const told = outcomes.map(({ created }) => created).filter((created) => created > 0);
    expect(
      rows
        .slice(0, told.length)
        .map(({ detail }) => detail.users)
        .sort(),
    ).toEqual(told.sort());
  });

  it('adds names in one order, so that of two imports neither waits for what the other waits for', async () => {
    const id = randomUUID();
    const [first, last] = [`a-${id}`, `b-${id}`];
    const other = await house.replica();
    const insert = `INSERT INTO users (id, username, scope, created_at) VALUES (gen_random_uuid(), $1, '', clock_timestamp())`;
    const lock = await holdRow(house.database, insert, first);
    try {
      const waiting = importLines([last, first].map((username) => ({ username, password_hash: HASH })));
      await lock.queue(1);
      const text = JSON.stringify({ username: last, password_hash: HASH });
      expect(await importUsers(other.database, [{ line: 1, text }], 'client:other', RULES)).toMatchObject({
        created: 1,
      });
      await lock.release();
      expect(await waiting).toMatchObject({ created: 0, refused: [{ line: 1 }, { line: 2 }] });
    } finally {
      await lock.release();
    }
  });

  it('of a thousand users is one event with their number; of nobody none', async () => {
    const lines = Array.from({ length: MOST_LINES }, () => ({ username: newName(), password_hash: HASH }));
    const by = `client:${randomUUID()}`;
    expect(await importLines(lines, by)).toEqual({ created: MOST_LINES, refused: [] });
    const again = await importLines(lines, by);
    expect([again.created, again.refused.length]).toEqual([0, MOST_LINES]);
    expect(await importLines([{}], by)).toMatchObject({ created: 0, refused: [{ line: 1 }] });
    const { rows } = await house.database.admin.query(
      'SELECT type, outcome, detail FROM events WHERE actor = $1',
      [by],
    );
    expect(rows).toEqual([{ type: 'user.imported', outcome: 'ok', detail: { users: MOST_LINES } }]);
  });

  it('judges a time to come by the database’s clock', async () => {
    const { rows } = await house.database.admin.query<{ now: Date }>('SELECT clock_timestamp() AS now');
    const now = rows[0]?.now.getTime() ?? 0;
    const at = (ms: number) => ({
      username: newName(),
      password_hash: HASH,
      created_at: new Date(now + ms).toISOString(),
    });
    expect(await importLines([at(0), at(600_000)])).toEqual({
      created: 1,
      refused: [
        { line: 2, error: 'invalid_request', member: 'created_at', message: 'The time lies in the future' },
      ],
    });
  });
});
