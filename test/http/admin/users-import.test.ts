// POST /admin/users/import: users of another system, line by line, and their first login.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { MOST_LINES } from '../../../src/domain/operators/import-lines.js';
import { LIMITS } from '../../../src/http/server/server.js';
import { FOREIGN, FOREIGN_PASSWORD } from '../../support/foreign-hashes.js';
import { basic, claimsOf, login, openHouse } from '../../support/house.js';
import type { House, Replica, TestClient } from '../../support/house.js';
import { retryOn503 } from '../../support/retry.js';

const HASH = FOREIGN['Django pbkdf2_sha256'] ?? '';

let house: House;
let replica: Replica;
let operator: TestClient;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  operator = await house.client(['users:read', 'users:write']);
});
afterAll(() => house.close());

const newName = () => `imported-${randomUUID()}`;

async function send(payload: string | Buffer, by = replica) {
  const headers = { ...basic(operator), 'content-type': 'application/x-ndjson' };
  const answer = await by.app.inject({ method: 'POST', url: '/admin/users/import', headers, payload });
  return { status: answer.statusCode, body: answer.json<Record<string, unknown>>() };
}

async function findUser(username: string): Promise<Record<string, unknown> | undefined> {
  const url = `/admin/users?username=${username}`;
  const answer = await replica.app.inject({ url, headers: basic(operator) });
  return answer.json<{ users: Record<string, unknown>[] }>().users[0];
}

it('adds users who log in with the password that the other system knew', async () => {
  const [ada, ben] = [newName(), newName()];
  const lines = [
    {
      username: ada.toUpperCase(),
      password_hash: HASH,
      scope: 'read write',
      created_at: '2020-01-02T03:04:05+01:00',
    },
    { username: ben, password_hash: HASH, disabled: true },
  ];
  // With the line ends of Windows, a mark of byte order, and empty lines.
  const text = `\uFEFF${lines.map((line) => JSON.stringify(line)).join('\r\n\r\n')}\r\n\n`;
  expect(await send(text)).toEqual({ status: 200, body: { created: 2, refused: [] } });
  expect(await findUser(ada)).toMatchObject({
    username: ada,
    scope: 'read write',
    created_at: '2020-01-02T02:04:05.000Z',
    disabled_at: null,
    has_password: true,
  });
  expect((await findUser(ben))?.['disabled_at']).toMatch(/Z$/);
  const pair = await login(replica, { id: '', username: ada, password: FOREIGN_PASSWORD });
  expect(claimsOf(pair.access_token)).toMatchObject({ username: ada, scope: 'read write' });
  const refused = async (username: string, password: string) => {
    const payload = { username, password };
    return (await retryOn503(() => replica.app.inject({ method: 'POST', url: '/login', payload })))
      .statusCode;
  };
  expect(await refused(ada, 'another')).toBe(401);
  expect(await refused(ben, FOREIGN_PASSWORD)).toBe(401);
});

it('names each line that is wrong, repeats nothing of it, and takes the others', async () => {
  const { username: taken } = await house.user();
  const [first, last] = [newName(), newName()];
  const line = (members: object) => JSON.stringify({ username: newName(), password_hash: HASH, ...members });
  const wrong: [string, object][] = [
    ['{', { member: null, message: 'The line is no JSON object' }],
    ['[]', { member: null, message: 'The line is no JSON object' }],
    ['null', { member: null, message: 'The line is no JSON object' }],
    [line({ admin: true }), { member: null, message: 'The line has a member that is not known' }],
    [
      `{"__proto__":{},${line({}).slice(1)}`,
      { member: null, message: 'The line has a member that is not known' },
    ],
    [
      `{"scope":"a",${line({ scope: 'b' }).slice(1)}`,
      { member: null, message: 'The line names a member twice' },
    ],
    [line({}).padEnd(17_000), { member: null, message: 'The line is longer than 16384 characters' }],
    ['{"username":"x"}', { member: 'password_hash', message: 'It is missing' }],
    [`{"password_hash":"${HASH}"}`, { member: 'username', message: 'It is missing' }],
    [line({ username: 1 }), { member: 'username', message: 'It is no text' }],
    [
      line({ username: 'two words' }),
      { member: 'username', message: expect.stringContaining('a space') as string },
    ],
    [line({ username: null }), { member: 'username', message: 'It is no text' }],
    [
      line({ password_hash: 'hunter2' }),
      { member: 'password_hash', message: expect.stringContaining('no format') as string },
    ],
    [line({ password_hash: null }), { member: 'password_hash', message: 'It is no text' }],
    [line({ scope: 'a  b' }), { member: 'scope', message: expect.stringContaining('RFC 6749') as string }],
    [
      line({ created_at: 'yesterday' }),
      { member: 'created_at', message: expect.stringContaining('RFC 3339') as string },
    ],
    [line({ created_at: '2020-02-30T00:00:00Z' }), { member: 'created_at' }],
    [
      line({ created_at: '0000-01-01T00:00:00Z' }),
      { member: 'created_at', message: 'The time lies before 1970' },
    ],
    [
      line({ created_at: '2999-01-01T00:00:00Z' }),
      { member: 'created_at', message: 'The time lies in the future' },
    ],
    [line({ disabled: 'yes' }), { member: 'disabled', message: 'It is neither true nor false' }],
    [
      line({ username: first.toUpperCase() }),
      { error: 'username_taken', member: 'username', message: 'The line 1 has this user name' },
    ],
    [line({ username: taken }), { error: 'username_taken', member: 'username' }],
  ];
  const text = [line({ username: first }), ...wrong.map(([one]) => one), line({ username: last })].join('\n');
  const { status, body } = await send(text);
  expect([status, body['created']]).toEqual([200, 2]);
  expect(body['refused']).toEqual(
    wrong.map(([, why], place) => ({
      line: place + 2,
      error: 'invalid_request',
      message: expect.any(String) as string,
      ...why,
    })),
  );
  for (const word of [taken, first, 'hunter2', 'two words', 'yesterday', HASH])
    expect(JSON.stringify(body)).not.toContain(word);
  for (const name of [first, last]) expect(await findUser(name)).toMatchObject({ username: name });
});

it('names a line that is not UTF-8, and one with a name and a scope that make tokens too long', async () => {
  const good = newName();
  const line = (username: string) => Buffer.from(`${JSON.stringify({ username, password_hash: HASH })}\n`);
  const latin1 = Buffer.from(line('andré').toString(), 'latin1');
  expect(await send(Buffer.concat([latin1, line(good)]))).toEqual({
    status: 200,
    body: {
      created: 1,
      refused: [{ line: 1, error: 'invalid_request', member: null, message: 'The line is not UTF-8' }],
    },
  });
  const issuer = `http://gatehouse.test/${'x'.repeat(1200)}`;
  const wordy = await house.replica({ config: { issuer } });
  const long = JSON.stringify({ username: 'e'.repeat(200), password_hash: HASH, scope: 'x'.repeat(1024) });
  expect((await send(long, wordy)).body).toMatchObject({
    created: 0,
    refused: [{ line: 1, member: 'scope' }],
  });
});

it('overwrites nobody: the same lines once more change nothing, and say so', async () => {
  const user = await house.user({ scope: 'read' });
  const lines = [user.username, newName()]
    .map((username) => JSON.stringify({ username, password_hash: HASH, scope: 'write', disabled: true }))
    .join('\n');
  const before = await findUser(user.username);
  expect((await send(lines)).body).toMatchObject({
    created: 1,
    refused: [{ line: 1, error: 'username_taken' }],
  });
  expect((await send(lines)).body).toMatchObject({
    created: 0,
    refused: [
      { line: 1, error: 'username_taken' },
      { line: 2, error: 'username_taken' },
    ],
  });
  expect(await findUser(user.username)).toEqual(before);
  await login(replica, user);
});

describe('a request', () => {
  const of = (lines: number) =>
    Array.from({ length: lines }, () => JSON.stringify({ username: newName(), password_hash: HASH })).join(
      '\n',
    );

  it('may have a thousand lines, and one that has more is refused whole', async () => {
    expect((await send(of(MOST_LINES))).body).toEqual({ created: MOST_LINES, refused: [] });
    expect((await send(`${of(MOST_LINES)}\n`)).body).toEqual({ created: MOST_LINES, refused: [] });
    const lines = of(MOST_LINES + 1);
    const { status, body } = await send(lines);
    expect([status, body['error'], JSON.stringify(body)]).toEqual([
      400,
      'invalid_request',
      expect.stringContaining('must hold 1000 lines or fewer'),
    ]);
    expect(await findUser((JSON.parse(lines.split('\n')[0] ?? '') as { username: string }).username)).toBe(
      undefined,
    );
  });

  it('is refused without a line, beyond 1 MiB, and with another type', async () => {
    for (const empty of ['', '\n', ' \r\n\n']) {
      const { status, body } = await send(empty);
      expect([empty, status, body['error']]).toEqual([empty, 400, 'invalid_request']);
    }
    expect((await send('x'.repeat(LIMITS.importBytes))).status).toBe(200);
    expect((await send('x'.repeat(LIMITS.importBytes + 1))).status).toBe(413);
    const payload = of(1);
    for (const type of ['application/json', 'application/ndjson', 'text/plain']) {
      const headers = { ...basic(operator), 'content-type': type };
      const answer = await replica.app.inject({
        method: 'POST',
        url: '/admin/users/import',
        headers,
        payload,
      });
      expect([type, answer.statusCode]).toEqual([type, 415]);
    }
  });
});
