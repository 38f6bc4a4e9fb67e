// What several of the applications promise, tried on each by its own addresses.
import { expect } from 'vitest';

import { NO_VERDICTS } from '../../clients/stage.js';
import type { Moved, Pair } from './moved.js';

/** An answer of an application that says no, as a part of a `Told`. */
export function refused(error: string, status = 401): { status: number; body: { error: string } } {
  return { status, body: { error } };
}

export function passwordOf(username: string): { username: string; password: string } {
  return { username, password: `password of ${username}` };
}

/** Asks for tokens, and fails without. */
export async function pairOf(asking: ReturnType<Moved['ask']>): Promise<Pair> {
  const { status, body } = await asking;
  expect({ status, body }).toMatchObject({ status: 200 });
  return body as unknown as Pair;
}

/** @param route which any user may see */
export async function isIn({ ask }: Moved, route: string, token: string): Promise<boolean> {
  return (await ask(route, { token })).status === 200;
}

export async function refusesWrongPasswords({ ask }: Moved): Promise<void> {
  for (const body of [passwordOf('nobody'), { username: 'mara', password: 'wrong' }])
    expect(await ask('POST /login', { body })).toMatchObject(refused('invalid_credentials'));
}

export async function letsLiveTokensIn(moved: Moved, route: string): Promise<void> {
  const { access_token, refresh_token } = await moved.logIn('mara');
  expect(await isIn(moved, route, access_token)).toBe(true);
  const without = await moved.ask(route);
  expect(without).toMatchObject(refused('invalid_token'));
  expect(without.headers.get('www-authenticate')).toBe('Bearer');
  for (const token of [refresh_token, `${access_token}A`, 'x'.repeat(5000), 'a%20b'])
    expect(await moved.ask(route, { token })).toMatchObject(refused('invalid_token'));
}

export async function renewsByRefreshToken(moved: Moved, route: string): Promise<void> {
  const { access_token, refresh_token } = await moved.logIn('mara');
  const renew = () => pairOf(moved.ask('POST /refresh', { body: { refresh_token } }));
  const [first, second] = await Promise.all([renew(), renew()]);
  expect(first.refresh_token).not.toBe(refresh_token);
  expect(first.refresh_token).toBe(second.refresh_token);
  expect(await isIn(moved, route, first.access_token)).toBe(true);
  const wrong = { body: { refresh_token: access_token } };
  expect(await moved.ask('POST /refresh', wrong)).toMatchObject(refused('invalid_token'));
}

/** @param fresh a route that wants a password of the last 300 s */
export async function asksForRecentPassword(moved: Moved, fresh: string, route: string): Promise<void> {
  const pair = await moved.logIn('mara');
  expect(await isIn(moved, fresh, pair.access_token)).toBe(true);
  const { access_token: token } = await moved.growOld(pair);
  const answer = await moved.ask(fresh, { token });
  expect(answer).toMatchObject(refused('insufficient_user_authentication'));
  expect(answer.headers.get('www-authenticate')).toContain('max_age="300"');
  expect(await isIn(moved, route, token)).toBe(true);
}

export async function takesPasswordOnceMore(moved: Moved, fresh: string, route: string): Promise<void> {
  const { access_token: token } = await moved.growOld(await moved.logIn('mara'));
  for (const body of [passwordOf('juno'), { username: 'mara', password: 'wrong' }])
    expect(await moved.ask('POST /fresh-login', { token, body })).toMatchObject(
      refused('invalid_credentials'),
    );
  expect(await isIn(moved, route, token)).toBe(true);
  const pair = await pairOf(moved.ask('POST /fresh-login', { token, body: passwordOf('mara') }));
  expect(await isIn(moved, fresh, pair.access_token)).toBe(true);
  expect(await isIn(moved, route, token)).toBe(false);
}

/** @param out the route that ends the session of the caller */
export async function logsOutAtOnce(moved: Moved, out: string, route: string): Promise<void> {
  const { access_token: token, refresh_token } = await moved.logIn('mara');
  expect((await moved.ask(out, { token })).status).toBeLessThan(300);
  expect(await isIn(moved, route, token)).toBe(false);
  const late = { body: { refresh_token } };
  expect(await moved.ask('POST /refresh', late)).toMatchObject(refused('invalid_token'));
}

/** @param out the route that ends the access token of the caller */
export async function endsOneAccessToken(moved: Moved, out: string, route: string): Promise<void> {
  const { access_token: token, refresh_token } = await moved.logIn('mara');
  expect((await moved.ask(out, { token })).status).toBeLessThan(300);
  expect(await isIn(moved, route, token)).toBe(false);
  const next = await pairOf(moved.ask('POST /refresh', { body: { refresh_token } }));
  expect(await isIn(moved, route, next.access_token)).toBe(true);
}

/** @param out the route that ends all sessions of the caller */
export async function logsOutEverywhere(moved: Moved, out: string, route: string): Promise<void> {
  const [phone, laptop] = await Promise.all([moved.logIn('mara'), moved.logIn('mara')]);
  const other = await moved.logIn('juno');
  const { body } = await moved.ask(out, { token: phone.access_token });
  expect(body['sessions_ended']).toBeGreaterThanOrEqual(2);
  for (const { access_token } of [phone, laptop]) expect(await isIn(moved, route, access_token)).toBe(false);
  expect(await isIn(moved, route, other.access_token)).toBe(true);
}

/**
 * @param forbidden a route that refuses this user with 403
 * @param out the route that ends the session of the caller
 */
export async function renewsUnasked(
  moved: Moved,
  { forbidden, out, route }: { forbidden: string; out: string; route: string },
): Promise<void> {
  const { access_token: token } = await moved.logIn('mara');
  const { clock } = moved.stage.house.database;
  expect((await moved.ask(route, { token })).headers.get('refreshed-api-token')).toBeNull();
  try {
    await clock.advance(550);
    const late = await moved.ask(forbidden, { token });
    const successor = late.headers.get('refreshed-api-token') ?? '';
    expect([late.status, late.headers.get('cache-control')]).toEqual([403, 'no-store']);
    expect(await isIn(moved, route, successor)).toBe(true);
    await clock.advance(80);
    const expired = await moved.ask(route, { token });
    expect(expired).toMatchObject(refused('invalid_token'));
    expect(await isIn(moved, route, expired.headers.get('refreshed-api-token') ?? '')).toBe(true);
    // Now near its own end, the successor would earn one as well: not with the end of the session.
    await clock.advance(370);
    const near = await moved.ask(route, { token: successor });
    expect(near.headers.get('refreshed-api-token')).not.toBeNull();
    const ended = await moved.ask(out, { token: successor });
    expect([ended.status < 300, ended.headers.get('refreshed-api-token')]).toEqual([true, null]);
    expect(await isIn(moved, route, successor)).toBe(false);
  } finally {
    await clock.set(0);
  }
}

/** Whatever else comes in the place of Gatehouse's answer, at each of the routes. */
export async function knowsNothingWithout(moved: Moved, routes: string[]): Promise<void> {
  const { access_token: token } = await moved.logIn('mara');
  try {
    for (const [what, answer] of Object.entries(NO_VERDICTS)) {
      moved.stage.way.replace(answer);
      for (const route of routes)
        expect(await moved.askOnce(route, { token }), `${what}: ${route}`).toMatchObject(
          refused('temporarily_unavailable', 503),
        );
    }
    expect(await moved.askOnce('POST /login', { body: passwordOf('mara') })).toMatchObject({ status: 503 });
    // No redirect was followed: the token and the secret are for Gatehouse alone.
    expect(moved.stage.way.asked()).not.toContain('/elsewhere');
  } finally {
    moved.stage.way.replace(null);
  }
  expect(await isIn(moved, routes[0] ?? '', token)).toBe(true);
}
