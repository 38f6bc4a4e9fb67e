// Two replicas on one database, people who are logged in, and what both replicas say of their tokens.
import type { LightMyRequestResponse } from 'fastify';

import type { Config } from '../../src/config/config.js';
import { retireKey } from '../../src/domain/keys/retirement.js';
import { listKeys } from '../../src/domain/keys/keys.js';
import {
  bearer,
  introspect,
  login,
  openHouse,
  refresh,
  SECRET,
  type House,
  type HouseOptions,
  type Replica,
  type TestClient,
  type TestUser,
  type TokenPair,
} from './house.js';

/** The frozen clock's first second. Later than any real clock that made a key. */
export const START = 1_900_000_000;

/** Age at which an access token of 600 s has a successor, while it is alive itself. */
export const NEAR_END_SECONDS = 480;

export interface Twins {
  house: House;
  one: Replica;
  two: Replica;
  client: TestClient;
}

/** Everything that one login led to. */
export interface Tokens {
  access: string;
  /** What the access token was reissued as. */
  reissued: string;
  refresh: string;
  sid: string;
}

export type State = 'alive' | 'dead' | `torn: ${string}`;

export type Life = Record<'access' | 'reissued' | 'refresh', State>;

export const ALIVE: Life = { access: 'alive', reissued: 'alive', refresh: 'alive' };
export const DEAD: Life = { access: 'dead', reissued: 'dead', refresh: 'dead' };

/** Opens two replicas whose common clock stands still at {@link START}; close the house in `afterAll`. */
export async function openTwins(config: Partial<Config> = {}, options: HouseOptions = {}): Promise<Twins> {
  const house = await openHouse(options);
  const one = await house.replica({ config });
  const two = await house.replica({ config });
  await house.database.clock.freeze(START);
  return { house, one, two, client: await house.client() };
}

/** Logs each user in, and moves the clock to where their access tokens and the successors are alive together. */
export async function logInAll({ house, one }: Twins, users: TestUser[]): Promise<Tokens[]> {
  const pairs: TokenPair[] = [];
  for (const user of users) pairs.push(await login(one, user));
  await house.database.clock.advance(NEAR_END_SECONDS);
  return await Promise.all(
    pairs.map(async ({ access_token: access, refresh_token, session_id: sid }) => {
      const reissued = successorIn(await getSession(one, access));
      if (reissued === null) throw new Error('the access token has no successor');
      return { access, reissued, refresh: refresh_token, sid };
    }),
  );
}

export function getSession({ app }: Replica, access: string): Promise<LightMyRequestResponse> {
  return app.inject({ url: '/session', headers: bearer(access) });
}

export function logOut({ app }: Replica, access: string): Promise<LightMyRequestResponse> {
  return app.inject({ method: 'POST', url: '/logout', headers: bearer(access) });
}

export function logOutAll(
  { app }: Replica,
  access: string,
  payload: { except_current?: boolean } = {},
): Promise<LightMyRequestResponse> {
  return app.inject({ method: 'POST', url: '/logout-all', headers: bearer(access), payload });
}

/** Retires the key that signs, as for a leak; false when there was none. */
export async function retireSigningKey({ one }: Twins): Promise<boolean> {
  const { database } = one;
  const kid = (await listKeys(database)).find(({ state }) => state === 'signing')?.kid ?? '';
  return (await retireKey(database, kid, 'EdDSA', SECRET)) !== null;
}

export function successorIn({ headers }: LightMyRequestResponse): string | null {
  return (headers['refreshed-api-token'] as string | undefined) ?? null;
}

/** What resource servers and holders of an access token are told, by both replicas; the second is asked first. */
export async function stateOf({ one, two, client }: Twins, access: string): Promise<State> {
  const seen: string[] = [];
  for (const replica of [two, one]) {
    const introspection = await introspect(replica, client, access);
    const session = await getSession(replica, access);
    const isReissued = successorIn(introspection) !== null || successorIn(session) !== null;
    const active = introspection.json<{ active?: boolean }>().active;
    seen.push(`${active} ${session.statusCode}${isReissued && active !== true ? ' reissued' : ''}`);
  }
  return summary(seen, 'true 200', 'false 401');
}

/** What both replicas answer to a refresh token. A living one is spent, and the second replica replays it. */
export async function stateOfRefresh({ one, two }: Twins, refreshToken: string): Promise<State> {
  const seen: string[] = [];
  for (const replica of [two, one]) {
    const response = await refresh(replica, refreshToken);
    seen.push(`${response.statusCode} ${response.json<{ error?: string }>().error ?? ''}`);
  }
  return summary(seen, '200 ', '401 invalid_token');
}

/** The state of everything that one login led to. Ask once: it spends a living refresh token. */
export async function lifeOf(twins: Twins, tokens: Tokens): Promise<Life> {
  return {
    access: await stateOf(twins, tokens.access),
    reissued: await stateOf(twins, tokens.reissued),
    refresh: await stateOfRefresh(twins, tokens.refresh),
  };
}

function summary(seen: string[], alive: string, dead: string): State {
  if (seen.every((word) => word === alive)) return 'alive';
  if (seen.every((word) => word === dead)) return 'dead';
  return `torn: ${seen.join(', ')}`;
}
