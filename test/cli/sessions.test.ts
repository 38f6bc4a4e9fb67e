// gatehouse sessions and revocations: what an operator sees of logins and of their ends.
import { userInfo } from 'node:os';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { inHouse, jsonInHouse } from '../support/command.js';
import {
  bearer,
  introspect,
  login,
  openHouse,
  postForm,
  refresh,
  type House,
  type Replica,
  type TestClient,
} from '../support/house.js';

const ACTOR = `cli:${userInfo().username}`;

let house: House;
let replica: Replica;
let client: TestClient;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  client = await house.client();
});
afterAll(() => house.close());

describe('sessions list', () => {
  it('shows what the user sees at GET /sessions, and when a session was last used to the millisecond', async () => {
    const user = await house.user();
    const first = await login(replica, user);
    const second = await login(replica, user);
    await refresh(replica, second.refresh_token);
    const { rows } = await house.database.admin.query<{ id: string; rotated_at: Date }>(
      'SELECT id, rotated_at FROM sessions WHERE user_id = $1',
      [user.id],
    );
    const usedAt = new Map(rows.map(({ id, rotated_at }) => [id, rotated_at.toISOString()]));
    const { sessions } = (
      await replica.app.inject({ url: '/sessions', headers: bearer(first.access_token) })
    ).json<{ sessions: Record<string, unknown>[] }>();
    expect(sessions).toHaveLength(2);
    const listed = await jsonInHouse(house, ['sessions', 'list', user.username.toUpperCase()]);
    expect(listed).toEqual(
      sessions.map((session) => {
        const { current, last_used_on: usedOn, ...rest } = session;
        expect(current).toBeTypeOf('boolean');
        const exact = usedAt.get(String(session['id']));
        expect(exact?.slice(0, 10)).toBe(usedOn);
        return { ...rest, last_used_at: exact };
      }),
    );
  });

  it('lets no user agent write to the terminal', async () => {
    const user = await house.user();
    await replica.app.inject({
      method: 'POST',
      url: '/login',
      headers: { 'user-agent': 'evil \u009b2J\u009b1;1H' },
      payload: { username: user.username, password: user.password },
    });
    const { stdout } = await inHouse(house, ['sessions', 'list', user.username]);
    expect(stdout).toContain('evil \uFFFD2J\uFFFD1;1H\n');
    const { stdout: json } = await inHouse(house, ['sessions', 'list', user.username, '--json']);
    expect(json).toContain(String.raw`"user_agent":"evil \u009b2J\u009b1;1H"`);
    expect(JSON.parse(json)).toMatchObject([{ user_agent: 'evil \u009b2J\u009b1;1H' }]);
  });

  it('tells no sessions from no user', async () => {
    const { username } = await house.user();
    expect(await jsonInHouse(house, ['sessions', 'list', username])).toEqual([]);
    expect((await inHouse(house, ['sessions', 'list', username])).stdout).toBe('no sessions\n');
    expect(await inHouse(house, ['sessions', 'list', 'nobody', '--json'])).toEqual({
      status: 1,
      stdout: '',
      stderr: 'gatehouse: there is no user nobody: see `gatehouse users list`\n',
    });
  });
});

describe('sessions end', () => {
  it('ends that session on a running replica, and no other', async () => {
    const user = await house.user();
    const [ended, other] = [await login(replica, user), await login(replica, user)];
    const id = ended.session_id;
    expect(await jsonInHouse(house, ['sessions', 'end', id])).toEqual({ id });
    expect((await introspect(replica, client, ended.access_token)).body).toBe('{"active":false}');
    expect((await refresh(replica, ended.refresh_token)).statusCode).toBe(401);
    expect((await introspect(replica, client, other.access_token)).json()).toMatchObject({ active: true });
    expect(await jsonInHouse(house, ['sessions', 'list', user.username])).toMatchObject([
      { id: other.session_id },
    ]);
    expect((await inHouse(house, ['sessions', 'end', id])).stdout).toBe(`the session ${id} has ended\n`);
  });

  it.each([randomUUID(), 'x', ''])('says of %j that there is no such session', async (id) => {
    expect(await inHouse(house, ['sessions', 'end', id, '--json'])).toEqual({
      status: 1,
      stdout: '',
      stderr: `gatehouse: there is no session ${id}: see \`gatehouse sessions list NAME\`, or the claim sid of a token\n`,
    });
  });
});

describe('revocations list', () => {
  it('says what was ended, whose, why, by whom and when, newest first', async () => {
    const user = await house.user();
    const [revoked, ended] = [await login(replica, user), await login(replica, user)];
    const started = Date.now() - 1000;
    await postForm(replica, '/revoke', client, { token: revoked.access_token });
    await jsonInHouse(house, ['sessions', 'end', ended.session_id]);
    await jsonInHouse(house, ['users', 'disable', user.username]);

    const common = {
      user_id: user.id,
      username: user.username,
      revoked_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]{12}Z$/) as string,
      kept_until: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]{12}Z$/) as string,
      lifted_at: null,
    };
    const lineage = expect.stringMatching(/^[0-9a-f-]{36}$/) as string;
    const listed = (await jsonInHouse(house, ['revocations', 'list', '--limit', '3'])) as {
      revoked_at: string;
      kept_until: string;
    }[];
    expect(listed).toEqual([
      { ...common, kind: 'user', id: null, reason: 'user_disabled', actor: ACTOR },
      { ...common, kind: 'session', id: ended.session_id, reason: 'session_ended', actor: ACTOR },
      { ...common, kind: 'token', id: lineage, reason: 'revoked', actor: `client:${client.id}` },
    ]);
    for (const { revoked_at, kept_until } of listed) {
      expect(Date.parse(revoked_at)).toBeGreaterThan(started);
      expect(Date.parse(kept_until)).toBeGreaterThan(Date.parse(revoked_at));
    }
  });

  it('shows at most 100, or as many as --limit says', async () => {
    const own = await openHouse();
    try {
      expect((await inHouse(own, ['revocations', 'list'])).stdout).toBe('no revocations\n');
      await own.database.admin.query(
        `INSERT INTO revocations (id, kind, reason, actor, revoked_at, kept_until)
         SELECT gen_random_uuid(), 'token', 'revoked', 'client:a', now(), now() FROM generate_series(1, 150)`,
      );
      expect(await jsonInHouse(own, ['revocations', 'list'])).toHaveLength(100);
      expect(await jsonInHouse(own, ['revocations', 'list', '--limit', '2'])).toHaveLength(2);
      expect(await jsonInHouse(own, ['revocations', 'list', '--limit', '10000'])).toHaveLength(150);
      expect((await inHouse(own, ['revocations', 'list'])).stdout.split('\n')).toHaveLength(102);
    } finally {
      await own.close();
    }
  });

  it.each(['0', '-1', '10001', '1.5', '1e2', 'all', ''])('refuses --limit %j', async (limit) => {
    const outcome = await inHouse(house, ['revocations', 'list', `--limit=${limit}`]);
    expect(outcome).toMatchObject({ status: 2, stdout: '' });
    expect(outcome.stderr).toContain('a number from 1 to 10000');
  });
});

describe('revocations prune', () => {
  it('says how many rows went, beyond one batch, and leaves what still matters', async () => {
    const own = await openHouse();
    try {
      const insert = (count: number, interval: string) =>
        own.database.admin.query(
          `INSERT INTO revocations (id, kind, reason, actor, revoked_at, kept_until)
           SELECT gen_random_uuid(), 'token', 'revoked', 'client:a', now(), now() + $2::interval
           FROM generate_series(1, $1)`,
          [count, interval],
        );
      await insert(2500, '-1 second');
      await insert(3, '1 hour');
      expect(await jsonInHouse(own, ['revocations', 'prune'])).toEqual({ pruned: 2500 });
      expect(await jsonInHouse(own, ['revocations', 'list'])).toHaveLength(3);
      await own.database.clock.advance(3600);
      expect((await inHouse(own, ['revocations', 'prune'])).stdout).toBe('3 rows went\n');
      expect((await inHouse(own, ['revocations', 'prune'])).stdout).toBe('0 rows went\n');
    } finally {
      await own.close();
    }
  });

  it('does its work also while a replica is at it', async () => {
    const own = await openHouse();
    const other = await own.database.admin.connect();
    try {
      await own.database.admin.query(
        `INSERT INTO revocations (id, kind, reason, actor, revoked_at, kept_until)
         SELECT gen_random_uuid(), 'token', 'revoked', 'client:a', now(), now() FROM generate_series(1, 5)`,
      );
      // The lock of whoever prunes, see src/domain/sessions/revocations.ts.
      await other.query("BEGIN; SELECT pg_advisory_xact_lock(x'67617465'::int)");
      const pruning = jsonInHouse(own, ['revocations', 'prune']);
      await sleep(300);
      await other.query('COMMIT');
      expect(await pruning).toEqual({ pruned: 5 });
    } finally {
      other.release();
      await own.close();
    }
  });

  it('prunes sessions that are over, and what was ended stays ended', async () => {
    const own = await openHouse();
    try {
      const ownReplica = await own.replica({ config: { sessionTtlSeconds: 3600, refreshTtlSeconds: 3600 } });
      const ownClient = await own.client();
      const pair = await login(ownReplica, await own.user());
      await jsonInHouse(own, ['sessions', 'end', pair.session_id]);
      expect(await jsonInHouse(own, ['revocations', 'prune'])).toEqual({ pruned: 0 });
      await own.database.clock.advance(3600 + 361);
      expect(await jsonInHouse(own, ['revocations', 'prune'])).toEqual({ pruned: 2 });
      await own.database.clock.set(0);
      expect((await introspect(ownReplica, ownClient, pair.access_token)).body).toBe('{"active":false}');
    } finally {
      await own.close();
    }
  });
});
