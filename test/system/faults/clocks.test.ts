// Replicas whose system clocks are ten minutes fast and slow: the primary's clock decides, so they answer alike.
import { afterAll, beforeAll, expect, it } from 'vitest';

import {
  claimsOf,
  openHouse,
  type House,
  type TestClient,
  type TestUser,
  type TokenPair,
} from '../../support/house.js';
import { retryOn503 } from '../../support/retry.js';
import { ask, createWorkshop, environmentFor, type Answer, type Service } from '../../support/service.js';
import { START } from '../../support/twins.js';

const TEN_MINUTES_MS = 600_000;

const workshop = createWorkshop();
let house: House;
let fast: Service;
let slow: Service;
let user: TestUser;
let client: TestClient;

beforeAll(async () => {
  house = await openHouse();
  await house.database.clock.freeze(START);
  const environment = environmentFor(house.database.url);
  [fast, slow] = await Promise.all([
    workshop.start(environment, { clockShiftMs: TEN_MINUTES_MS }),
    workshop.start(environment, { clockShiftMs: -TEN_MINUTES_MS }),
  ]);
  user = await house.user();
  client = await house.client();
});
afterAll(async () => {
  await workshop.clear();
  await house.close();
});

async function logIn(service: Service): Promise<TokenPair> {
  const { username, password } = user;
  const answer = await retryOn503(() => ask(service, 'POST', '/login', { body: { username, password } }));
  return answer.json<TokenPair>();
}

function introspect(service: Service, token: string): Promise<Answer> {
  const body = new URLSearchParams({ token, client_id: client.id, client_secret: client.secret });
  return retryOn503(() => ask(service, 'POST', '/introspect', { body }));
}

function getSession(service: Service, token: string): Promise<Answer> {
  return retryOn503(() => ask(service, 'GET', '/session', { headers: { authorization: `Bearer ${token}` } }));
}

function refresh(service: Service, token: string): Promise<Answer> {
  return retryOn503(() => ask(service, 'POST', '/refresh', { body: { refresh_token: token } }));
}

/** What an answer says, the request’s own id left out. */
function contentOf({ status, headers, body }: Answer): unknown {
  const content = JSON.parse(body) as Record<string, unknown>;
  return { status, successor: headers.get('refreshed-api-token'), ...content, instance: undefined };
}

it('really have different clocks', () => {
  const [ahead = 0, behind = 0] = [fast, slow].map(({ output }) => {
    const [line = ''] = output.stdout.split('\n');
    return Date.parse((JSON.parse(line) as { time: string }).time);
  });
  expect(Math.round((ahead - behind) / TEN_MINUTES_MS)).toBe(2);
});

it('issue tokens of the same times', async () => {
  await house.database.clock.freeze(START);
  for (const service of [fast, slow]) {
    const pair = await logIn(service);
    expect(pair).toMatchObject({ expires_in: 600, refresh_expires_in: 14 * 86_400 });
    expect(claimsOf(pair.access_token)).toMatchObject({
      iat: START,
      auth_time: START,
      exp: START + 600,
      session_exp: START + 90 * 86_400,
    });
    expect(claimsOf(pair.refresh_token)).toMatchObject({ iat: START, exp: START + 14 * 86_400 });
  }
});

it.each([0, 1, 479, 480, 481, 599, 600, 601, 659, 660, 661, 1200])(
  'say the same of an access token after %i s, successor included',
  async (seconds) => {
    await house.database.clock.freeze(START);
    for (const issuer of [fast, slow]) {
      await house.database.clock.freeze(START);
      const { access_token: access } = await logIn(issuer);
      await house.database.clock.freeze(START + seconds);
      const said = contentOf(await introspect(fast, access));
      expect(contentOf(await introspect(slow, access))).toEqual(said);
      const session = await getSession(fast, access);
      expect(contentOf(await getSession(slow, access))).toEqual(contentOf(session));
      expect(session.status).toBe(seconds < 600 ? 200 : 401);
      const isReissued = seconds >= 480 && seconds < 660;
      expect(said).toMatchObject({ active: seconds < 600 });
      expect(typeof (said as { successor: unknown }).successor).toBe(isReissued ? 'string' : 'object');
    }
  },
);

it.each([
  [30, '200'],
  [31, 'refresh_reused'],
])('judge the replay of a refresh token %i s after its rotation alike', async (seconds, expected) => {
  for (const [first, second] of [
    [fast, slow],
    [slow, fast],
  ] as const) {
    await house.database.clock.freeze(START);
    const parent = (await logIn(first)).refresh_token;
    const successor = (await refresh(first, parent)).json<TokenPair>().refresh_token;
    await house.database.clock.freeze(START + seconds);
    const replay = await refresh(second, parent);
    expect(replay.json<{ error?: string }>().error ?? String(replay.status)).toBe(expected);
    if (expected === '200') expect(replay.json<TokenPair>().refresh_token).toBe(successor);
  }
});

it.each([
  [14 * 86_400 - 1, 200],
  [14 * 86_400, 401],
])('take a refresh token after %i s alike', async (seconds, status) => {
  for (const [first, second] of [
    [fast, slow],
    [slow, fast],
  ] as const) {
    await house.database.clock.freeze(START);
    const { refresh_token: token } = await logIn(first);
    await house.database.clock.freeze(START + seconds);
    expect((await refresh(second, token)).status).toBe(status);
  }
});
