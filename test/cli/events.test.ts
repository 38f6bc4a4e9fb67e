// gatehouse events find and follow: what /admin/events shows, typed; and what commands are told of as.
import { userInfo } from 'node:os';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { inHouse, jsonInHouse } from '../support/command.js';
import { openHouse, type House, type TestUser } from '../support/house.js';

const ACTOR = `cli:${userInfo().username}`;

let house: House;
let user: TestUser;

interface Found {
  events: Record<string, unknown>[];
  next: string | null;
}

const find = async (...options: string[]) =>
  (await jsonInHouse(house, ['events', 'find', ...options])) as Found;

beforeAll(async () => {
  house = await openHouse();
  await house.replica();
  user = await house.user();
});
afterAll(() => house.close());

it('what each command changes is an event by the account that typed it', async () => {
  await jsonInHouse(house, ['users', 'add', 'ada']);
  for (const verb of ['disable', 'enable', 'password']) await jsonInHouse(house, ['users', verb, 'ada']);
  await jsonInHouse(house, ['users', 'change', 'ada', '--scope', 'read']);
  await jsonInHouse(house, ['clients', 'add', 'orders']);
  await jsonInHouse(house, ['clients', 'change', 'orders', '--permission', 'revoke']);
  const { id } = (await jsonInHouse(house, ['clients', 'secrets', 'add', 'orders'])) as { id: string };
  await jsonInHouse(house, ['clients', 'secrets', 'remove', 'orders', id]);
  await jsonInHouse(house, ['clients', 'remove', 'orders']);
  await jsonInHouse(house, ['revocations', 'add', '--user-id', user.id, '--note', 'left us']);
  await jsonInHouse(house, ['keys', 'rotate']);
  await jsonInHouse(house, ['keys', 'reset', '--end-everything']);
  const { events } = await find('--actor', ACTOR);
  expect(events.map(({ type }) => type).reverse()).toEqual([
    'user.added',
    'user.disabled',
    'user.enabled',
    'password.changed',
    'user.changed',
    'client.added',
    'client.changed',
    'client.secret_added',
    'client.secret_removed',
    'client.removed',
    'revocation.added',
    'key.rotated',
    'key.reset',
  ]);
  expect(events.find(({ type }) => type === 'revocation.added')).toMatchObject({
    user_id: user.id,
    note: 'left us',
    ip: null,
    request_id: null,
  });
});

it('events are found by user and by type, page by page, and by one of actor and user', async () => {
  const { events } = await find('--user-id', user.id);
  expect(events.map(({ type }) => type)).toEqual(['revocation.added', 'user.added']);
  const page = await find('--user-id', user.id, '--limit', '1');
  expect(page.events).toEqual(events.slice(0, 1));
  expect((await find('--user-id', user.id, '--limit', '1', '--after', page.next ?? '')).events).toEqual(
    events.slice(1),
  );
  expect((await find('--type', 'key.reset')).events).toHaveLength(1);
  const both = await inHouse(house, ['events', 'find', '--user-id', user.id, '--actor', 'gatehouse']);
  expect(both.status).toBe(2);
  const text = await inHouse(house, ['events', 'find', '--user-id', user.id, '--limit', '1']);
  expect(text.stdout).toContain('left us');
  expect(text.stdout).toContain(`more: --after ${page.next ?? ''}`);
});

it('none is written with EVENTS=off', async () => {
  const before = (await find()).events.length;
  await jsonInHouse(house, ['users', 'add', 'grace'], { environment: { EVENTS: 'off' } });
  expect((await find()).events).toHaveLength(before);
});

it('new ones are printed as they come, a line each', async () => {
  let isWritten = false;
  const following = inHouse(house, ['events', 'follow', '--json'], {
    isOver: (stdout) => {
      // Its first look is over when it asks for the second time whether it is.
      if (stdout === '' && !isWritten) {
        isWritten = true;
        setTimeout(() => void write(), 200);
      }
      return stdout.includes('user.disabled');
    },
  });
  async function write(): Promise<void> {
    for (const verb of ['enable', 'disable']) await inHouse(house, ['users', verb, user.username]);
    await inHouse(house, ['users', 'disable', user.username]);
  }
  const { status, stdout } = await following;
  expect(status).toBe(0);
  const lines = stdout.trimEnd().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as { type: string }).type)).toEqual(['user.disabled']);
});
