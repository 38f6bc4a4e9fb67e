// maxAge: routes that want a password which was given lately, by the clock of Gatehouse.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createIntrospector } from '../../../packages/resource-server/src/introspector.js';
import { createRecency } from '../../../packages/resource-server/src/recency.js';
import { bearer, claimsOf, login, type TokenPair, type TestUser } from '../../support/house.js';
import { listen, openOrders, openStage, type Stage } from './stage.js';

let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

const CHALLENGE =
  'Bearer realm="gatehouse", error="insufficient_user_authentication", error_description="The user gave the password too long ago for this.", max_age="900"';

async function logInLongAgo(): Promise<{ user: TestUser; pair: TokenPair }> {
  const user = await stage.house.user({ scope: 'orders:read' });
  const { clock } = stage.house.database;
  // The tokens say that they were minted an hour ago, and the refresh token is good for a new one.
  await clock.set(-3600);
  const { refresh_token } = await login(stage.replica, user);
  await clock.set(0);
  const payload = { refresh_token };
  const answer = await stage.replica.app.inject({ method: 'POST', url: '/refresh', payload });
  return { user, pair: answer.json<TokenPair>() };
}

describe('a route with maxAge', () => {
  it('is closed until the password is given again, and open with the token of that', async () => {
    const { get } = await openOrders(stage.options, (app) => {
      app.get('/pay', { config: { maxAge: 900, scope: 'orders:read' } }, (request) => request.user.sub);
      app.get('/ancient', { config: { maxAge: 7200 } }, () => 'open');
    });
    const { user, pair } = await logInLongAgo();
    const refused = await get('/pay', pair.access_token);
    expect(refused.statusCode).toBe(401);
    expect(refused.json()).toMatchObject({ error: 'insufficient_user_authentication', status: 401 });
    expect(refused.headers['www-authenticate']).toBe(CHALLENGE);
    expect((await get('/ancient', pair.access_token)).statusCode).toBe(200);
    const answer = await stage.replica.app.inject({
      method: 'POST',
      url: '/reauthenticate',
      headers: bearer(pair.access_token),
      payload: { password: user.password },
    });
    const fresh = answer.json<TokenPair>().access_token;
    const paid = await get('/pay', fresh);
    expect([paid.statusCode, paid.body]).toEqual([200, claimsOf(fresh).sub]);
    expect((await get('/pay', pair.access_token)).statusCode).toBe(401);
  });

  it('asks for the scope first, and for a live token before', async () => {
    const { get } = await openOrders(stage.options, (app) => {
      app.get('/pay', { config: { maxAge: 900, scope: 'pay' } }, () => 'paid');
    });
    const { pair } = await logInLongAgo();
    expect((await get('/pay', pair.access_token)).statusCode).toBe(403);
    await stage.logOut(pair);
    expect((await get('/pay', pair.access_token)).json()).toMatchObject({ error: 'invalid_token' });
  });

  it('counts the time that a verdict is remembered', async () => {
    const { get } = await openOrders({ ...stage.options, cacheSeconds: 300 }, (app) => {
      app.get('/pay', { config: { maxAge: 900 } }, () => 'paid');
    });
    const { pair } = await logInLongAgo();
    for (let time = 0; time < 2; time += 1)
      expect((await get('/pay', pair.access_token)).statusCode).toBe(401);
    const { access_token } = await stage.logIn();
    for (let time = 0; time < 2; time += 1) expect((await get('/pay', access_token)).statusCode).toBe(200);
  });
});

it('is 503 where the answer does not tell the time, and the log says what to do', async () => {
  const { access_token } = await stage.logIn();
  const answer = { active: true, token_type: 'Bearer', ...claimsOf(access_token) };
  const { url } = await listen((_request, response) => {
    response.sendDate = false;
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
  });
  const introspect = createIntrospector({ ...stage.options, url });
  await expect(introspect(`Bearer ${access_token}`, { maxAge: 900 })).rejects.toMatchObject({
    status: 503,
    cause: { message: expect.stringContaining('no header `Date`') as string, isMisconfigured: true },
  });
  expect((await introspect(`Bearer ${access_token}`)).user.sub).toBe(answer.sub);
  await introspect.close();
});

it.each([-1, 1.5, NaN, '900', null])('is a mistake of the program as %o', async (maxAge) => {
  const introspect = createIntrospector(stage.options);
  await expect(introspect('Bearer a.b.c', { maxAge: maxAge as number })).rejects.toThrow(TypeError);
  await introspect.close();
});

it('goes by the clock of Gatehouse, and by no clock that anybody sets', () => {
  let elapsed = 5000;
  const { hear, isRecent } = createRecency(() => elapsed);
  const at = (seconds: number) => ({ date: new Date(seconds * 1000).toUTCString() });
  hear(at(1_000_000));
  expect(isRecent({ auth_time: 999_100 }, 900)).toBe(true);
  elapsed += 1000;
  expect(isRecent({ auth_time: 999_100 }, 900)).toBe(false);
  expect(isRecent({ auth_time: 999_101 }, 900)).toBe(true);
  hear(at(999_000));
  expect(isRecent({ auth_time: 999_100 }, 0)).toBe(true);
});
