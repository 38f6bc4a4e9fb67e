// A browser as far as the module for pages needs one: tabs that share a storage, locks and a channel, on a network that fails on demand.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { onTestFinished, vi } from 'vitest';

import {
  createGatehouse,
  type Change,
  type Gatehouse,
  type GatehouseOptions,
  type TokenStorage,
} from '@gatehouse/browser';
import { SAME_ORIGIN, setCookiesOf } from './browser.js';
import type { House, Replica, TestUser } from './house.js';

export interface Sent {
  method: string;
  path: string;
  /** The token that it carried. */
  token: string | null;
}

/** What becomes of a request: `go` sends it. */
export type Fate = (go: () => Promise<Response>) => Promise<Response>;

export interface Network {
  fetch: typeof fetch;
  sent: Sent[];
  /** How often a path was asked for. */
  count: (path: string) => number;
  /** Decides over the next requests for a path, one fate each. */
  next: (path: string, ...fates: Fate[]) => void;
}

export function createNetwork(send: typeof fetch = fetch): Network {
  const sent: Sent[] = [];
  const fates = new Map<string, Fate[]>();
  return {
    sent,
    count: (path) => sent.filter((request) => request.path === path).length,
    next: (path, ...some) => fates.set(path, [...(fates.get(path) ?? []), ...some]),
    fetch: (input, init) => {
      const request = new Request(input, init);
      const { pathname } = new URL(request.url);
      const token = request.headers.get('authorization')?.replace('Bearer ', '') ?? null;
      sent.push({ method: request.method, path: pathname, token });
      const fate = fates.get(pathname)?.shift() ?? ((go) => go());
      return fate(() => send(request));
    },
  };
}

/** The request arrives, its answer does not. */
export const loseAnswer: Fate = async (go) => {
  await go();
  throw new TypeError('connection lost');
};

/** As without a network. */
export const offline: Fate = () => Promise.reject(new TypeError('offline'));

/** An answer in place of the service's. */
export function answer(status: number, body: object, headers: Record<string, string> = {}): Fate {
  return () => Promise.resolve(Response.json(body, { status, headers }));
}

export const unavailable = answer(
  503,
  { error: 'temporarily_unavailable', title: 'Temporarily unavailable', detail: 'Ask again.', status: 503 },
  { 'retry-after': '7' },
);

/** Holds an answer back until it is let go; `arrived` resolves when the service has given it. */
export function hold(): { fate: Fate; arrived: Promise<void>; letGo: () => void } {
  const arrival = createSignal();
  const release = createSignal();
  return {
    fate: async (go) => {
      const response = await go();
      arrival.give();
      await release.given;
      return response;
    },
    arrived: arrival.given,
    letGo: release.give,
  };
}

function createSignal(): { given: Promise<void>; give: () => void } {
  let give = () => {};
  const given = new Promise<void>((resolve) => {
    give = resolve;
  });
  return { given, give: () => give() };
}

/** How a browser asks for a page of the issuer: with its jar, which takes the cookies of an answer when it arrives. */
export function createJar(): { jar: Map<string, string>; send: typeof fetch } {
  const jar = new Map<string, string>();
  return {
    jar,
    send: async (input, init) => {
      const cookie = [...jar].map((pair) => pair.join('=')).join('; ');
      const request = new Request(input, init);
      for (const [name, value] of Object.entries({ ...SAME_ORIGIN, cookie }))
        request.headers.set(name, value);
      const response = await fetch(request);
      for (const { name, value, maxAge } of setCookiesOf({
        headers: { 'set-cookie': response.headers.getSetCookie() },
      })) {
        if (maxAge > 0) jar.set(name, value);
        else jar.delete(name);
      }
      return response;
    },
  };
}

/** What `localStorage` is to the tabs of one origin. */
export function createStorage(): TokenStorage & { items: Map<string, string> } {
  const items = new Map<string, string>();
  return {
    items,
    getItem: (name) => items.get(name) ?? null,
    setItem: (name, value) => void items.set(name, value),
    removeItem: (name) => void items.delete(name),
  };
}

/** The part of the Web Locks API that pages use here: one holder of a name, the others in line. */
export function createLocks(): { request: <T>(name: string, task: () => Promise<T>) => Promise<T> } {
  const lines = new Map<string, Promise<unknown>>();
  return {
    request: (name, task) => {
      const turn = (lines.get(name) ?? Promise.resolve()).then(task);
      lines.set(
        name,
        turn.catch(() => undefined),
      );
      return turn;
    },
  };
}

export interface Tab extends Gatehouse {
  network: Network;
  changes: Change[];
  /** `type/why` of each change so far. */
  story: () => string[];
}

/** Opens a tab; it is closed when the test is over. */
export function openTab(options: GatehouseOptions, network = createNetwork(options.fetch)): Tab {
  const changes: Change[] = [];
  const gatehouse = createGatehouse({ ...options, fetch: network.fetch });
  gatehouse.onChange((change) => changes.push(change));
  onTestFinished(() => gatehouse.close());
  return {
    ...gatehouse,
    network,
    changes,
    story: () => changes.map(({ type, why }) => `${type}/${why}`),
  };
}

/** A claim is all that a page looks at: nothing is signed. */
export function tokenOf(claims: object): string {
  return `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`;
}

/** A token pair as no service has given it, good for ten minutes. */
export function pairOf(sid: string) {
  return {
    session_id: sid,
    access_token: tokenOf({ sid, sub: 'sub', jti: 'jti.0', exp: 600 }),
    refresh_token: tokenOf({ sid, sub: 'sub', jti: 'jti.0' }),
    expires_in: 600,
  };
}

/** Waits until word has gone round between tabs. */
export async function until(isSo: () => boolean): Promise<void> {
  const check = () => {
    if (!isSo()) throw new Error('not so yet');
  };
  await vi.waitFor(check, { timeout: 15_000 });
}

/** Has a replica listen, as pages need it. */
export async function listen({ app }: Pick<Replica, 'app'>): Promise<string> {
  return app.listen({ host: '127.0.0.1', port: 0 });
}

/** The instant at which a test of pages begins, and the clock stands still; in seconds since 1970. */
export const NOON = 1_900_000_000;

/** A house with a replica that pages reach at `url`; close it in `afterAll`. */
export async function openHouseForPages(): Promise<{ house: House; replica: Replica; url: string }> {
  // The whole service: tests of a page that asks none need not load it.
  const { openHouse } = await import('./house.js');
  const house = await openHouse();
  const replica = await house.replica();
  return { house, replica, url: await listen(replica) };
}

/** For each test: locks that no other test has taken, noon, and a user whom nobody has seen. */
export async function beginAtNoon({ database, user }: House): Promise<TestUser> {
  vi.stubGlobal('navigator', { locks: createLocks() });
  await database.clock.freeze(NOON);
  return await user();
}

/** A server of somebody else's; it goes when the test is over. */
export async function openServer(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer(handle);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
