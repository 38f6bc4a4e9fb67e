// The example of AuthX, written anew on Gatehouse: each row of the page's table.
import { expect } from 'vitest';

import { claimsOf } from '../../../support/house.js';
import { describeMove, type Pair, type Rows } from './moved.js';
import {
  asksForRecentPassword,
  isIn,
  knowsNothingWithout,
  letsLiveTokensIn,
  logsOutAtOnce,
  logsOutEverywhere,
  refused,
  refusesWrongPasswords,
  renewsByRefreshToken,
  renewsUnasked,
} from './shared.js';

const PROTECTED = 'GET /protected';

const rows: Rows = {
  'signs in whom the application knows': async (moved) => {
    const { access_token } = await moved.logIn('juno');
    expect(claimsOf(access_token)).toMatchObject({ sub: '8', username: 'Juno Lindqvist', amr: ['pwd'] });
    await refusesWrongPasswords(moved);
  },

  'lets live tokens in': async (moved) => {
    const { access_token: token } = await moved.logIn('mara');
    expect((await moved.ask(PROTECTED, { token })).body).toEqual({ username: 'Mara Okafor', sub: '7' });
    expect((await moved.ask('GET /')).status).toBe(200);
    await letsLiveTokensIn(moved, PROTECTED);
  },

  'loads the person': async (moved) => {
    const { access_token: token } = await moved.logIn('mara');
    expect((await moved.ask('GET /profile', { token })).body).toEqual({
      name: 'Mara Okafor',
      can_edit: true,
    });
    const stranger = await moved.asClient('POST', '/sessions', { external_id: '99' });
    const { access_token } = stranger.body as unknown as Pair;
    expect(await moved.ask('GET /profile', { token: access_token })).toMatchObject(refused('invalid_token'));
  },

  'renews by the refresh token': (moved) => renewsByRefreshToken(moved, PROTECTED),

  'asks for a password that was given lately': (moved) =>
    asksForRecentPassword(moved, 'GET /fresh-required', PROTECTED),

  'asks for all of some scopes': async (moved) => {
    const [mara, juno] = await Promise.all([moved.logIn('mara'), moved.logIn('juno')]);
    for (const { access_token } of [mara, juno])
      expect(await isIn(moved, 'GET /posts', access_token)).toBe(true);
    expect(await isIn(moved, 'DELETE /posts/1', mara.access_token)).toBe(true);
    const no = await moved.ask('DELETE /posts/1', { token: juno.access_token });
    expect(no).toMatchObject(refused('insufficient_scope', 403));
  },

  'asks for any of some scopes': async (moved) => {
    expect(await isIn(moved, 'GET /moderate', (await moved.logIn('juno')).access_token)).toBe(true);
    const { access_token: token } = await moved.logIn('mara');
    const no = await moved.ask('GET /moderate', { token });
    expect(no).toMatchObject(refused('insufficient_scope', 403));
  },

  'knows no wildcards': async (moved) => {
    const claims = { external_id: '7', scope: 'posts:* posts admin:*' };
    const { body } = await moved.asClient('POST', '/sessions', claims);
    const { access_token: token } = body as unknown as Pair;
    for (const route of ['GET /posts', 'GET /moderate'])
      expect(await moved.ask(route, { token })).toMatchObject(refused('insufficient_scope', 403));
  },

  'takes scopes away at once': async (moved) => {
    const { body } = await moved.asClient('POST', '/sessions', { external_id: '7', scope: 'posts:read' });
    const pair = body as unknown as Pair;
    expect(await isIn(moved, 'GET /posts', pair.access_token)).toBe(true);
    await moved.asClient('PATCH', `/sessions/${pair.session_id}`, { scope: '' });
    expect(await moved.ask('GET /posts', { token: pair.access_token })).toMatchObject(
      refused('invalid_token'),
    );
    const renewed = await moved.ask('POST /refresh', { body: { refresh_token: pair.refresh_token } });
    const { access_token: token } = renewed.body as unknown as Pair;
    expect(await moved.ask('GET /posts', { token })).toMatchObject(refused('insufficient_scope', 403));
    const admin = await moved.logIn('juno');
    const answer = await moved.ask('DELETE /people/7/scope', { token: admin.access_token });
    expect(answer.body['sessions_ended']).toBeGreaterThanOrEqual(1);
    expect(await moved.ask(PROTECTED, { token })).toMatchObject(refused('invalid_token'));
    const again = await moved.logIn('mara');
    expect(claimsOf(again.access_token).scope).toBeUndefined();
  },

  'logs out at once': (moved) => logsOutAtOnce(moved, 'POST /logout', PROTECTED),

  'remembers where a session was opened': async (moved) => {
    const { access_token: token } = await moved.logIn('mara');
    const { body } = await moved.ask('GET /sessions', { token });
    const own = (body['sessions'] as { current: boolean }[]).find(({ current }) => current);
    expect(own).toMatchObject({ ip: '127.0.0.1', user_agent: 'node' });
  },

  'lists the sessions of the caller': async (moved) => {
    const [first, second, other] = [
      await moved.logIn('mara'),
      await moved.logIn('mara'),
      await moved.logIn('juno'),
    ];
    const { body } = await moved.ask('GET /sessions', { token: first.access_token });
    const ids = (body['sessions'] as { id: string }[]).map(({ id }) => id);
    expect(ids).toEqual(expect.arrayContaining([first.session_id, second.session_id]));
    expect(ids).not.toContain(other.session_id);
  },

  "ends one session of the caller, and nobody else's": async (moved) => {
    const [own, lost, other] = [
      await moved.logIn('mara'),
      await moved.logIn('mara'),
      await moved.logIn('juno'),
    ];
    const end = (id: string) => moved.ask(`POST /sessions/${id}/revoke`, { token: own.access_token });
    expect(await end(other.session_id)).toMatchObject(refused('not_found', 404));
    expect(await isIn(moved, PROTECTED, other.access_token)).toBe(true);
    expect((await end(lost.session_id)).status).toBe(200);
    expect(await isIn(moved, PROTECTED, lost.access_token)).toBe(false);
    expect(await isIn(moved, PROTECTED, own.access_token)).toBe(true);
  },

  'logs out everywhere': (moved) => logsOutEverywhere(moved, 'POST /logout-everywhere', PROTECTED),

  'renews without being asked': (moved) =>
    renewsUnasked(moved, { forbidden: 'GET /moderate', out: 'POST /logout', route: PROTECTED }),

  'says 503 where nobody can know': (moved) =>
    knowsNothingWithout(moved, [PROTECTED, 'GET /fresh-required', 'GET /posts', 'POST /logout']),
};

describeMove(
  'AuthX',
  { modules: 'fastapi, uvicorn', start: (port) => ['-m', 'uvicorn', 'from_authx:app', '--port', `${port}`] },
  rows,
);
