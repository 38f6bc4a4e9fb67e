// Clients of others, byte for byte as they ask (test/http/fixtures): each gets the right answer, and a refusal where one is due.
import { readFileSync, readdirSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { CLIENT_CHALLENGE, MARKER } from '../support/answers.js';
import {
  basic,
  introspect,
  login,
  openHouse,
  type House,
  type Replica,
  type TestClient,
  type TokenPair,
} from '../support/house.js';
import { connectRaw, readAnswers, type RawAnswer } from '../support/raw-socket.js';

const DIRECTORY = join(import.meta.dirname, 'fixtures');
const FIXTURES = readdirSync(DIRECTORY).filter((file) => file.endsWith('.http'));
const ACTIVE = expect.objectContaining({ active: true, token_type: 'Bearer' }) as unknown;

let house: House;
let replica: Replica;
let client: TestClient;
let port: number;
let pair: TokenPair;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  client = await house.client();
  pair = await login(replica, await house.user());
  await replica.app.listen({ host: '127.0.0.1', port: 0 });
  ({ port } = replica.app.server.address() as AddressInfo);
});
afterAll(() => house.close());

/** The request of a fixture, its placeholders filled in; a text in the first lines that begins with `#` is a comment. */
function fill(file: string, token: string, { id, secret }: TestClient): string {
  const text = readFileSync(join(DIRECTORY, file), 'utf8').replace(/^(?:#.*\n)+/, '');
  const end = text.indexOf('\n\n');
  const body = text
    .slice(end + 2)
    .replace(/\n$/, '')
    .replace('{token}', token)
    .replace('{id}', id)
    .replace('{secret}', secret);
  const head = text
    .slice(0, end)
    .replace('{basic}', basic({ id, secret }).authorization.replace('Basic ', ''))
    .replace('{length}', String(body.length));
  expect(`${head}${body}`, 'every placeholder is filled in').not.toMatch(/\{\w+\}/);
  return `${head.replaceAll('\n', '\r\n')}\r\n\r\n${body}`;
}

/** Sends the bytes and waits for the one answer to them; the connection stays open, as its client wants it. */
async function send(bytes: string): Promise<RawAnswer> {
  const raw = connectRaw(port, bytes);
  await expect.poll(() => isWhole(raw.received()), { timeout: 20_000, interval: 5 }).toBe(true);
  raw.socket.destroy();
  const [answer, ...more] = readAnswers(raw.received());
  expect(more).toEqual([]);
  if (answer === undefined) throw new Error('there was no answer');
  return answer;
}

function isWhole(received: string): boolean {
  const end = received.indexOf('\r\n\r\n');
  const length = /\r\ncontent-length: (\d+)/i.exec(received)?.[1];
  return end >= 0 && received.length >= end + 4 + Number(length);
}

it('there are fixtures of each kind of client', () => {
  const kinds = ['authlib', 'django', 'dovecot', 'lua-resty-openidc', 'mod_auth_openidc', 'mod_oauth2'];
  for (const kind of kinds) expect(FIXTURES.filter((file) => file.startsWith(kind))).not.toEqual([]);
});

describe.each(FIXTURES.filter((file) => !file.includes('revoke')))('%s', (file) => {
  const ask = async (token: string, who = client) => {
    const { status, body, headers } = await send(fill(file, token, who));
    return { status, body: JSON.parse(body) as unknown, challenge: headers['www-authenticate'] };
  };

  it('is told of a live token, and of no other', async () => {
    expect(await ask(pair.access_token)).toMatchObject({ status: 200, body: ACTIVE });
    for (const token of [pair.refresh_token, MARKER, `${pair.access_token}A`])
      expect(await ask(token)).toMatchObject({ status: 200, body: { active: false } });
  });

  it('is told of an end at once', async () => {
    const ended = await login(replica, await house.user());
    expect(await ask(ended.access_token)).toMatchObject({ body: ACTIVE });
    await replica.app.inject({
      method: 'POST',
      url: '/logout',
      payload: { refresh_token: ended.refresh_token },
    });
    expect(await ask(ended.access_token)).toMatchObject({ status: 200, body: { active: false } });
  });

  it.each([
    ['a wrong secret', () => ({ ...client, secret: MARKER })],
    ['an unknown id', () => ({ ...client, id: MARKER })],
  ])('is refused with %s, wherever the credentials are', async (_what, who) => {
    expect(await ask(pair.access_token, who())).toMatchObject({
      status: 401,
      body: { error: 'invalid_client' },
      challenge: CLIENT_CHALLENGE,
    });
  });
});

describe.each(FIXTURES.filter((file) => file.includes('revoke')))('%s', (file) => {
  it('ends a token', async () => {
    const { access_token: token } = await login(replica, await house.user());
    expect(await send(fill(file, token, client))).toMatchObject({ status: 200, body: '' });
    expect((await introspect(replica, client, token)).body).toBe('{"active":false}');
  });
});
