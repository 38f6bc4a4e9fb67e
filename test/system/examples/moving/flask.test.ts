// The example of flask-jwt-extended, written anew on Gatehouse: each row of the page's table.
import { expect } from 'vitest';

import { basic, claimsOf } from '../../../support/house.js';
import { describeMove, type Pair, type Rows } from './moved.js';
import {
  asksForRecentPassword,
  endsOneAccessToken,
  isIn,
  knowsNothingWithout,
  letsLiveTokensIn,
  logsOutAtOnce,
  logsOutEverywhere,
  pairOf,
  passwordOf,
  refused,
  refusesWrongPasswords,
  renewsByRefreshToken,
  renewsUnasked,
  takesPasswordOnceMore,
} from './shared.js';

const PROTECTED = 'GET /protected';

const rows: Rows = {
  'signs in whom the application knows': async (moved) => {
    const pair = await moved.logIn('mara');
    expect(claimsOf(pair.access_token)).toMatchObject({
      sub: '7',
      client_id: 'orders',
      username: 'Mara Okafor',
      scope: 'posts:read posts:write',
      amr: ['pwd'],
    });
    await refusesWrongPasswords(moved);
  },

  'lets live tokens in': async (moved) => {
    const { access_token: token } = await moved.logIn('mara');
    expect((await moved.ask(PROTECTED, { token })).body).toEqual({ logged_in_as: '7' });
    await letsLiveTokensIn(moved, PROTECTED);
  },

  'knows its own users alone': async (moved) => {
    const { stage } = moved;
    const other = await stage.house.client(['sessions:open']);
    const opened = await fetch(`${stage.way.url}/sessions`, {
      method: 'POST',
      headers: { ...basic(other), 'content-type': 'application/json' },
      body: JSON.stringify({ external_id: '7' }),
    });
    const { access_token } = (await opened.json()) as Pair;
    expect(claimsOf(access_token).sub).toBe('7');
    const native = await stage.logIn();
    for (const token of [access_token, native.access_token])
      for (const route of [PROTECTED, 'GET /fresh'])
        expect(await moved.ask(route, { token })).toMatchObject(refused('invalid_token'));
  },

  'serves callers without a token, and refuses dead ones': async (moved) => {
    const { access_token: token } = await moved.logIn('mara');
    expect((await moved.ask('GET /optional')).body).toEqual({ logged_in_as: null });
    expect((await moved.ask('GET /optional', { token })).body).toEqual({ logged_in_as: '7' });
    await moved.ask('DELETE /logout', { token });
    expect(await moved.ask('GET /optional', { token })).toMatchObject(refused('invalid_token'));
  },

  'loads the person': async (moved) => {
    const { access_token: token } = await moved.logIn('juno');
    expect((await moved.ask('GET /who-am-i', { token })).body).toEqual({
      id: '8',
      username: 'juno',
      name: 'Juno Lindqvist',
    });
    const stranger = await moved.asClient('POST', '/sessions', { external_id: '99' });
    const { access_token } = stranger.body as unknown as Pair;
    expect(await moved.ask('GET /who-am-i', { token: access_token })).toMatchObject(refused('invalid_token'));
  },

  'reads the claims that it gave': async (moved) => {
    const { access_token: token } = await moved.logIn('juno');
    expect((await moved.ask('GET /department', { token })).body).toEqual({ department: 'accounts' });
  },

  'changes a claim at once': async (moved) => {
    const { access_token: before, refresh_token } = await moved.logIn('mara');
    const change = { token: before, body: { department: 'purchasing' } };
    expect((await moved.ask('PUT /department', change)).status).toBe(204);
    expect(await isIn(moved, PROTECTED, before)).toBe(false);
    const { access_token: token } = await pairOf(moved.ask('POST /refresh', { body: { refresh_token } }));
    expect((await moved.ask('GET /department', { token })).body).toEqual({ department: 'purchasing' });
  },

  'asks for a scope': async (moved) => {
    const mara = await moved.logIn('mara');
    const no = await moved.ask('GET /admin', { token: mara.access_token });
    expect(no).toMatchObject(refused('insufficient_scope', 403));
    expect(await isIn(moved, 'GET /admin', (await moved.logIn('juno')).access_token)).toBe(true);
  },

  'renews by the refresh token': async (moved) => {
    await renewsByRefreshToken(moved, PROTECTED);
    expect(await moved.ask('POST /refresh', { body: {} })).toMatchObject(refused('invalid_request', 400));
  },

  'asks for a password that was given lately': (moved) =>
    asksForRecentPassword(moved, 'GET /fresh', PROTECTED),

  'takes the password once more': (moved) => takesPasswordOnceMore(moved, 'GET /fresh', PROTECTED),

  'logs out at once': (moved) => logsOutAtOnce(moved, 'DELETE /logout', PROTECTED),

  'ends one access token': (moved) => endsOneAccessToken(moved, 'DELETE /token', PROTECTED),

  'logs out everywhere': (moved) => logsOutEverywhere(moved, 'DELETE /logout/everywhere', PROTECTED),

  'opens for a shorter time': async (moved) => {
    const pair = await pairOf(moved.ask('POST /login/short', { body: passwordOf('mara') }));
    const { iat, exp, session_exp } = claimsOf(pair.access_token);
    expect([exp - iat, session_exp - iat]).toEqual([60, 3600]);
  },

  'renews without being asked': (moved) =>
    renewsUnasked(moved, { forbidden: 'GET /admin', out: 'DELETE /logout', route: PROTECTED }),

  'keeps the token in a cookie': async (moved) => {
    const { clock } = moved.stage.house.database;
    const signIn = await moved.ask('POST /cookie/login', { body: passwordOf('mara') });
    const [cookie = '', ...attributes] = (signIn.headers.get('set-cookie') ?? '').split('; ');
    expect(attributes.sort()).toEqual(['HttpOnly', 'Path=/', 'SameSite=Strict', 'Secure']);
    expect(signIn.body).toEqual({ welcome: true });
    const see = (headers: Record<string, string>) => moved.ask('GET /cookie/protected', { headers });
    expect((await see({})).status).toBe(401);
    expect((await see({ cookie })).status).toBe(200);
    try {
      // Past its `exp`, and within the grace: the answer is for the successor, which no script sees.
      await clock.advance(630);
      const late = await see({ cookie });
      expect([late.status, late.headers.get('refreshed-api-token')]).toEqual([200, null]);
      const next = (late.headers.get('set-cookie') ?? '').split('; ')[0] ?? '';
      expect(next).not.toBe(cookie);
      const leave = (site: string) =>
        moved.ask('POST /cookie/logout', { headers: { cookie: next, 'sec-fetch-site': site } });
      expect(await leave('same-site')).toMatchObject(refused('csrf_rejected', 403));
      expect((await see({ cookie: next })).status).toBe(200);
      const out = await leave('same-origin');
      expect([out.status, out.headers.getSetCookie().length]).toEqual([200, 1]);
      expect(out.headers.get('set-cookie')).toMatch(/^__Host-session=; Expires=Thu, 01 Jan 1970/);
      expect((await see({ cookie: next })).status).toBe(401);
    } finally {
      await clock.set(0);
    }
  },

  'says 503 where nobody can know': (moved) =>
    knowsNothingWithout(moved, [PROTECTED, 'GET /optional', 'GET /fresh', 'DELETE /logout']),
};

describeMove(
  'flask-jwt-extended',
  {
    modules: 'flask',
    start: (port) => ['-m', 'flask', '--app', 'from_flask_jwt_extended', 'run', '--port', `${port}`],
  },
  rows,
);
