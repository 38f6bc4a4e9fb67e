// Whatever ends a token on one replica: the other refuses it in the very next request, and everything else lives on.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { changePassword, disableUser } from '../../../src/domain/users/users.js';
import { bearer, login, postForm, refresh, type TestUser } from '../../support/house.js';
import {
  ALIVE,
  DEAD,
  lifeOf,
  logInAll,
  logOut,
  logOutAll,
  openTwins,
  retireSigningKey,
  stateOf,
  stateOfRefresh,
  type Life,
  type Tokens,
  type Twins,
} from '../../support/twins.js';

let twins: Twins;

beforeAll(async () => {
  twins = await openTwins();
});
afterAll(() => twins.house.close());

/** Two sessions of one user, and one of somebody else. */
interface Scene {
  user: TestUser;
  mine: Tokens;
  sibling: Tokens;
  stranger: Tokens;
}

async function openScene(): Promise<Scene> {
  const user = await twins.house.user();
  const [mine, sibling, stranger] = await logInAll(twins, [user, user, await twins.house.user()]);
  if (mine === undefined || sibling === undefined || stranger === undefined) throw new Error('no scene');
  return { user, mine, sibling, stranger };
}

async function livesIn({
  mine,
  sibling,
  stranger,
}: Scene): Promise<Record<'mine' | 'sibling' | 'stranger', Life>> {
  return {
    mine: await lifeOf(twins, mine),
    sibling: await lifeOf(twins, sibling),
    stranger: await lifeOf(twins, stranger),
  };
}

const USER = /^user:[0-9a-f-]{36}$/;

async function recordOf(id: string): Promise<unknown[]> {
  const { rows } = await twins.house.database.admin.query<Record<string, unknown>>(
    `SELECT kind, id, epoch, reason, actor FROM revocations
     WHERE id = $1 OR user_id = (SELECT user_id FROM sessions WHERE id = $1) AND kind <> 'session'`,
    [id],
  );
  return rows;
}

function logOutWith(refreshToken: string) {
  return twins.one.app.inject({ method: 'POST', url: '/logout', payload: { refresh_token: refreshToken } });
}

function endSessionOf(sid: string, access: string) {
  return twins.one.app.inject({ method: 'DELETE', url: `/sessions/${sid}`, headers: bearer(access) });
}

/** Each is called on the first replica, and is answered with the status that it gives. */
const ENDS_OF_ONE_SESSION: [string, (scene: Scene) => Promise<{ statusCode: number }>, number, object][] = [
  [
    '/logout with the access token',
    ({ mine }) => logOut(twins.one, mine.access),
    204,
    { reason: 'logout', actor: expect.stringMatching(USER) as string },
  ],
  [
    '/logout with what it was reissued as',
    ({ mine }) => logOut(twins.one, mine.reissued),
    204,
    { reason: 'logout', actor: expect.stringMatching(USER) as string },
  ],
  [
    '/logout with the refresh token',
    ({ mine }) => logOutWith(mine.refresh),
    204,
    { reason: 'logout', actor: expect.stringMatching(USER) as string },
  ],
  [
    'DELETE /sessions/:id of itself',
    ({ mine }) => endSessionOf(mine.sid, mine.access),
    204,
    { reason: 'session_ended', actor: expect.stringMatching(USER) as string },
  ],
  [
    'DELETE /sessions/:id by the user’s other session',
    ({ mine, sibling }) => endSessionOf(mine.sid, sibling.reissued),
    204,
    { reason: 'session_ended', actor: expect.stringMatching(USER) as string },
  ],
  [
    '/revoke of the refresh token',
    ({ mine }) => postForm(twins.one, '/revoke', twins.client, { token: mine.refresh }),
    200,
    { reason: 'revoked' },
  ],
  [
    '/revoke of the refresh token, taken for an access token',
    ({ mine }) =>
      postForm(twins.one, '/revoke', twins.client, { token: mine.refresh, token_type_hint: 'access_token' }),
    200,
    { reason: 'revoked' },
  ],
];

describe.each(ENDS_OF_ONE_SESSION)('%s', (_name, end, status, record) => {
  it('ends that session on every replica, and nothing else', async () => {
    const scene = await openScene();
    expect((await end(scene)).statusCode).toBe(status);
    expect(await livesIn(scene)).toEqual({ mine: DEAD, sibling: ALIVE, stranger: ALIVE });
    expect(await recordOf(scene.mine.sid)).toEqual([
      expect.objectContaining({ kind: 'session', id: scene.mine.sid, ...record }),
    ]);
  });
});

describe.each([
  ['the access token', (tokens: Tokens) => tokens.access],
  ['what it was reissued as', (tokens: Tokens) => tokens.reissued],
])('/revoke of %s', (_name, tokenOf) => {
  it('ends its lineage on every replica, and leaves its session', async () => {
    const scene = await openScene();
    const response = await postForm(twins.one, '/revoke', twins.client, { token: tokenOf(scene.mine) });
    expect([response.statusCode, response.body]).toEqual([200, '']);
    const lives = await livesIn(scene);
    expect(lives).toEqual({ mine: { ...DEAD, refresh: 'alive' }, sibling: ALIVE, stranger: ALIVE });
    const next = (await refresh(twins.two, scene.mine.refresh)).json<{ access_token: string }>();
    expect(await stateOf(twins, next.access_token)).toBe('alive');
    expect(await recordOf(scene.mine.sid)).toEqual([
      expect.objectContaining({ kind: 'token', reason: 'revoked', actor: `client:${twins.client.id}` }),
    ]);
  });
});

const ENDS_OF_A_USER: [string, (scene: Scene) => Promise<unknown>, unknown, object][] = [
  [
    '/logout-all',
    async ({ mine }) => {
      const response = await logOutAll(twins.one, mine.access);
      return [response.statusCode, response.json<object>()];
    },
    [200, { sessions_ended: 2 }],
    { reason: 'logout_all', actor: expect.stringMatching(USER) as string },
  ],
  [
    'disabling',
    ({ user }) => disableUser(twins.one.database, user.username),
    true,
    { reason: 'user_disabled', actor: 'gatehouse' },
  ],
  [
    'a new password',
    async ({ user }) =>
      changePassword(twins.one.database, user.username, await twins.house.hasher.hash('another one')),
    true,
    { reason: 'password_changed', actor: 'gatehouse' },
  ],
];

describe.each(ENDS_OF_A_USER)('%s', (_name, end, answer, record) => {
  it('ends every session of the user on every replica, and nobody else’s', async () => {
    const scene = await openScene();
    expect(await end(scene)).toEqual(answer);
    expect(await livesIn(scene)).toEqual({ mine: DEAD, sibling: DEAD, stranger: ALIVE });
    expect(await recordOf(scene.mine.sid)).toEqual([
      expect.objectContaining({ kind: 'user', epoch: '0', ...record }),
    ]);
  });
});

describe('/logout-all with except_current', () => {
  it('ends the others, counts them, and keeps the session that asks', async () => {
    const scene = await openScene();
    await logInAll(twins, [scene.user]);
    const response = await logOutAll(twins.one, scene.mine.reissued, { except_current: true });
    expect(response.json()).toEqual({ sessions_ended: 2 });
    // The clock moved on for the third login: of the first session the reissued token is left.
    expect(await stateOf(twins, scene.mine.reissued)).toBe('alive');
    expect(await stateOfRefresh(twins, scene.mine.refresh)).toBe('alive');
    expect(await lifeOf(twins, scene.sibling)).toEqual(DEAD);
  });

  it('can be asked again, and finds nothing to end', async () => {
    const { mine } = await openScene();
    await logOutAll(twins.one, mine.access, { except_current: true });
    const again = await logOutAll(twins.two, mine.access, { except_current: true });
    expect([again.statusCode, again.json()]).toEqual([200, { sessions_ended: 0 }]);
    expect(await lifeOf(twins, mine)).toEqual(ALIVE);
  });

  it('leaves room for a login afterwards, and for its end', async () => {
    const { user, mine } = await openScene();
    await logOutAll(twins.one, mine.access, { except_current: true });
    const later = await login(twins.two, user);
    expect(await stateOf(twins, later.access_token)).toBe('alive');
    expect((await logOutAll(twins.two, later.access_token)).json()).toEqual({ sessions_ended: 2 });
    expect(await stateOf(twins, later.access_token)).toBe('dead');
    expect(await lifeOf(twins, mine)).toEqual(DEAD);
  });

  it('counts neither what was ended before nor what has come to its end by itself', async () => {
    const { user, mine, sibling } = await openScene();
    await logOut(twins.one, sibling.access);
    await twins.house.database.admin.query(
      `INSERT INTO sessions (id, user_id, epoch, opened_at, rotated_at, refresh_expires_at, expires_at)
       SELECT gen_random_uuid(), $1, 0, past, past, past, past
       FROM (SELECT clock_timestamp() - interval '1 second' AS past)`,
      [user.id],
    );
    expect((await logOutAll(twins.one, mine.access)).json()).toEqual({ sessions_ended: 1 });
  });
});

describe('/logout', () => {
  it('takes a second call, from either replica and with any token of the session', async () => {
    const { mine } = await openScene();
    for (const token of [mine.access, mine.access, mine.reissued]) {
      expect((await logOut(twins.one, token)).statusCode).toBe(204);
      expect((await logOut(twins.two, token)).statusCode).toBe(204);
    }
    expect((await logOutWith(mine.refresh)).statusCode).toBe(204);
    expect(await recordOf(mine.sid)).toHaveLength(1);
  });

  it('takes an access token that has expired, and ends its session', async () => {
    const { mine, sibling } = await openScene();
    await twins.house.database.clock.advance(3600);
    expect((await logOut(twins.one, mine.access)).statusCode).toBe(204);
    expect(await stateOfRefresh(twins, mine.refresh)).toBe('dead');
    expect(await stateOfRefresh(twins, sibling.refresh)).toBe('alive');
  });

  it('takes a refresh token that has expired, while its session could still be kept by a newer one', async () => {
    const { mine } = await openScene();
    await twins.house.database.clock.advance(7 * 86_400);
    const next = (await refresh(twins.one, mine.refresh)).json<{ refresh_token: string }>();
    await twins.house.database.clock.advance(8 * 86_400);
    expect((await logOutWith(mine.refresh)).statusCode).toBe(204);
    expect(await stateOfRefresh(twins, next.refresh_token)).toBe('dead');
  });

  it('takes a refresh token that has been rotated, even long ago', async () => {
    const { mine } = await openScene();
    const next = (await refresh(twins.one, mine.refresh)).json<{ refresh_token: string }>();
    await twins.house.database.clock.advance(3600);
    expect((await logOutWith(mine.refresh)).statusCode).toBe(204);
    expect(await stateOfRefresh(twins, next.refresh_token)).toBe('dead');
    expect(await recordOf(mine.sid)).toEqual([expect.objectContaining({ reason: 'logout' })]);
  });

  it('takes a token of a session that nobody remembers any more', async () => {
    const { mine } = await openScene();
    await twins.house.database.admin.query('DELETE FROM sessions WHERE id = $1', [mine.sid]);
    expect((await logOut(twins.one, mine.access)).statusCode).toBe(204);
    expect((await logOutWith(mine.refresh)).statusCode).toBe(204);
  });

  it('refuses what we could not have issued, and ends nothing', async () => {
    const { mine } = await openScene();
    const foreign = await openTwins();
    try {
      const [theirs] = await logInAll(foreign, [await foreign.house.user()]);
      const bent = `${mine.access.slice(0, -8)}AAAAAAAA`;
      for (const token of ['garbage', 'a.b.c', bent, theirs?.access ?? '', mine.refresh]) {
        expect((await logOut(twins.one, token)).json()).toMatchObject({
          status: 401,
          error: 'invalid_token',
        });
      }
      for (const token of ['garbage', theirs?.refresh ?? '', mine.access]) {
        expect((await logOutWith(token)).json()).toMatchObject({ status: 401, error: 'invalid_token' });
      }
      expect(await lifeOf(twins, mine)).toEqual(ALIVE);
    } finally {
      await foreign.house.close();
    }
  });

  it('refuses both tokens at once, and no token, and ends nothing', async () => {
    const { mine } = await openScene();
    const both = await twins.one.app.inject({
      method: 'POST',
      url: '/logout',
      headers: bearer(mine.access),
      payload: { refresh_token: mine.refresh },
    });
    expect(both.json()).toMatchObject({ status: 400, error: 'invalid_request' });
    const none = await twins.one.app.inject({ method: 'POST', url: '/logout' });
    expect(none.json()).toMatchObject({ status: 401, error: 'invalid_token' });
    expect(await lifeOf(twins, mine)).toEqual(ALIVE);
  });
});

describe('DELETE /sessions/:id', () => {
  it('says the same when the session had ended', async () => {
    const { mine, sibling } = await openScene();
    expect((await endSessionOf(mine.sid, sibling.access)).statusCode).toBe(204);
    expect((await endSessionOf(mine.sid, sibling.access)).statusCode).toBe(204);
  });

  it('does not know the session of another user', async () => {
    const { mine, stranger } = await openScene();
    const answer = await endSessionOf(mine.sid, stranger.access);
    expect(answer.json()).toMatchObject({ status: 404, error: 'not_found' });
    expect(await lifeOf(twins, mine)).toEqual(ALIVE);
  });
});

describe('a retired key', () => {
  it('takes every session with it on every replica, and a new one signs at once', async () => {
    const scene = await openScene();
    expect(await retireSigningKey(twins)).toBe(true);
    expect(await livesIn(scene)).toEqual({ mine: DEAD, sibling: DEAD, stranger: DEAD });
    for (const replica of [twins.two, twins.one]) {
      const next = await login(replica, scene.user);
      expect(await stateOf(twins, next.access_token)).toBe('alive');
    }
  });
});
