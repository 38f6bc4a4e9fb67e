// A renewed token comes back to the caller: beside what the application says, and on the 401 of the grace.
import { afterAll, beforeEach, expect, it } from 'vitest';

import { claimsOf, type TestUser, type TokenPair } from '../../support/house.js';
import { problemOf } from './refusals.js';
import { bearer, type Stage } from './stage.js';

const NOON = 1_900_000_000;

/** Of a token of 600 s: its window opens, it expires, its grace is over. */
export const WINDOW = 480;
export const EXP = 600;
export const GRACE_END = 660;

export const HEADER = 'refreshed-api-token';

export function at(stage: Stage, seconds: number): Promise<void> {
  return stage.house.database.clock.freeze(NOON + seconds);
}

export function checkRenewal(stage: () => Stage): void {
  let user: TestUser;
  let pair: TokenPair;

  beforeEach(async () => {
    await at(stage(), 0);
    user = await stage().house.user();
    pair = await stage().login(user);
  });
  afterAll(() => stage().house.database.clock.release());

  it('carries nothing before the window, and no token that the application made up', async () => {
    for (const path of ['/orders', '/public/x']) {
      const answer = await stage().send('GET', path, bearer(pair.access_token));
      expect([answer.status, answer.headers[HEADER]]).toEqual([200, undefined]);
      expect(answer.headers['cache-control']).toBe('private, max-age=60');
      expect(answer.headers['set-cookie']).toEqual(['basket=7; Path=/', 'theme=dark; Path=/']);
    }
  });

  it.each([200, 404, 503])(
    'carries the successor in the window, beside a %i of the application',
    async (status) => {
      await at(stage(), WINDOW);
      const answer = await stage().send('POST', `/status/${status}`, bearer(pair.access_token), 'body');
      expect(answer.status).toBe(status);
      const successor = String(answer.headers[HEADER]);
      expect(claimsOf(successor)).toMatchObject({
        sub: user.id,
        sid: pair.session_id,
        exp: NOON + WINDOW + 600,
      });
      expect(answer.headers['cache-control']).toMatch(/\bno-store\b/);
      expect(answer.headers.vary).toMatch(/\bAuthorization\b/);
      expect(answer.headers['set-cookie']).toEqual(['basket=7; Path=/', 'theme=dark; Path=/']);
      await at(stage(), GRACE_END);
      expect((await stage().send('GET', '/orders', bearer(successor))).status).toBe(200);
    },
  );

  it('carries it on the 401 of the grace', async () => {
    await at(stage(), EXP);
    const before = stage().arrivals();
    const answer = await stage().send('DELETE', '/orders/7', bearer(pair.access_token));
    expect([answer.status, problemOf(answer).error]).toEqual([401, 'invalid_token']);
    expect(stage().arrivals()).toBe(before);
    await stage().arrive('DELETE', '/orders/7', bearer(String(answer.headers[HEADER])));
  });

  it('carries nothing after the grace, nor for a session that was ended', async () => {
    await at(stage(), GRACE_END);
    const late = await stage().send('GET', '/orders', bearer(pair.access_token));
    expect([late.status, late.headers[HEADER]]).toEqual([401, undefined]);
    await at(stage(), 0);
    const other = await stage().login(user);
    await stage().send('POST', '/logout', bearer(other.access_token));
    await at(stage(), EXP);
    const ended = await stage().send('GET', '/orders', bearer(other.access_token));
    expect([ended.status, ended.headers[HEADER]]).toEqual([401, undefined]);
  });
}
