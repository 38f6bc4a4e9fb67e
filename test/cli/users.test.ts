// gatehouse users: what it prints, and what it does to people who are logged in.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { inHouse, jsonInHouse } from '../support/command.js';
import {
  basic,
  bearer,
  claimsOf,
  introspect,
  login,
  openHouse,
  refresh,
  type House,
  type Replica,
  type TestClient,
} from '../support/house.js';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const GOOD_PASSWORD = 'a lamp beside 7 quiet harbours';

let house: House;
let replica: Replica;
let client: TestClient;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  client = await house.client();
});
afterAll(() => house.close());

function statusOfLogin(username: string, password: string): Promise<number> {
  return replica.app
    .inject({ method: 'POST', url: '/login', payload: { username, password } })
    .then(({ statusCode }) => statusCode);
}

describe('users add', () => {
  it('makes a strong password that logs in, and shows it this once', async () => {
    const user = (await jsonInHouse(house, ['users', 'add', 'alice', '--scope', 'read write'])) as {
      password: string;
    };
    expect(user).toEqual({
      id: expect.stringMatching(UUID) as string,
      username: 'alice',
      scope: 'read write',
      password: expect.stringMatching(/^[0-9A-Za-z]{22,}$/) as string,
    });
    const pair = await login(replica, { id: '', username: 'alice', password: user.password });
    expect(claimsOf(pair.access_token)).toMatchObject({ username: 'alice', scope: 'read write' });
    expect((await inHouse(house, ['users', 'list'])).stdout).not.toContain(user.password);
  });

  it('shows people the same on lines of their own', async () => {
    const { status, stdout, stderr } = await inHouse(house, ['users', 'add', 'anna']);
    expect(status).toBe(0);
    expect(stderr).toBe('');
    const password = /^added anna \([0-9a-f-]{36}\)\npassword, shown this once: (\S+)\n$/.exec(stdout)?.[1];
    expect(await statusOfLogin('anna', password ?? '')).toBe(200);
  });

  it.each([
    ['as it is', GOOD_PASSWORD],
    ['without one newline at its end', `${GOOD_PASSWORD}\n`],
    ['without a newline as Windows writes it', `${GOOD_PASSWORD}\r\n`],
  ])('takes a password from standard input %s, and does not repeat it', async (how, input) => {
    const username = `bob-${how.length}`;
    const user = await jsonInHouse(house, ['users', 'add', username, '--password-stdin'], { input });
    expect(user).toEqual({ id: expect.stringMatching(UUID) as string, username, scope: '' });
    expect(await statusOfLogin(username, GOOD_PASSWORD)).toBe(200);
  });

  it('keeps spaces around a password from standard input', async () => {
    await jsonInHouse(house, ['users', 'add', 'spacy', '--password-stdin'], {
      input: `  ${GOOD_PASSWORD} \n`,
    });
    expect(await statusOfLogin('spacy', `  ${GOOD_PASSWORD} `)).toBe(200);
    expect(await statusOfLogin('spacy', GOOD_PASSWORD)).toBe(401);
  });

  it.each<[string, string | Uint8Array, string]>([
    ['too short', 'short', 'is shorter than 15 characters'],
    ['empty', '', 'is shorter than 15 characters'],
    ['common', 'passwordpassword', 'repeats itself'],
    ['made of the name', 'christopher.robin 1', 'contains the user name'],
    ['followed by two newlines', `${GOOD_PASSWORD}\n\n`, 'contains a control character'],
    ['endless', 'x'.repeat(200_000), 'is longer than 256 characters'],
    [
      'not text',
      Buffer.concat([Buffer.from(GOOD_PASSWORD), Buffer.from([0xff])]),
      'on standard input is not UTF-8: save it in that encoding',
    ],
  ])('refuses a password that is %s, and says why', async (_, input, reason) => {
    const args = ['users', 'add', 'christopher.robin', '--password-stdin', '--json'];
    const { status, stdout, stderr } = await inHouse(house, args, { input });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain(`gatehouse: the password ${reason}`);
    expect(stderr.split('\n')).toHaveLength(2);
    expect((await inHouse(house, ['users', 'list'])).stdout).not.toContain('christopher.robin');
  });

  it.each([
    ['8', 'kP9wq7Rt'],
    ['40', `${GOOD_PASSWORD} and twenty-five more of them`],
  ])('takes no password with fewer characters than PASSWORD_MIN_LENGTH=%s', async (least, input) => {
    const username = `short-${least}`;
    const environment = { PASSWORD_MIN_LENGTH: least };
    await jsonInHouse(house, ['users', 'add', username, '--password-stdin'], { input, environment });
    for (const args of [
      ['users', 'add', `${username}-too`, '--password-stdin'],
      ['users', 'password', username, '--password-stdin'],
    ]) {
      const { status, stderr } = await inHouse(house, args, { input: 'kP9wq7R', environment });
      expect({ status, stderr }).toEqual({
        status: 1,
        stderr: `gatehouse: the password is shorter than ${least} characters\n`,
      });
    }
    expect(await statusOfLogin(username, input)).toBe(200);
  });

  it('asks for a pipe where standard input is a terminal', async () => {
    const args = ['users', 'add', 'tty', '--password-stdin'];
    const { status, stdout, stderr } = await inHouse(house, args, { input: GOOD_PASSWORD, isTerminal: true });
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('reads the password from standard input');
  });

  it('asks for a password on the terminal, twice, and shows nothing of it', async () => {
    const args = ['users', 'add', 'typist', '--password-prompt'];
    const outcome = await inHouse(house, args, { typed: `${GOOD_PASSWORD}\r${GOOD_PASSWORD}\r` });
    expect(outcome).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^added typist \([0-9a-f-]{36}\)\n$/) as string,
      stderr: 'New password: \nThe same once more: \n',
    });
    expect(await statusOfLogin('typist', GOOD_PASSWORD)).toBe(200);
  });

  it('takes back what is rubbed out while a password is typed', async () => {
    const typed = `${GOOD_PASSWORD}x\x7f\r${GOOD_PASSWORD}\r`;
    const user = await inHouse(house, ['users', 'add', 'rubber', '--password-prompt'], { typed });
    expect(user.status).toBe(0);
    expect(await statusOfLogin('rubber', GOOD_PASSWORD)).toBe(200);
  });

  it.each([
    [
      'the second is another one',
      `${GOOD_PASSWORD}\r${GOOD_PASSWORD}.\r`,
      'the two passwords are not the same',
      1,
    ],
    ['the first is too short, before it asks again', 'tiny 1\r', 'is shorter than 15 characters', 1],
    ['the first holds the name', 'christopher.robin 1\r', 'contains the user name', 1],
    ['Ctrl-C is pressed', 'half a pass\x03', 'no password was typed', 1],
    ['Ctrl-C is pressed at the second', `${GOOD_PASSWORD}\rhalf\x03`, 'no password was typed', 1],
    ['Ctrl-D is pressed', '\x04', 'no password was typed', 1],
  ])('adds nobody where %s', async (_when, typed, reason, expected) => {
    const args = ['users', 'add', 'christopher.robin', '--password-prompt', '--json'];
    const { status, stdout, stderr } = await inHouse(house, args, { typed });
    expect({ status, stdout }).toEqual({ status: expected, stdout: '' });
    expect(stderr).toContain(reason);
    for (const word of typed.split(/\p{Cc}/u).filter((text) => text !== ''))
      expect(stderr).not.toContain(word);
    expect((await inHouse(house, ['users', 'list'])).stdout).not.toContain('christopher.robin');
  });

  it('says what to do where there is no terminal to ask on', async () => {
    const { status, stdout, stderr } = await inHouse(house, ['users', 'add', 'piped', '--password-prompt'], {
      input: GOOD_PASSWORD,
    });
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('standard input is none: use --password-stdin');
  });

  it('takes one way to give a password, not two', async () => {
    const ways = ['--password-prompt', '--password-stdin', '--without-password'];
    for (const [one, two] of [
      [0, 1],
      [0, 2],
      [1, 2],
    ] as const) {
      const args = ['users', 'add', 'both', ways[one] ?? '', ways[two] ?? ''];
      expect(await inHouse(house, args, { input: GOOD_PASSWORD })).toMatchObject({ status: 2, stdout: '' });
    }
  });

  it('adds a user without a password, who cannot log in', async () => {
    const added = await inHouse(house, ['users', 'add', 'invited', '--without-password']);
    expect(added.stdout).toMatch(/^added invited \([0-9a-f-]{36}\), without a password\n$/);
    expect(await jsonInHouse(house, ['users', 'show', 'invited'])).toMatchObject({ has_password: false });
    expect(await statusOfLogin('invited', '')).toBe(401);
  });

  it('keeps names canonical, and each once', async () => {
    expect(await jsonInHouse(house, ['users', 'add', 'Dora@Example.COM'])).toMatchObject({
      username: 'dora@example.com',
    });
    const { status, stdout, stderr } = await inHouse(house, ['users', 'add', 'dora@example.com', '--json']);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toBe(
      'gatehouse: there is a user dora@example.com already: choose another name, or see `gatehouse users password --help`\n',
    );
  });

  it('lets one of two additions of a name win', async () => {
    const outcomes = await Promise.all([1, 2].map(() => inHouse(house, ['users', 'add', 'twin'])));
    expect(outcomes.map(({ status }) => status).sort()).toEqual([0, 1]);
  });

  it.each([
    ['a space in the name', ['a b'], 'a space'],
    ['an empty name', [''], 'is empty'],
    ['two spaces in the scope', ['eve', '--scope', 'a  b'], 'single spaces'],
    ['a space at the end of the scope', ['eve', '--scope', 'a '], 'single spaces'],
    ['a quote in the scope', ['eve', '--scope', 'a"b'], 'RFC 6749'],
    ['a backslash in the scope', ['eve', '--scope', 'a\\b'], 'RFC 6749'],
    ['a scope beyond ASCII', ['eve', '--scope', 'lésen'], 'RFC 6749'],
    ['a scope named twice', ['eve', '--scope', 'a b a'], 'twice'],
    ['too long a scope', ['eve', '--scope', 'x'.repeat(1025)], 'longer than 1024'],
  ])('refuses %s as wrong usage', async (_, args, reason) => {
    const { status, stdout, stderr } = await inHouse(house, ['users', 'add', ...args]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(reason);
  });

  it('refuses a name and a scope that together make tokens too long for the audience that is set', async () => {
    const environment = { AUDIENCE: 'あ'.repeat(256) };
    const add = (username: string) =>
      inHouse(house, ['users', 'add', username, '--scope', 'x'.repeat(1024)], { environment });
    const { status, stdout, stderr } = await add('\u{20000}'.repeat(254));
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('longer than 3800 characters');
    expect((await add('short-enough')).status).toBe(0);
  });

  it('takes every character that a scope may have', async () => {
    const scope = String.fromCharCode(...Array.from({ length: 94 }, (_, index) => 0x21 + index)).replace(
      /["\\]/g,
      '',
    );
    expect(await jsonInHouse(house, ['users', 'add', 'frank', '--scope', `${scope} a`])).toMatchObject({
      scope: `${scope} a`,
    });
  });

  it('bounds name and scope so that the longest of both still make tokens that live', async () => {
    const username = '\u{20000}'.repeat(254);
    const { password } = (await jsonInHouse(house, [
      'users',
      'add',
      username,
      '--scope',
      'x'.repeat(1024),
    ])) as {
      password: string;
    };
    const pair = await login(replica, { id: '', username, password });
    expect((await introspect(replica, client, pair.access_token)).json()).toMatchObject({
      active: true,
      username,
    });
  });
});

describe('users list', () => {
  it('lists every user in order, disabled ones too', async () => {
    const own = await openHouse();
    try {
      await jsonInHouse(own, ['users', 'add', 'zoe']);
      await jsonInHouse(own, ['users', 'add', 'adam', '--scope', 'read']);
      await jsonInHouse(own, ['users', 'disable', 'zoe']);
      const common = {
        id: expect.stringMatching(UUID) as string,
        created_at: expect.stringMatching(RFC_3339) as string,
        client_id: null,
        external_id: null,
        has_password: true,
        locked_until: null,
      };
      expect(await jsonInHouse(own, ['users', 'list'])).toEqual([
        { ...common, username: 'adam', scope: 'read', disabled_at: null },
        { ...common, username: 'zoe', scope: '', disabled_at: expect.stringMatching(RFC_3339) as string },
      ]);
      const { stdout } = await inHouse(own, ['users', 'list']);
      expect(stdout).toMatch(
        /^ID +USERNAME +SCOPE +CLIENT ID +EXTERNAL ID +CREATED AT +DISABLED AT +HAS PASSWORD +LOCKED UNTIL\n\S+ {2}adam +read +- +- +\S+ +- +yes +-\n\S+ {2}zoe +- +- +- +\S+ +\S+ +yes +-\n$/,
      );
    } finally {
      await own.close();
    }
  });

  it('says so when there is none, and gives an empty list to programs', async () => {
    const own = await openHouse();
    try {
      expect((await inHouse(own, ['users', 'list'])).stdout).toBe('no users\n');
      expect(await jsonInHouse(own, ['users', 'list'])).toEqual([]);
    } finally {
      await own.close();
    }
  });
});

describe('users disable and enable', () => {
  it('ends every session on a running replica, refuses logins, and lets them in again', async () => {
    const user = await house.user();
    const other = await login(replica, await house.user());
    const pairs = [await login(replica, user), await login(replica, user)];

    expect(await jsonInHouse(house, ['users', 'disable', user.username.toUpperCase()])).toEqual({
      id: user.id,
      username: user.username,
      scope: '',
      client_id: null,
      external_id: null,
      created_at: expect.stringMatching(RFC_3339) as string,
      disabled_at: expect.stringMatching(RFC_3339) as string,
      has_password: true,
      locked_until: null,
    });
    for (const pair of pairs) {
      expect((await introspect(replica, client, pair.access_token)).body).toBe('{"active":false}');
      expect((await refresh(replica, pair.refresh_token)).statusCode).toBe(401);
    }
    expect(await statusOfLogin(user.username, user.password)).toBe(401);
    expect((await introspect(replica, client, other.access_token)).json()).toMatchObject({ active: true });

    expect(await jsonInHouse(house, ['users', 'enable', user.username])).toMatchObject({ disabled_at: null });
    for (const pair of pairs) {
      expect((await introspect(replica, client, pair.access_token)).body).toBe('{"active":false}');
    }
    expect(await statusOfLogin(user.username, user.password)).toBe(200);
  });

  it('takes a second time for done, and keeps the first time', async () => {
    const { username } = await house.user();
    const first = (await jsonInHouse(house, ['users', 'disable', username])) as { disabled_at: string };
    await house.database.clock.advance(60);
    expect(await jsonInHouse(house, ['users', 'disable', username])).toEqual(first);
    expect((await inHouse(house, ['users', 'enable', username])).stdout).toBe(`${username} may log in\n`);
    expect((await inHouse(house, ['users', 'enable', username])).status).toBe(0);
  });
});

describe('a user of a client', () => {
  const EXTERNAL_ID = 'customer-17';

  const open = ({ id, secret }: TestClient) =>
    replica.app.inject({
      method: 'POST',
      url: '/sessions',
      headers: basic({ id, secret }),
      payload: { external_id: EXTERNAL_ID },
    });
  const of = ({ id }: TestClient) => ['--client-id', id, '--external-id', EXTERNAL_ID];
  const isActive = async (token: string) =>
    (await introspect(replica, client, token)).json<{ active: boolean }>().active;

  it('is disabled and enabled as the client calls the user, and nobody of another client', async () => {
    const [shop, forum] = [await house.client(['sessions:open']), await house.client(['sessions:open'])];
    const [ours, theirs] = [await open(shop), await open(forum)].map(
      (answer) => answer.json<{ access_token: string }>().access_token,
    ) as [string, string];
    const disabled = await jsonInHouse(house, ['users', 'disable', ...of(shop)]);
    expect(disabled).toMatchObject({
      client_id: shop.id,
      external_id: EXTERNAL_ID,
      disabled_at: expect.stringMatching(RFC_3339) as string,
    });
    expect([await isActive(ours), await isActive(theirs)]).toEqual([false, true]);
    expect((await open(shop)).json()).toMatchObject({ error: 'user_disabled' });
    expect((await open(forum)).statusCode).toBe(201);
    expect(await jsonInHouse(house, ['users', 'show', ...of(shop)])).toEqual(disabled);

    const { status, stdout } = await inHouse(house, ['users', 'enable', ...of(shop)]);
    expect([status, stdout]).toEqual([0, `${shop.id} ${EXTERNAL_ID} may log in\n`]);
    expect(await isActive(ours)).toBe(false);
    expect((await open(shop)).statusCode).toBe(201);
  });

  it('is exported and deleted as the client calls the user', async () => {
    const shop = await house.client(['sessions:open']);
    const token = (await open(shop)).json<{ access_token: string }>().access_token;
    expect(await jsonInHouse(house, ['users', 'export', ...of(shop)])).toMatchObject({
      user: { client_id: shop.id, external_id: EXTERNAL_ID },
      sessions: [{ id: claimsOf(token).sid }],
    });
    await jsonInHouse(house, ['users', 'delete', ...of(shop)]);
    expect(await isActive(token)).toBe(false);
  });

  it('is disabled by id', async () => {
    const shop = await house.client(['sessions:open']);
    await open(shop);
    const { id } = (await jsonInHouse(house, ['users', 'show', ...of(shop)])) as { id: string };
    expect(await jsonInHouse(house, ['users', 'disable', id])).toMatchObject({
      id,
      disabled_at: expect.stringMatching(RFC_3339) as string,
    });
    expect(await jsonInHouse(house, ['users', 'enable', id])).toMatchObject({ id, disabled_at: null });
  });

  it.each(['disable', 'enable', 'show', 'delete', 'export'])(
    'that does not exist is told by users %s, and none is made',
    async (verb) => {
      const { id } = await house.client(['sessions:open']);
      const args = ['users', verb, '--client-id', id, '--external-id', EXTERNAL_ID, '--json'];
      expect(await inHouse(house, args)).toEqual({
        status: 1,
        stdout: '',
        stderr: `gatehouse: there is no user customer-17 of ${id}: see \`gatehouse users find --client-id ${id}\`\n`,
      });
      expect(await jsonInHouse(house, ['users', 'find', '--client-id', id])).toMatchObject({ users: [] });
    },
  );
});

describe('users password', () => {
  it('sets a strong one, shows it this once, and ends every session', async () => {
    const user = await house.user({ scope: 'read' });
    const pair = await login(replica, user);
    const changed = (await jsonInHouse(house, ['users', 'password', user.username])) as { password: string };
    expect(changed).toEqual({
      id: user.id,
      username: user.username,
      scope: 'read',
      password: expect.stringMatching(/^[0-9A-Za-z]{22,}$/) as string,
    });
    const session = await replica.app.inject({ url: '/session', headers: bearer(pair.access_token) });
    expect(session.statusCode).toBe(401);
    expect((await refresh(replica, pair.refresh_token)).statusCode).toBe(401);
    expect(await statusOfLogin(user.username, user.password)).toBe(401);
    expect(await statusOfLogin(user.username, changed.password)).toBe(200);
  });

  it('asks for one on the terminal, and ends every session', async () => {
    const user = await house.user();
    const pair = await login(replica, user);
    const args = ['users', 'password', user.username, '--password-prompt'];
    const { status, stdout } = await inHouse(house, args, { typed: `${GOOD_PASSWORD}\r${GOOD_PASSWORD}\r` });
    expect([status, stdout]).toEqual([0, `${user.username} has a new password, every session has ended\n`]);
    expect((await refresh(replica, pair.refresh_token)).statusCode).toBe(401);
    expect(await statusOfLogin(user.username, GOOD_PASSWORD)).toBe(200);
  });

  it('takes one from standard input by the same rules', async () => {
    const user = await house.user();
    const args = ['users', 'password', user.username, '--password-stdin'];
    const changed = await jsonInHouse(house, args, { input: `${GOOD_PASSWORD}\n` });
    expect(changed).toEqual({ id: user.id, username: user.username, scope: '' });
    expect(await statusOfLogin(user.username, GOOD_PASSWORD)).toBe(200);
    expect(await inHouse(house, args, { input: 'qwertyuiopasdfghjkl' })).toMatchObject({
      status: 1,
      stdout: '',
    });
    expect(await inHouse(house, args, { isTerminal: true })).toMatchObject({ status: 2, stdout: '' });
    expect(await statusOfLogin(user.username, GOOD_PASSWORD)).toBe(200);
  });
});

it.each(['disable', 'enable', 'password'])('says of users %s that there is no such user', async (verb) => {
  for (const name of ['nobody', 'no body']) {
    const { status, stdout, stderr } = await inHouse(house, ['users', verb, name, '--json']);
    expect({ status, stdout, stderr }).toEqual({
      status: 1,
      stdout: '',
      stderr: `gatehouse: there is no user ${name}: see \`gatehouse users list\`\n`,
    });
  }
});
