// Every cell of the contract's table of /refresh, to the second, by two replicas on one frozen clock.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { rotateKeys } from '../../src/domain/keys/lifecycle.js';
import { claimsOf, login, refresh, SECRET, type Replica, type TokenPair } from '../support/house.js';
import { openTwins, stateOf, START, type Twins } from '../support/twins.js';

const WINDOW_SECONDS = 30;
const REFRESH_TTL_SECONDS = 14 * 86_400;
const SESSION_TTL_SECONDS = 90 * 86_400;

let twins: Twins;

beforeAll(async () => {
  twins = await openTwins();
});
afterAll(() => twins.house.close());

/** A session with refresh tokens of generations 0 to `generations`; the last rotation was at the clock's present time. */
async function openSession(generations: number, on: Replica = twins.one): Promise<TokenPair[]> {
  await twins.house.database.clock.freeze(START);
  const pairs = [await login(on, await twins.house.user())];
  for (let generation = 0; generation < generations; generation += 1) {
    await twins.house.database.clock.advance(1);
    pairs.push((await refresh(on, pairs[generation]?.refresh_token ?? '')).json<TokenPair>());
  }
  return pairs;
}

/** What /refresh answers: a status, and a code when it is no. */
async function answerOf(replica: Replica, token: string | undefined): Promise<string> {
  const response = await refresh(replica, token ?? '');
  return [response.statusCode, response.json<{ error?: string }>().error ?? ''].join(' ').trim();
}

async function rowOf(sid: string | undefined): Promise<Record<string, unknown>> {
  const { rows } = await twins.house.database.admin.query<Record<string, unknown>>(
    'SELECT * FROM sessions WHERE id = $1',
    [sid],
  );
  return rows[0] ?? {};
}

async function revocationsOf(sid: string | undefined): Promise<unknown[]> {
  const { rows } = await twins.house.database.admin.query<Record<string, unknown>>(
    'SELECT kind, reason, actor FROM revocations WHERE id = $1',
    [sid],
  );
  return rows;
}

const THEFT = [{ kind: 'session', reason: 'refresh_reused', actor: 'gatehouse' }];

describe('the current refresh token', () => {
  it.each([
    ['right after the rotation', 0],
    ['at the window’s last second', WINDOW_SECONDS],
    ['after the window', WINDOW_SECONDS + 1],
    ['a second before its exp', REFRESH_TTL_SECONDS - 1],
  ])('is rotated %s', async (_when, seconds) => {
    const [, current] = await openSession(1);
    await twins.house.database.clock.advance(seconds);

    const next = (await refresh(twins.two, current?.refresh_token ?? '')).json<TokenPair>();

    const now = START + 1 + seconds;
    expect(claimsOf(next.refresh_token)).toMatchObject({
      jti: `${current?.session_id ?? ''}.2`,
      iat: now,
      exp: now + REFRESH_TTL_SECONDS,
      auth_time: START,
      session_exp: START + SESSION_TTL_SECONDS,
    });
    expect(claimsOf(next.access_token)).toMatchObject({ iat: now, exp: now + 600, auth_time: START });
    expect(next).toMatchObject({ expires_in: 600, refresh_expires_in: REFRESH_TTL_SECONDS });
    expect(await stateOf(twins, next.access_token)).toBe('alive');
  });

  it('is invalid at its exp, which is not theft and changes nothing', async () => {
    const [, current] = await openSession(1);
    const before = await rowOf(current?.session_id);
    await twins.house.database.clock.advance(REFRESH_TTL_SECONDS);

    expect(await answerOf(twins.one, current?.refresh_token)).toBe('401 invalid_token');
    expect(await answerOf(twins.two, current?.refresh_token)).toBe('401 invalid_token');

    expect(await rowOf(current?.session_id)).toEqual(before);
    expect(await revocationsOf(current?.session_id)).toEqual([]);
  });

  it('gives tokens that end with the session, up to the last second before session_exp and not at it', async () => {
    let [current] = await openSession(0);
    const { clock } = twins.house.database;
    for (let days = 13; days < 90; days += 13) {
      await clock.freeze(START + days * 86_400);
      current = (await refresh(twins.one, current?.refresh_token ?? '')).json<TokenPair>();
    }
    await clock.freeze(START + SESSION_TTL_SECONDS - 1);
    const last = (await refresh(twins.two, current?.refresh_token ?? '')).json<TokenPair>();
    expect(last).toMatchObject({ expires_in: 1, refresh_expires_in: 1 });
    expect(claimsOf(last.refresh_token).exp).toBe(START + SESSION_TTL_SECONDS);
    expect(claimsOf(last.access_token).exp).toBe(START + SESSION_TTL_SECONDS);

    await clock.freeze(START + SESSION_TTL_SECONDS);
    for (const token of [last.refresh_token, current?.refresh_token]) {
      expect(await answerOf(twins.one, token)).toBe('401 invalid_token');
    }
    expect(await revocationsOf(last.session_id)).toEqual([]);
  });
});

describe('the refresh token before the current one', () => {
  it.each([
    ['at once', 0],
    ['at the window’s last second', WINDOW_SECONDS],
  ])('earns the same successor %s, byte for byte, and an access token of its own', async (_when, seconds) => {
    const [parent, current] = await openSession(1);
    await twins.house.database.clock.advance(seconds);
    const before = await rowOf(current?.session_id);

    for (const replica of [twins.one, twins.two]) {
      const again = (await refresh(replica, parent?.refresh_token ?? '')).json<TokenPair>();
      expect(again.refresh_token).toBe(current?.refresh_token);
      expect(again.refresh_expires_in).toBe(REFRESH_TTL_SECONDS - seconds);
      expect(again.access_token).not.toBe(current?.access_token);
      expect(await stateOf(twins, again.access_token)).toBe('alive');
    }
    expect(await rowOf(current?.session_id)).toEqual(before);
    expect(await stateOf(twins, current?.access_token ?? '')).toBe('alive');
  });

  it('earns it within the window even past its own exp', async () => {
    const [parent] = await openSession(0);
    await twins.house.database.clock.advance(REFRESH_TTL_SECONDS - 1);
    const current = (await refresh(twins.one, parent?.refresh_token ?? '')).json<TokenPair>();
    await twins.house.database.clock.advance(WINDOW_SECONDS);
    const again = await refresh(twins.two, parent?.refresh_token ?? '');
    expect(again.json<TokenPair>().refresh_token).toBe(current.refresh_token);
  });

  it('is theft after the window: the session ends in both replicas, the user’s other session lives on', async () => {
    const user = await twins.house.user();
    await twins.house.database.clock.freeze(START);
    const other = await login(twins.two, user);
    const parent = await login(twins.one, user);
    const current = (await refresh(twins.one, parent.refresh_token)).json<TokenPair>();
    await twins.house.database.clock.advance(WINDOW_SECONDS + 0.001);

    expect(await answerOf(twins.two, parent.refresh_token)).toBe('401 refresh_reused');

    expect(await stateOf(twins, current.access_token)).toBe('dead');
    expect(await stateOf(twins, parent.access_token)).toBe('dead');
    expect(await answerOf(twins.one, current.refresh_token)).toBe('401 invalid_token');
    expect(await answerOf(twins.one, parent.refresh_token)).toBe('401 invalid_token');
    expect(await revocationsOf(parent.session_id)).toEqual(THEFT);
    expect(await stateOf(twins, other.access_token)).toBe('alive');
    expect(await answerOf(twins.one, other.refresh_token)).toBe('200');
  });
});

it.each([
  ['the one before', 1],
  ['an older one', 2],
])('takes %s for theft after the window even when it has expired itself', async (_which, rotations) => {
  const [spent] = await openSession(0);
  let current = spent;
  for (let rotation = 1; rotation <= rotations; rotation += 1) {
    await twins.house.database.clock.advance(6 * 86_400);
    current = (await refresh(twins.one, current?.refresh_token ?? '')).json<TokenPair>();
  }
  await twins.house.database.clock.freeze(START + REFRESH_TTL_SECONDS + 1);
  expect(await answerOf(twins.two, spent?.refresh_token)).toBe('401 refresh_reused');
  expect(await answerOf(twins.one, current?.refresh_token)).toBe('401 invalid_token');
});

describe('an older refresh token', () => {
  it.each([0, WINDOW_SECONDS])(
    'is superseded %i s after the last rotation, which costs nothing',
    async (seconds) => {
      const [oldest, , current] = await openSession(2);
      await twins.house.database.clock.advance(seconds);
      const before = await rowOf(current?.session_id);

      expect(await answerOf(twins.one, oldest?.refresh_token)).toBe('401 refresh_superseded');
      expect(await answerOf(twins.two, oldest?.refresh_token)).toBe('401 refresh_superseded');

      expect(await rowOf(current?.session_id)).toEqual(before);
      expect(await stateOf(twins, current?.access_token ?? '')).toBe('alive');
      expect(await answerOf(twins.two, current?.refresh_token)).toBe('200');
    },
  );

  it('is theft after the window', async () => {
    const [oldest, , current] = await openSession(2);
    await twins.house.database.clock.advance(WINDOW_SECONDS + 0.001);
    expect(await answerOf(twins.two, oldest?.refresh_token)).toBe('401 refresh_reused');
    expect(await stateOf(twins, current?.access_token ?? '')).toBe('dead');
    expect(await answerOf(twins.one, current?.refresh_token)).toBe('401 invalid_token');
    expect(await revocationsOf(current?.session_id)).toEqual(THEFT);
  });
});

describe('a refresh token ahead of its row', () => {
  it.each([
    ['within the window', 0],
    ['later', WINDOW_SECONDS + 1],
  ])('is invalid %s and changes nothing, as after a restored backup', async (_when, seconds) => {
    const [, , current] = await openSession(2);
    await twins.house.database.admin.query('UPDATE sessions SET generation = 1 WHERE id = $1', [
      current?.session_id,
    ]);
    await twins.house.database.clock.advance(seconds);
    const before = await rowOf(current?.session_id);

    expect(await answerOf(twins.one, current?.refresh_token)).toBe('401 invalid_token');
    expect(await answerOf(twins.two, current?.refresh_token)).toBe('401 invalid_token');

    expect(await rowOf(current?.session_id)).toEqual(before);
    expect(await revocationsOf(current?.session_id)).toEqual([]);
    expect(await stateOf(twins, current?.access_token ?? '')).toBe('alive');
  });
});

it('takes every reuse for theft when the window is switched off, even in the same millisecond', async () => {
  const strict = await twins.house.replica({ config: { replayWindowSeconds: 0 } });
  const [parent, current] = await openSession(1, strict);
  expect(await answerOf(strict, parent?.refresh_token)).toBe('401 refresh_reused');
  expect(await stateOf(twins, current?.access_token ?? '')).toBe('dead');
});

it('judges the lifetime of a refresh token by its claims, not by today’s configuration', async () => {
  const shorter = await twins.house.replica({ config: { refreshTtlSeconds: 3600 } });
  const [current] = await openSession(0);
  await twins.house.database.clock.advance(3601);
  const next = (await refresh(shorter, current?.refresh_token ?? '')).json<TokenPair>();
  expect(next.refresh_expires_in).toBe(3600);
});

describe('with a key that was rotated in between', () => {
  it('replays the same bytes, signed by the key of the time', async () => {
    const [parent, current] = await openSession(1);
    await rotateKeys(twins.one.database, 'EdDSA', SECRET);
    await twins.house.database.clock.advance(WINDOW_SECONDS);
    // The next key would have to be published for ten minutes; its time has come all the same.
    await twins.house.database.admin.query(
      'UPDATE signing_keys SET signs_at = clock_timestamp() WHERE signs_at > clock_timestamp()',
    );
    await twins.house.database.admin.query('UPDATE service SET keys_version = gen_random_uuid()');

    for (const replica of [twins.one, twins.two]) {
      const again = (await refresh(replica, parent?.refresh_token ?? '')).json<TokenPair>();
      expect(again.refresh_token).toBe(current?.refresh_token);
      expect(kidOf(again.access_token)).not.toBe(kidOf(current?.access_token ?? ''));
      expect(await stateOf(twins, again.access_token)).toBe('alive');
    }
  });

  it.each(['ES256', 'RS256'] as const)('replays equal claims with %s', async (jwtAlgorithm) => {
    const other = await openTwins({ jwtAlgorithm });
    try {
      const parent = await login(other.one, await other.house.user());
      const answers = [
        await refresh(other.one, parent.refresh_token),
        await refresh(other.two, parent.refresh_token),
      ];
      const [first = '', second = ''] = answers.map((answer) => answer.json<TokenPair>().refresh_token);
      expect(claimsOf(second)).toEqual(claimsOf(first));
      // Signatures of ES256 are random, those of RS256 are not.
      expect(second === first).toBe(jwtAlgorithm === 'RS256');
      expect(await answerOf(other.one, second)).toBe('200');
    } finally {
      await other.house.close();
    }
  });
});

it.each([
  ['an access token', (pair: TokenPair) => pair.access_token],
  ['garbage', () => 'not-a-token'],
  ['a token with a bent signature', (pair: TokenPair) => `${pair.refresh_token.slice(0, -8)}AAAAAAAA`],
])('refuses %s without spending anything', async (_what, tokenOf) => {
  const [current] = await openSession(0);
  if (current === undefined) throw new Error('no session');
  const before = await rowOf(current.session_id);
  expect(await answerOf(twins.one, tokenOf(current))).toBe('401 invalid_token');
  expect(await rowOf(current.session_id)).toEqual(before);
});

function kidOf(token: string): string {
  return (JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }).kid;
}
