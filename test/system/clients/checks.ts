// What each client of others is held to: what docs/clients.md says of it, before a real Gatehouse.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { claimsOf } from '../../support/house.js';
import type { Running } from '../../support/programs.js';
import { retryOn503 } from '../../support/retry.js';
import { NO_VERDICTS, openStage, type Stage } from './stage.js';

export interface Told {
  status: number;
  headers: Headers;
  /** It names the user for whom the client takes the caller. */
  body: string;
}

/** A client that runs, and how it is asked. */
export interface Started extends Running {
  /** @param username what some protocols say beside the token */
  ask: (authorization: string | undefined, username: string) => Promise<Told>;
}

export interface Client {
  name: string;
  /**
   * Starts it in an empty directory.
   *
   * @param isKeeping without the switch that the page names, or with what the page warns of
   */
  start: (stage: Stage, directory: string, isKeeping: boolean) => Promise<Started>;
  /** What it says to what is no live token, where that is not 401. */
  refusal?: number;
  /** What it says when nobody can know. */
  unavailable: number;
  /** What it says to a live token without the scope `orders:read`, in one version or another; none where it does not judge scopes. */
  withoutScope: number[];
  /** Whether it names users, or their ids. */
  names: 'sub' | 'username';
  relays: boolean;
  /** Whether it can be made to keep verdicts. */
  canKeep: boolean;
  /** What versions of it say in the place of `unavailable`, though Gatehouse gave no verdict; the page tells of it. */
  otherwise?: Record<string, number>;
  /** Whether it waits without end for an answer: then nobody tries what stands still. */
  waitsForEver?: boolean;
  /** Whether versions of it go where a redirect sends them. */
  followsRedirects?: boolean;
}

const SCOPE = 'orders:list orders:read';

export function checkClient(client: Client): void {
  const { refusal = 401 } = client;
  let stage: Stage;
  let directory: string;
  let started: Started;

  beforeAll(async () => {
    stage = await openStage();
    directory = await mkdtemp(join(tmpdir(), 'gatehouse-client-'));
    started = await client.start(stage, directory, false);
  });
  afterEach(() => stage.way.replace(null));
  afterAll(async () => {
    await started.stop();
    await rm(directory, { recursive: true });
    await stage.close();
  });

  /** Where Gatehouse takes longer than the client waits, on a machine that does other things too. */
  const ask = async ({ token, user }: { token: string; user: { username: string } }, of = started) => {
    const asking = () => of.ask(`Bearer ${token}`, user.username);
    return client.unavailable === 503 ? retryOn503(asking) : asking();
  };
  const logIn = async (scope = SCOPE) => {
    const { user, ...pair } = await stage.logIn(scope);
    return { token: pair.access_token, user, pair };
  };

  it('lets a live token in, and knows whose it is', async () => {
    const ada = await logIn();
    const { status, headers, body } = await ask(ada);
    expect(status).toBe(200);
    expect(body).toContain(client.names === 'sub' ? claimsOf(ada.token).sub : ada.user.username);
    expect(headers.get('refreshed-api-token')).toBeNull();
  });

  it('asks about every request, and refuses a token from the moment it was ended', async () => {
    const ada = await logIn();
    for (const status of [200, 200]) expect((await ask(ada)).status).toBe(status);
    await stage.logOut(ada.pair);
    expect((await ask(ada)).status).toBe(refusal);
  });

  it('refuses a refresh token, nonsense, and nothing', async () => {
    const { pair, user } = await logIn();
    for (const token of [pair.refresh_token, 'nonsense'])
      expect([token, (await ask({ token, user })).status]).toEqual([token, refusal]);
    expect((await started.ask(undefined, user.username)).status).toBe(refusal);
  });

  if (client.withoutScope.length > 0) {
    it.each(['', 'orders:reading', 'xorders:read', 'orders read'])(
      'wants the scope: "%s" is another',
      async (scope) => {
        expect(client.withoutScope).toContain((await ask(await logIn(scope))).status);
      },
    );
  }

  it(`${client.relays ? 'relays' : 'does not relay'} the successor of a token near its end`, async () => {
    const ada = await logIn();
    const { iat, sub } = claimsOf(ada.token);
    await stage.house.database.clock.freeze(iat + 500);
    try {
      const { status, headers } = await ask(ada);
      const successor = headers.get('refreshed-api-token');
      expect(status).toBe(200);
      expect(successor === null ? null : claimsOf(successor).sub).toBe(client.relays ? sub : null);
      if (client.relays) expect(headers.get('cache-control')).toContain('no-store');
    } finally {
      await stage.house.database.clock.release();
    }
  });

  const { otherwise = {}, followsRedirects = false, waitsForEver = false } = client;
  const cases = Object.entries(NO_VERDICTS)
    .filter(([what]) => !(waitsForEver && what.startsWith('stands still')))
    .map(([what, answer]) => {
      const statuses = [client.unavailable, ...(what in otherwise ? [otherwise[what]] : [])];
      return [statuses.join(' or '), what, statuses, answer] as const;
    });
  it.each(cases)('says %s when Gatehouse %s', async (_names, what, statuses, answer) => {
    const { token, user } = await logIn();
    const before = stage.way.asked().length;
    stage.way.replace(answer);
    const told = await started.ask(`Bearer ${token}`, user.username);
    expect(statuses).toContain(told.status);
    const isSentOn = stage.way.asked().slice(before).includes('/elsewhere');
    if (!(followsRedirects && what === 'sends it elsewhere')) expect(isSentOn).toBe(false);
  });

  it(`says ${client.unavailable} when Gatehouse is gone, and goes on when it is back`, async () => {
    const ada = await logIn();
    await stage.way.leave();
    try {
      expect((await started.ask(`Bearer ${ada.token}`, ada.user.username)).status).toBe(client.unavailable);
    } finally {
      await stage.way.comeBack();
    }
    expect((await ask(ada)).status).toBe(200);
  });

  if (client.canKeep) {
    describe('that keeps verdicts, as the page warns', () => {
      let keeping: Started;
      let place: string;
      beforeAll(async () => {
        place = await mkdtemp(join(tmpdir(), 'gatehouse-client-'));
        keeping = await client.start(stage, place, true);
      });
      afterAll(async () => {
        await keeping.stop();
        await rm(place, { recursive: true });
      });

      it('lets an ended token in', async () => {
        const ada = await logIn();
        expect((await ask(ada, keeping)).status).toBe(200);
        await stage.logOut(ada.pair);
        expect((await ask(ada, keeping)).status).toBe(200);
        expect((await ask(ada)).status).toBe(refusal);
      });
    });
  }
}

/** A client that answers in HTTP. */
export function overHttp(url: string): Started['ask'] {
  return async (authorization) => {
    const answer = await fetch(url, { headers: authorization === undefined ? {} : { authorization } });
    return { status: answer.status, headers: answer.headers, body: await answer.text() };
  };
}
