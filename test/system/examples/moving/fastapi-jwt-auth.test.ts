// The example of fastapi-jwt-auth, written anew on Gatehouse: each row of the page's table.
import { expect } from 'vitest';

import { claimsOf } from '../../../support/house.js';
import { describeMove, type Rows } from './moved.js';
import {
  asksForRecentPassword,
  endsOneAccessToken,
  isIn,
  knowsNothingWithout,
  letsLiveTokensIn,
  pairOf,
  passwordOf,
  refused,
  refusesWrongPasswords,
  renewsByRefreshToken,
  takesPasswordOnceMore,
} from './shared.js';

const USER = 'GET /user';

const rows: Rows = {
  'signs in whom the application knows': async (moved) => {
    expect(claimsOf((await moved.logIn('mara')).access_token)).toMatchObject({ sub: '7' });
    await refusesWrongPasswords(moved);
  },

  'lets live tokens in': async (moved) => {
    const { access_token: token } = await moved.logIn('mara');
    expect((await moved.ask(USER, { token })).body).toEqual({ user: '7' });
    await letsLiveTokensIn(moved, USER);
  },

  'serves callers without a token, and refuses dead ones': async (moved) => {
    const { access_token: token } = await moved.logIn('mara');
    expect((await moved.ask('GET /partially-protected')).body).toEqual({ user: 'anonymous' });
    expect((await moved.ask('GET /partially-protected', { token })).body).toEqual({ user: '7' });
    await moved.ask('DELETE /access-revoke', { token });
    expect(await moved.ask('GET /partially-protected', { token })).toMatchObject(refused('invalid_token'));
  },

  'renews by the refresh token': (moved) => renewsByRefreshToken(moved, USER),

  'asks for a password that was given lately': (moved) =>
    asksForRecentPassword(moved, 'GET /protected-fresh', USER),

  'takes the password once more': (moved) => takesPasswordOnceMore(moved, 'GET /protected-fresh', USER),

  'ends one access token': (moved) => endsOneAccessToken(moved, 'DELETE /access-revoke', USER),

  'ends a session by its refresh token': async (moved) => {
    const { access_token, refresh_token } = await moved.logIn('mara');
    const body = { refresh_token };
    expect((await moved.ask('DELETE /refresh-revoke', { body })).status).toBe(200);
    expect(await isIn(moved, USER, access_token)).toBe(false);
    expect(await moved.ask('POST /refresh', { body })).toMatchObject(refused('invalid_token'));
    const unknown = { body: { refresh_token: 'unknown' } };
    expect((await moved.ask('DELETE /refresh-revoke', unknown)).status).toBe(200);
  },

  'reads the claims that it gave': async (moved) => {
    const { access_token: token } = await moved.logIn('mara');
    expect((await moved.ask('GET /claims', { token })).body).toEqual({ teams: ['sales', 'everybody'] });
  },

  'opens for a shorter time': async (moved) => {
    const pair = await pairOf(moved.ask('POST /create-dynamic-token', { body: passwordOf('mara') }));
    expect(pair).not.toHaveProperty('refresh_token');
    const { iat, exp, session_exp } = claimsOf(pair.access_token);
    expect([exp - iat, session_exp - iat]).toEqual([120, 3600]);
  },

  'says 503 where nobody can know': (moved) =>
    knowsNothingWithout(moved, [USER, 'GET /partially-protected', 'GET /protected-fresh']),
};

describeMove(
  'fastapi-jwt-auth',
  {
    modules: 'fastapi, uvicorn',
    start: (port) => ['-m', 'uvicorn', 'from_fastapi_jwt_auth:app', '--port', `${port}`],
  },
  rows,
);
