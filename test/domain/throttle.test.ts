// How often a password may be guessed, on the real counters.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { LOGIN_LIMITS, networkOf } from '../../src/domain/throttle.js';
import { openHouse, type House, type Replica, type TestUser } from '../support/house.js';

let house: House;
let replicas: [Replica, Replica];

beforeAll(async () => {
  house = await openHouse();
  const config = { trustProxy: ['127.0.0.1'] };
  replicas = [await house.replica({ config }), await house.replica({ config })];
});
afterAll(() => house.close());

let nextAddress = 0;
/** An address that no other test has spent attempts of. */
function freshAddress(): string {
  nextAddress += 1;
  return `198.51.${Math.floor(nextAddress / 256)}.${nextAddress % 256}`;
}

function attempt(replica: Replica, user: Pick<TestUser, 'username' | 'password'>, from: string) {
  const { username, password } = user;
  const headers = { 'x-forwarded-for': from };
  return replica.app.inject({ method: 'POST', url: '/login', headers, payload: { username, password } });
}

async function failures(user: Pick<TestUser, 'username'>, from: string, count: number): Promise<number[]> {
  const wrong = { username: user.username, password: 'not the password at all' };
  const answers = await Promise.all(
    Array.from({ length: count }, (_, turn) =>
      attempt(turn % 2 === 0 ? replicas[0] : replicas[1], wrong, from),
    ),
  );
  return answers.map(({ statusCode }) => statusCode);
}

describe('login attempts', () => {
  it('hashes no more parallel guesses than the limit, counted over both replicas', async () => {
    const user = await house.user();
    const statuses = await failures(user, freshAddress(), 100);
    expect(statuses.filter((status) => status === 401)).toHaveLength(LOGIN_LIMITS.pair.points);
    expect(statuses.filter((status) => status === 429)).toHaveLength(100 - LOGIN_LIMITS.pair.points);
  });

  it('refuses the right password too once the budget is spent, and says when to come back', async () => {
    const user = await house.user();
    const from = freshAddress();
    await failures(user, from, LOGIN_LIMITS.pair.points);
    const refused = await attempt(replicas[1], user, from);
    expect(refused.statusCode).toBe(429);
    expect(refused.json()).toMatchObject({ error: 'too_many_requests', status: 429 });
    const retryAfter = Number(refused.headers['retry-after']);
    expect(retryAfter).toBeGreaterThan(0);
    expect(retryAfter).toBeLessThanOrEqual(LOGIN_LIMITS.pair.duration);
  });

  it('does not lock the user out elsewhere', async () => {
    const user = await house.user();
    await failures(user, freshAddress(), LOGIN_LIMITS.pair.points + 5);
    expect((await attempt(replicas[0], user, freshAddress())).statusCode).toBe(200);
  });

  it('treats a name that nobody bears like one that somebody does', async () => {
    const statuses = await failures({ username: 'nobody-at-all' }, freshAddress(), 30);
    expect(statuses.filter((status) => status === 401)).toHaveLength(LOGIN_LIMITS.pair.points);
  });

  it('spends nothing on right passwords', async () => {
    const user = await house.user();
    const from = freshAddress();
    for (let turn = 0; turn < LOGIN_LIMITS.pair.points + 3; turn += 1) {
      expect((await attempt(replicas[0], user, from)).statusCode).toBe(200);
    }
  });

  it('counts all spellings of a name together', async () => {
    const user = await house.user({ username: 'spelled' });
    const from = freshAddress();
    await failures({ username: 'SPELLED' }, from, LOGIN_LIMITS.pair.points);
    expect((await attempt(replicas[0], user, from)).statusCode).toBe(429);
  });

  it('keeps neither names nor addresses in its table', async () => {
    await failures({ username: 'secret-name' }, freshAddress(), 1);
    const { rows } = await house.database.admin.query<{ key: string }>('SELECT key FROM login_attempts');
    expect(rows.length).toBeGreaterThan(0);
    for (const { key } of rows) expect(key).toMatch(/^(pair|account|network):[A-Za-z0-9_-]{43}$/);
  });
});

describe('networks', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2:ffff::1', '2001:db8:1:2::/64'],
  ])('takes %s for %s', (ip, network) => {
    expect(networkOf(ip)).toBe(network);
  });
});
