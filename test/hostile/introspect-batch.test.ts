// Hostile batches at POST /introspect/batch: refused as a whole, or each text of them judged by itself.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { problemOf } from '../support/answers.js';
import { basic, login, openHouse, type House, type Replica, type TestClient } from '../support/house.js';
import { respelled } from './tokens/corpus-encodings.js';

const MIB = 1024 * 1024;
const MOST = 256;

let house: House;
let replica: Replica;
let client: TestClient;
let access: string;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  client = await house.client(['introspect']);
  ({ access_token: access } = await login(replica, await house.user()));
});
afterAll(() => house.close());

function post(payload: string | Buffer) {
  return replica.app.inject({
    method: 'POST',
    url: '/introspect/batch',
    headers: { 'content-type': 'application/json', ...basic(client) },
    payload,
  });
}

async function verdictsOf(tokens: string[]): Promise<boolean[]> {
  const answer = await post(JSON.stringify({ tokens }));
  expect(answer.statusCode).toBe(200);
  return answer.json<{ results: { active: boolean }[] }>().results.map(({ active }) => active);
}

const tokens = () => `"tokens":["${access}"]`;
const deep = (open: string, close: string) => {
  const levels = Math.floor((MIB - 20) / (open.length + close.length));
  return `${open.repeat(levels)}1${close.repeat(levels)}`;
};

describe('a body', () => {
  it.each<[what: string, body: () => string | Buffer]>([
    ['of nothing', () => ''],
    ['without tokens', () => '{}'],
    ['of no token', () => '{"tokens":[]}'],
    ['of one token too many', () => JSON.stringify({ tokens: Array(MOST + 1).fill(access) })],
    ['of 350,000 tokens', () => `{"tokens":[""${',""'.repeat(349_000)}]}`],
    ['of one text in the place of a list', () => JSON.stringify({ tokens: access })],
    ['of an object like a list', () => `{"tokens":{"0":"${access}","length":1}}`],
    ['of a list alone', () => `["${access}"]`],
    ['with null among tokens', () => `{"tokens":["${access}",null]}`],
    ['with a number among tokens', () => `{"tokens":["${access}",1]}`],
    ['with a list among tokens', () => `{"tokens":["${access}",["${access}"]]}`],
    ['with an unknown member', () => `{${tokens()},"token":"${access}"}`],
    ['with credentials', () => JSON.stringify({ tokens: [access], client_id: 'a', client_secret: 'b' })],
    ['with its member twice', () => `{${tokens()},${tokens()}}`],
    ['with its member twice, once escaped', () => `{${tokens()},"\\u0074okens":["${access}"]}`],
    ['with its member twice, behind quotes', () => `{"tokens":["\\"\\\\\\"","\\\\"],${tokens()}}`],
    ['with a prototype', () => `{${tokens()},"__proto__":{"tokens":[]}}`],
    ['that is a prototype', () => `{"__proto__":{${tokens()}}}`],
    ['with an escaped prototype', () => `{${tokens()},"\\u005f_proto__":{}}`],
    ['with a constructor', () => `{${tokens()},"constructor":{"prototype":{}}}`],
    ['of lists in lists', () => deep('[', ']')],
    ['of lists in lists for a token', () => `{"tokens":${deep('[', ']')}}`],
    ['of objects in objects', () => deep('{"a":', '}')],
    ['of lists that are left open', () => '['.repeat(MIB)],
    ['of quotes', () => '"'.repeat(MIB)],
    ['of backslashes in a string that is left open', () => `{"tokens":["${'\\'.repeat(MIB - 12)}`],
    ['of zeros', () => Buffer.alloc(MIB)],
    ['that is no UTF-8', () => Buffer.from(`{"tokens":["\u00ff"]}`, 'latin1')],
  ])('%s is refused as a whole', async (_what, body) => {
    expect(problemOf(await post(body()))).toMatchObject({ status: 400, error: 'invalid_request' });
  });

  it('is read up to 1 MiB, and refused beyond it', async () => {
    const body = JSON.stringify({ tokens: [access] });
    expect((await post(body.padEnd(MIB))).json()).toMatchObject({ results: [{ active: true }] });
    expect(problemOf(await post(body.padEnd(MIB + 1)))).toEqual({ status: 413, error: 'too_large' });
  });
});

describe('of a batch', () => {
  it('each text is judged by itself: what is no token spoils none', async () => {
    const texts = [
      ...['', ' ', '.', '..', 'null', '"', '\\', '\u0000', '\ud800', '__proto__', 'constructor', 'toString'],
      ...[access.toUpperCase(), ` ${access}`, `${access}.`, access.slice(0, -1), `${access}${access}`],
      ...['A'.repeat(300_000), '.'.repeat(100_000), `${access}${'A'.repeat(100_000)}`],
    ];
    const between = texts.flatMap((text) => [text, access]);
    expect(await verdictsOf(between)).toEqual(texts.flatMap(() => [false, true]));
  });

  it('the same token has the same verdict, however often it is there', async () => {
    expect(await verdictsOf(Array<string>(MOST).fill(access))).toEqual(Array(MOST).fill(true));
  });

  it('one spelling of a token alone is believed, beside all others', async () => {
    const others = respelled({ genuine: access }).map(([, token]) => token);
    expect(others.length).toBeGreaterThan(30);
    for (let at = 0; at < others.length; at += MOST - 2) {
      const some = others.slice(at, at + MOST - 2);
      expect(await verdictsOf([access, ...some, access])).toEqual([true, ...some.map(() => false), true]);
    }
  });
});
