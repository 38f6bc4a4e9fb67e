// Which refusals are counted for events: those of every limit and door, with constant words, a network, and a client that was let in.
import { readdirSync, readFileSync } from 'node:fs';
import type { ErrorCode } from '@gatehouse/protocol';
import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';

import { buildApp } from '../../src/app.js';
import {
  COUNTED_LIMITS,
  COUNTED_REFUSALS,
  createRefusals,
  DOORS,
  type Door,
  type Refusal,
} from '../../src/domain/events/refusals.js';
import { accountOf, identifyGuess } from '../../src/domain/guessing/guesses.js';
import { LOGIN_LIMITS } from '../../src/domain/guessing/throttle.js';
import { createPasswordHasher } from '../../src/domain/passwords/hasher.js';
import { MEANINGS } from '../../src/http/answers/errors.js';
import { ACCESS_COOKIE, REFRESH_COOKIE } from '../../src/http/doors/cookies.js';
import { RATES } from '../../src/http/doors/rates.js';
import { MARKER } from '../support/answers.js';
import {
  AMPLE_MS,
  basic,
  bearer,
  DEFAULTS,
  login,
  openHouse,
  type House,
  type Replica,
  type TestClient,
  type TestUser,
} from '../support/house.js';

const NOBODY = '00000000-0000-7000-8000-000000000000';
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const CROSS_SITE = { 'sec-fetch-site': 'cross-site' };

/** Whatever is asked a second time is refused. */
const STRICT = Object.fromEntries(
  Object.entries(RATES).map(([name, rate]) => [name, { ...rate, max: 1 }]),
) as unknown as typeof RATES;

let house: House;
let replica: Replica;
let client: TestClient;
let stranger: TestClient;
let user: TestUser;
let token: string;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  client = await house.client(['introspect', 'revoke', 'users:read', 'clients:write']);
  stranger = await house.client([]);
  user = await house.user();
  ({ access_token: token } = await login(replica, user));
});
afterAll(() => house.close());

type Send = (options: InjectOptions) => Promise<LightMyRequestResponse>;

/** A server of its own, which counts anew, and what it has counted. */
async function open({ isStrict = false, isFull = false } = {}): Promise<{ send: Send; counted: Refusal[] }> {
  const counted: Refusal[] = [];
  const full = createPasswordHasher({ maxConcurrent: 0 });
  onTestFinished(() => full.close());
  const app = await buildApp({
    gatehouse: isFull
      ? { ...replica.gatehouse, assertFree: () => full.assertFree('192.0.2.1') }
      : replica.gatehouse,
    config: { ...DEFAULTS, trustProxy: ['127.0.0.1'] },
    logger: pino({ level: 'silent' }),
    refusals: { count: (refusal) => counted.push(refusal) },
    answerDeadlineMs: AMPLE_MS,
    ...(isStrict && { limits: STRICT }),
  });
  onTestFinished(() => app.close());
  return { send: (options) => app.inject(options), counted };
}

const introspect = (by: TestClient): InjectOptions => ({
  method: 'POST',
  url: '/introspect',
  headers: { ...FORM, ...basic(by) },
  payload: 'token=any',
});
const introspectMany = (by: TestClient, ...tokens: string[]): InjectOptions => ({
  method: 'POST',
  url: '/introspect/batch',
  headers: basic(by),
  payload: { tokens },
});
const listUsers = (by: TestClient): InjectOptions => ({ url: '/admin/users', headers: basic(by) });
const wrong = (): TestClient => ({ id: client.id, secret: MARKER });
const logIn = (username: string, password: string): InjectOptions => ({
  method: 'POST',
  url: '/login',
  payload: { username, password },
});
const reauthenticate = (): InjectOptions => ({
  method: 'POST',
  url: '/reauthenticate',
  headers: bearer(token),
  payload: { password: MARKER },
});
const byCookie = (name: string, method: 'POST' | 'DELETE', url: string): InjectOptions => ({
  method,
  url,
  headers: { cookie: `${name}=${token}`, ...CROSS_SITE },
});

/** Until when no attempt is left. */
async function spend(limit: keyof typeof LOGIN_LIMITS, hash: string): Promise<void> {
  await house.database.admin.query(
    `INSERT INTO login_attempts (key, points, expire) VALUES ($1, $2, $3)
     ON CONFLICT (key) DO UPDATE SET points = excluded.points, expire = excluded.expire`,
    [`${limit}:${hash}`, LOGIN_LIMITS[limit].points, Date.now() + 600_000],
  );
  onTestFinished(async () => {
    await house.database.admin.query('DELETE FROM login_attempts WHERE key = $1', [`${limit}:${hash}`]);
  });
}

type Kind = (typeof COUNTED_LIMITS)[number] | (typeof COUNTED_REFUSALS)[number];

interface Row {
  kind: Kind;
  door: Door;
  how: string;
  /** What is sent; the last of it is refused. */
  asks: () => InjectOptions[];
  /** What comes first. */
  given?: () => Promise<void>;
  /** Whose id is told. */
  by?: () => TestClient;
}

const ROWS: Row[] = [
  {
    kind: 'rate_of_network',
    door: 'anyone',
    how: 'keys',
    asks: () => [{ url: '/.well-known/jwks.json' }, { url: '/.well-known/jwks.json' }],
  },
  {
    kind: 'rate_of_network',
    door: 'users',
    how: 'sessions',
    asks: () => Array<InjectOptions>(2).fill({ url: '/sessions', headers: bearer(token) }),
  },
  {
    kind: 'rate_of_client',
    door: 'clients',
    how: 'introspection',
    asks: () => [introspect(client), introspect(client)],
    by: () => client,
  },
  {
    kind: 'rate_of_client',
    door: 'clients',
    how: 'introspection of many',
    asks: () => [introspectMany(client, 'a'), introspectMany(client, 'a')],
    by: () => client,
  },
  {
    kind: 'rate_of_client',
    door: 'operators',
    how: 'users',
    asks: () => [listUsers(client), listUsers(client)],
    by: () => client,
  },
  {
    kind: 'rate_of_tokens',
    door: 'clients',
    how: 'introspection of many',
    asks: () => [introspectMany(client, 'a', 'b')],
    by: () => client,
  },
  {
    kind: 'rate_of_wrong_clients',
    door: 'clients',
    how: 'introspection',
    asks: () => [introspect(wrong()), introspect(wrong())],
  },
  {
    kind: 'rate_of_wrong_clients',
    door: 'operators',
    how: 'users',
    asks: () => [listUsers(wrong()), listUsers(wrong())],
  },
  {
    kind: 'too_many_guesses_by_network_at_user',
    door: 'anyone',
    how: 'a login',
    asks: () => [logIn(MARKER, MARKER)],
    given: () => spend('pairHour', identifyGuess(MARKER, '127.0.0.1').pair),
  },
  {
    kind: 'too_many_guesses_by_network_at_user',
    door: 'users',
    how: 'the password once more',
    asks: () => [reauthenticate()],
    given: () => spend('pairHour', identifyGuess(user.username, '127.0.0.1').pair),
  },
  {
    kind: 'too_many_guesses_at_user',
    door: 'anyone',
    how: 'a login',
    asks: () => [logIn('guessed-at-by-many', MARKER)],
    given: () => spend('account', accountOf('guessed-at-by-many')),
  },
  {
    kind: 'too_many_guesses_by_network',
    door: 'anyone',
    how: 'a login',
    asks: () => [logIn('guessed-at-by-one', MARKER)],
    given: () => spend('network', identifyGuess('', '127.0.0.1').network),
  },
  {
    kind: 'too_many_guesses_by_network',
    door: 'anyone',
    how: 'a code',
    asks: () => [{ method: 'POST', url: '/password/reset', payload: { code: MARKER, new_password: MARKER } }],
    given: () => spend('network', identifyGuess('', '127.0.0.1').network),
  },
  { kind: 'hashing', door: 'anyone', how: 'a login', asks: () => [logIn(MARKER, MARKER)] },
  { kind: 'hashing', door: 'users', how: 'the password once more', asks: () => [reauthenticate()] },
  { kind: 'invalid_client', door: 'clients', how: 'introspection', asks: () => [introspect(wrong())] },
  {
    kind: 'invalid_client',
    door: 'clients',
    how: 'introspection of many',
    asks: () => [introspectMany(wrong(), 'a')],
  },
  {
    kind: 'invalid_client',
    door: 'clients',
    how: 'a revocation without credentials',
    asks: () => [{ method: 'POST', url: '/revoke', headers: FORM, payload: 'token=any' }],
  },
  { kind: 'invalid_client', door: 'operators', how: 'users', asks: () => [listUsers(wrong())] },
  {
    kind: 'invalid_client',
    door: 'operators',
    how: 'users, with a token',
    asks: () => [{ url: '/admin/users', headers: bearer(token) }],
  },
  {
    kind: 'insufficient_scope',
    door: 'clients',
    how: 'introspection',
    asks: () => [introspect(stranger)],
    by: () => stranger,
  },
  {
    kind: 'insufficient_scope',
    door: 'clients',
    how: 'introspection of many',
    asks: () => [introspectMany(stranger, 'a')],
    by: () => stranger,
  },
  {
    kind: 'insufficient_scope',
    door: 'operators',
    how: 'users',
    asks: () => [listUsers(stranger)],
    by: () => stranger,
  },
  {
    kind: 'insufficient_scope',
    door: 'operators',
    how: 'a permission that the giver lacks',
    asks: () => [
      {
        method: 'POST',
        url: '/admin/clients',
        headers: basic(client),
        payload: { id: 'richer', permissions: ['keys:write'] },
      },
    ],
    by: () => client,
  },
  {
    kind: 'csrf_rejected',
    door: 'anyone',
    how: 'a refresh',
    asks: () => [byCookie(REFRESH_COOKIE, 'POST', '/refresh')],
  },
  {
    kind: 'csrf_rejected',
    door: 'users',
    how: 'the end of a session',
    asks: () => [byCookie(ACCESS_COOKIE, 'DELETE', `/sessions/${NOBODY}`)],
  },
  {
    kind: 'csrf_rejected',
    door: 'operators',
    how: 'a rotation of keys',
    asks: () => [
      {
        method: 'POST',
        url: '/admin/keys/rotate',
        headers: { ...basic(client), ...CROSS_SITE },
        payload: {},
      },
    ],
  },
];

const isLimit = (kind: Kind): kind is (typeof COUNTED_LIMITS)[number] =>
  (COUNTED_LIMITS as readonly Kind[]).includes(kind);

describe('counted once', () => {
  it.each(ROWS)('is $kind, at the door of $door: $how', async ({ kind, door, asks, given, by }) => {
    const { send, counted } = await open({
      isStrict: kind.startsWith('rate_of'),
      isFull: kind === 'hashing',
    });
    await given?.();
    const all = asks();
    const last = all.pop();
    for (const each of all) await send(each);
    counted.length = 0;
    const { statusCode } = await send({ ...last, headers: { ...last?.headers, host: 'gatehouse.test' } });
    const outcome = isLimit(kind)
      ? kind === 'hashing'
        ? 'temporarily_unavailable'
        : 'too_many_requests'
      : kind;
    expect([statusCode, counted]).toEqual([
      MEANINGS[outcome].status,
      [
        {
          outcome,
          limit: isLimit(kind) ? kind : null,
          door,
          client: by === undefined ? null : (expect.objectContaining({ id: by().id }) as object),
          address: '127.0.0.1',
        },
      ],
    ]);
  });

  it('has a row above for each limit, each answer of a door, and each door', () => {
    const kinds: Kind[] = [...COUNTED_LIMITS, ...COUNTED_REFUSALS];
    expect([...new Set(ROWS.map(({ kind }) => kind))].sort()).toEqual(kinds.toSorted());
    expect([...new Set(ROWS.map(({ door }) => door))].sort()).toEqual([...DOORS].sort());
  });
});

describe('not counted', () => {
  /** What 401, 403 and 429 there is beside, with the reason. */
  const OTHERS: Partial<Record<ErrorCode, string>> = {
    invalid_credentials: 'of a login it is an event of its own',
    invalid_token: 'each token expires once',
    refresh_reused: 'the end of the session is an event',
    refresh_superseded: 'two tabs do that all day',
    insufficient_user_authentication: 'the user is asked for the password, and goes on',
  };

  it('is what is told of otherwise, or is no refusal of a stranger; every other code is', () => {
    const codes = Object.entries(MEANINGS)
      .filter(([, { status }]) => [401, 403, 429].includes(status))
      .map(([code]) => code);
    const counted = [...COUNTED_REFUSALS, 'too_many_requests'];
    expect(codes.toSorted()).toEqual([...counted, ...Object.keys(OTHERS)].sort());
  });

  it('is no limit: each names itself', () => {
    const root = new URL('../../src/', import.meta.url).pathname;
    const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.ts'),
    );
    const makers = files.filter((file) =>
      /AuthError\(\s*'too_many_requests'/.test(readFileSync(root + file, 'utf8')),
    );
    expect(makers).toEqual(['domain/errors.ts']);
  });

  it.each<[string, () => InjectOptions]>([
    ['a token that is none', () => ({ url: '/sessions', headers: bearer(MARKER) })],
    ['no token', () => ({ url: '/session' })],
    // Of a name that nobody above has guessed at.
    ['a wrong password', () => logIn('guessed-at-once', MARKER)],
    ['a path that is not there', () => ({ url: `/${MARKER}` })],
    ['a method that is not taken', () => ({ method: 'DELETE', url: '/login' })],
    ['a form without a token', () => ({ ...introspect(client), payload: '' })],
    ['a good answer', () => introspect(client)],
  ])('is %s', async (_what, ask) => {
    const { send, counted } = await open();
    await send(ask());
    expect(counted).toEqual([]);
  });
});

it('an event has no word that a caller chose, and is found by operators', async () => {
  const refusals = createRefusals(replica.database);
  const counting = await house.replica({ refusals, config: { trustProxy: ['127.0.0.1'] } });
  const reader = await house.client(['events:read']);
  const forwarded = { 'x-forwarded-for': `${MARKER}, 2001:db8:7::9` };
  const marked = { ...forwarded, 'user-agent': MARKER, 'x-request-id': MARKER };
  const credentials = [
    { id: MARKER, secret: MARKER },
    { id: `client:${client.id}`, secret: MARKER },
    { id: "'; DROP TABLE events; --", secret: MARKER },
    { id: '__proto__', secret: MARKER },
    { id: 'x'.repeat(5000), secret: MARKER },
    { id: `${client.id} 192.0.2.1`, secret: '\u0000' },
  ];
  for (const each of credentials)
    for (const ask of [introspect(each), listUsers(each), introspectMany(each, MARKER)])
      await counting.app.inject({ ...ask, headers: { ...ask.headers, ...marked } });
  await counting.app.inject(introspect(stranger));
  await refusals?.write();
  const { events } = (
    await counting.app.inject({ url: '/admin/events?type=request.refused', headers: basic(reader) })
  ).json<{ events: object[] }>();
  const common = { type: 'request.refused', user_id: null, session_id: null, client_id: null, note: null };
  const nothing = {
    ...common,
    user_agent: null,
    request_id: null,
    reason: null,
    id: expect.any(String) as string,
    at: expect.any(String) as string,
  };
  const refused = { ...nothing, actor: 'gatehouse', outcome: 'invalid_client', ip: '2001:db8:7::/64' };
  expect(events).toHaveLength(3);
  expect(events).toEqual(
    expect.arrayContaining([
      { ...refused, detail: { door: 'clients', times: 12 } },
      { ...refused, detail: { door: 'operators', times: 6 } },
      {
        ...nothing,
        outcome: 'insufficient_scope',
        actor: `client:${stranger.id}`,
        ip: '127.0.0.1',
        detail: { door: 'clients', times: 1 },
      },
    ]),
  );
  expect(JSON.stringify(events)).not.toContain(MARKER);
});
