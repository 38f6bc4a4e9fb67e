// Each guard of a standing session alone: others may stand for it in a whole life, so each is broken here without the others.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { Judgement } from '../../src/domain/liveness/liveness.js';
import { openSession } from '../../src/domain/sessions/sessions.js';
import { askedOf } from '../../src/domain/tokens/asked.js';
import type { AccessClaims } from '../../src/domain/tokens/claims.js';
import { claimsOf, login, type TestUser, type TokenPair } from '../support/house.js';
import { openTwins, START, type Twins } from '../support/twins.js';

let twins: Twins;
let user: TestUser;
let pair: TokenPair;
let claims: AccessClaims;
/** Of the access token, while it was live. */
let judged: Judgement;

const NEXT = 'correct horse battery staple';
const DEVICE = { ip: '192.0.2.1', userAgent: null };

beforeAll(async () => {
  twins = await openTwins();
});
beforeEach(async () => {
  await twins.house.database.clock.freeze(START);
  user = await twins.house.user();
  pair = await login(twins.one, user);
  claims = claimsOf(pair.access_token);
  judged = await twins.one.gatehouse.judge(pair.access_token);
});
afterAll(() => twins.house.close());

function execute(sql: string, ...values: unknown[]): Promise<unknown> {
  return twins.house.database.admin.query(sql, values);
}

/** A row as `/logout` or `/revoke` leaves it, but alone. */
function revoke(kind: 'session' | 'token', id: string): Promise<unknown> {
  return execute(
    `INSERT INTO revocations (id, kind, user_id, reason, actor, revoked_at, kept_until)
     VALUES ($1, $2, $3, 'revoked', 'client:test', clock_timestamp(), clock_timestamp() + interval '1 day')`,
    id,
    kind,
    user.id,
  );
}

/** What a verb says of the session: `yes`, or how it refuses. */
type Verb = () => Promise<string>;

function wordOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'yes',
    (error: unknown) => (error as { code: string }).code,
  );
}

/** Verbs of the domain, since the door in front of them would refuse a dead token before they are reached. */
const VERBS: Record<'judge' | 'successor' | 'refresh' | 'list' | 'logoutAll' | 'changePassword', Verb> = {
  judge: async () => {
    const { live } = await twins.two.gatehouse.judge(pair.access_token);
    return live === null ? 'dead' : 'yes';
  },
  successor: async () => {
    await twins.house.database.clock.freeze(START + 500);
    const { gatehouse } = twins.two;
    const successor = gatehouse.findSuccessor(await gatehouse.judge(pair.access_token));
    await twins.house.database.clock.freeze(START);
    return successor === null ? 'dead' : 'yes';
  },
  list: async () => {
    const ids = (await twins.two.gatehouse.listSessions(askedOf(claims))).map(({ id }) => id);
    return ids.includes(claims.sid) ? 'yes' : 'dead';
  },
  refresh: () => wordOf(twins.two.gatehouse.refresh(pair.refresh_token)),
  logoutAll: () => wordOf(twins.two.gatehouse.logoutAll(askedOf(claims), { exceptCurrent: true })),
  // The last, since it ends the session. Insists, since judging the new password may take too long on a busy machine.
  changePassword: async () => {
    const passwords = { current: user.password, next: NEXT };
    for (;;) {
      const change = twins.two.gatehouse.changePassword(judged, passwords, DEVICE, () => true);
      const word = await wordOf(change);
      if (word !== 'temporarily_unavailable') return word;
    }
  },
};

async function askAll(): Promise<Record<string, string>> {
  const words: Record<string, string> = {};
  for (const [name, verb] of Object.entries(VERBS)) words[name] = await verb();
  return words;
}

const STANDS = {
  judge: 'yes',
  successor: 'yes',
  list: 'yes',
  refresh: 'yes',
  changePassword: 'yes',
  logoutAll: 'yes',
};

const FALLS = {
  judge: 'dead',
  successor: 'dead',
  list: 'dead',
  refresh: 'invalid_token',
  changePassword: 'invalid_token',
  logoutAll: 'invalid_token',
};

it('a session that nothing has touched stands for every verb', async () => {
  expect(await askAll()).toEqual(STANDS);
});

describe('a session falls for every verb', () => {
  it.each<[string, () => Promise<unknown>]>([
    [
      'by its row alone, which has ended without a revocation',
      () => execute('UPDATE sessions SET ended_at = clock_timestamp() WHERE id = $1', claims.sid),
    ],
    ['by a revocation alone, while its row has not ended', () => revoke('session', claims.sid)],
    [
      'by its user alone, who is disabled under the same epoch',
      () => execute('UPDATE users SET disabled_at = clock_timestamp() WHERE id = $1', user.id),
    ],
    [
      'by the epoch of its user alone',
      () => execute('UPDATE users SET epoch = epoch + 1 WHERE id = $1', user.id),
    ],
    [
      'by its own epoch alone, which is behind',
      () => execute('UPDATE sessions SET epoch = epoch - 1 WHERE id = $1', claims.sid),
    ],
    ['by the loss of its row', () => execute('DELETE FROM sessions WHERE id = $1', claims.sid)],
  ])('%s', async (_what, end) => {
    await end();
    expect(await askAll()).toEqual(FALLS);
  });

  it('by the epoch of the service alone, and so do those of everybody else', async () => {
    const other = await login(twins.one, await twins.house.user());
    await execute('UPDATE service SET epoch = epoch + 1');
    expect(await askAll()).toEqual(FALLS);
    expect((await twins.one.gatehouse.judge(other.access_token)).live).toBeNull();
  });

  it('when it is another user’s than its token says', async () => {
    const other = await twins.house.user();
    await execute('UPDATE sessions SET user_id = $2 WHERE id = $1', claims.sid, other.id);
    expect(await askAll()).toEqual(FALLS);
  });
});

it('an epoch ahead of the one in force lets no access token in, and ends nothing', async () => {
  await execute('UPDATE sessions SET epoch = epoch + 1 WHERE id = $1', claims.sid);
  const names = ['judge', 'successor', 'list', 'changePassword', 'logoutAll'] as const;
  for (const name of names) expect([name, await VERBS[name]()]).toEqual([name, FALLS[name]]);
});

it('the revocation of a lineage alone ends its tokens, and leaves the session', async () => {
  await revoke('token', claims.jti.slice(0, claims.jti.indexOf('.')));
  expect(await askAll()).toEqual({
    ...STANDS,
    judge: 'dead',
    successor: 'dead',
    changePassword: 'invalid_token',
  });
});

it('a revocation of anything else ends nothing', async () => {
  await revoke('session', randomUUID());
  await revoke('token', randomUUID());
  expect(await askAll()).toEqual(STANDS);
});

describe('the end of a session for good', () => {
  it('falls due for each verb that writes at its very second', async () => {
    await twins.house.database.clock.freeze(claims.session_exp);
    for (const name of ['list', 'refresh', 'changePassword'] as const)
      expect([name, await VERBS[name]()]).toEqual([name, FALLS[name]]);
  });
});

describe('an end that a user asks for by the id of a session', () => {
  it('touches no session of somebody else, and says that there is none', async () => {
    const stranger = await twins.house.user();
    expect(
      await twins.one.gatehouse.endSession({ ...askedOf(claims), userId: stranger.id }, claims.sid),
    ).toBe(false);
    expect(await askAll()).toEqual(STANDS);
  });

  it('leaves the moment and the reason of the first when it comes twice', async () => {
    const own = askedOf(claims);
    expect(await twins.one.gatehouse.endSession(own, claims.sid)).toBe(true);
    const first = await traces();
    await twins.house.database.clock.advance(10);
    expect(await twins.two.gatehouse.endSession(own, claims.sid)).toBe(true);
    await twins.one.gatehouse.logout(pair.refresh_token, 'refresh');
    expect(await traces()).toEqual(first);
    expect(await askAll()).toEqual(FALLS);
  });

  async function traces(): Promise<unknown[]> {
    const { rows } = await twins.house.database.admin.query<Record<string, unknown>>(
      `SELECT ended_at, reason, actor, revoked_at, kept_until - expires_at AS kept
       FROM sessions JOIN revocations USING (id) WHERE id = $1`,
      [claims.sid],
    );
    return rows;
  }
});

describe('a login whose password was right a moment ago', () => {
  async function open(): Promise<Verb> {
    const { rows } = await twins.house.database.admin.query<{ epoch: string }>(
      'SELECT (users.epoch + service.epoch)::text AS epoch FROM users, service WHERE users.id = $1',
      [user.id],
    );
    const proved = { id: user.id, epoch: rows[0]?.epoch ?? '' };
    return () => wordOf(openSession(twins.two.database, proved, DEVICE, twins.two.gatehouse.rules));
  }

  it.each<[string, string, () => Promise<unknown>]>([
    ['opens a session when nothing has happened since', 'yes', () => Promise.resolve()],
    [
      'opens none for a user who is disabled by now, under the same epoch',
      'invalid_credentials',
      () => execute('UPDATE users SET disabled_at = clock_timestamp() WHERE id = $1', user.id),
    ],
    [
      'opens none when the epoch of the user alone has been raised since',
      'invalid_credentials',
      () => execute('UPDATE users SET epoch = epoch + 1 WHERE id = $1', user.id),
    ],
    [
      'opens none when the epoch of the service alone has been raised since',
      'invalid_credentials',
      () => execute('UPDATE service SET epoch = epoch + 1'),
    ],
    [
      'opens none for a user who is gone',
      'invalid_credentials',
      async () => {
        await execute('DELETE FROM sessions WHERE user_id = $1', user.id);
        await execute('DELETE FROM users WHERE id = $1', user.id);
      },
    ],
  ])('%s', async (_what, word, happen) => {
    const opening = await open();
    await happen();
    expect(await opening()).toBe(word);
  });
});

it('the list shows a thousand sessions at most, latest opened first, and those of one moment by their ids', async () => {
  await execute(
    `INSERT INTO sessions (id, user_id, epoch, opened_at, rotated_at, refresh_expires_at, expires_at)
     SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' ||
             substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid,
            $1, 0, at, at, at + interval '1 day', at + interval '1 day'
     FROM generate_series(1, 1100) AS n, LATERAL (SELECT to_timestamp($2) - make_interval(secs => n % 2)) AS t (at)`,
    user.id,
    START,
  );
  await execute(
    'UPDATE sessions SET epoch = (SELECT users.epoch + service.epoch FROM users, service WHERE users.id = $1) WHERE user_id = $1',
    user.id,
  );
  const listed = await twins.two.gatehouse.listSessions(askedOf(claims));
  expect(listed).toHaveLength(1000);
  const order = listed.map(({ id, openedAt }) => `${openedAt.toISOString()} ${id}`);
  expect(order).toEqual(order.toSorted().reverse());
  expect(new Set(listed.map(({ openedAt }) => openedAt.getTime())).size).toBe(2);
});

it('the id of a session is a UUIDv7 by the clock of the primary', async () => {
  await twins.house.database.clock.freeze(START + 0.789);
  const { session_id: id } = await login(twins.one, user);
  const time = ((START + 0.789) * 1000).toString(16).padStart(12, '0');
  expect(id).toMatch(
    new RegExp(`^${time.slice(0, 8)}-${time.slice(8)}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`),
  );
});
