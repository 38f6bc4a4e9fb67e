// Where a token goes, and where it never does.
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { createGatehouse } from '@gatehouse/browser';
import { basic, claimsOf, type House, type Replica, type TestUser } from '../../support/house.js';
import {
  createLocks,
  createStorage,
  openHouseForPages,
  openServer,
  openTab,
  tokenOf,
} from '../../support/tabs.js';

let house: House;
let replica: Replica;
let url: string;
let user: TestUser;

beforeAll(async () => {
  vi.stubGlobal('navigator', { locks: createLocks() });
  ({ house, replica, url } = await openHouseForPages());
  user = await house.user();
});
beforeEach(() => house.database.clock.set(0));
afterAll(() => house.close());

interface Seen {
  address: string;
  seen: (string | undefined)[];
}

/** A server that notes what it is sent, and always says that this is the new token. */
async function openListener(successor: () => string = () => 'a.b.c'): Promise<Seen> {
  const seen: (string | undefined)[] = [];
  const address = await openServer((request, response) => {
    seen.push(request.headers.authorization);
    response.writeHead(200, { 'refreshed-api-token': successor() }).end();
  });
  return { address, seen };
}

/** What nobody can tell from the successor of a token, but who verifies it. */
function forgeSuccessor(token: string): string {
  const { exp, jti, ...claims } = claimsOf(token);
  const [lineage = '', generation] = jti.split('.');
  const later = { ...claims, jti: `${lineage}.${Number(generation) + 1}`, exp: exp + 9 };
  return tokenOf(later);
}

async function openSignedIn(options: { origins?: string[] } = {}) {
  const storage = createStorage();
  const tab = openTab({ url, storage, ...options });
  await tab.login(user);
  const token = () => storage.getItem(`gatehouse:bearer:${url}:access`) ?? '';
  return { ...tab, token };
}

describe('a stranger', () => {
  it('gets no token, and says nothing about ours', async () => {
    const stranger = await openListener();
    const page = await openSignedIn();
    const token = page.token();
    await page.fetch(`${stranger.address}/?q=${encodeURIComponent(url)}`);
    await page.fetch(new Request(stranger.address, { method: 'POST', body: 'x' }));
    // The same host: another port is another origin.
    await page.fetch(new URL('/session', stranger.address));
    expect(stranger.seen).toEqual([undefined, undefined, undefined]);
    expect(page.token()).toBe(token);
    expect(page.story()).toEqual(['signed-in/login']);
  });

  it('causes no refresh', async () => {
    const address = await openServer((_request, response) => response.writeHead(401).end());
    const page = await openSignedIn();
    expect((await page.fetch(address)).status).toBe(401);
    expect(page.network.sent.map(({ path }) => path)).toEqual(['/login', '/']);
  });

  it.each([301, 302, 303, 307, 308])(
    'to whom a friend redirects with %i gets no token, and says nothing about ours',
    async (status) => {
      const known = { token: '' };
      const stranger = await openListener(() => forgeSuccessor(known.token));
      const friend = await openServer((request, response) => {
        const isAgain = request.url === '/again';
        response.writeHead(status, { location: isAgain ? '/' : stranger.address }).end();
      });
      const guest = await openSignedIn({ origins: [friend] });
      known.token = guest.token();
      await guest.fetch(friend);
      await guest.fetch(`${friend}/again`);
      await guest.fetch(friend, { method: 'POST', body: 'x' });
      expect(stranger.seen).toEqual([undefined, undefined, undefined]);
      expect(guest.token()).toBe(known.token);
      expect(guest.story()).toEqual(['signed-in/login']);
    },
  );

  it('is told from a friend by nothing else: of the same answer a friend is believed', async () => {
    const known = { token: '' };
    const friend = await openListener(() => forgeSuccessor(known.token));
    const guest = await openSignedIn({ origins: [friend.address] });
    known.token = guest.token();
    await guest.fetch(friend.address);
    expect(guest.token()).toBe(forgeSuccessor(known.token));
  });
});

describe('an address without an origin of its own', () => {
  it.each(['other://host/', 'data:text/plain,x'])(
    'gets no token, whatever the page has named: %s',
    async (address) => {
      const seen: (string | null)[] = [];
      const note: typeof fetch = (input, init) => {
        seen.push(new Request(input, init).headers.get('authorization'));
        return Promise.resolve(new Response());
      };
      const storage = createStorage();
      await openTab({ url, storage }).login(user);
      // To the platform, the origins of all such addresses are one text: `null`.
      const page = createGatehouse({ url, storage, fetch: note, origins: ['capacitor://localhost'] });
      await page.fetch(address);
      await page.fetch(`${url}/session`);
      page.close();
      expect(seen).toEqual([null, expect.stringMatching(/^Bearer /)]);
    },
  );
});

describe('a resource server', () => {
  it('that the page has named gets the token, and its relayed successor is taken up', async () => {
    const client = await house.client(['introspect']);
    const seen: (string | undefined)[] = [];
    const address = await openServer((request, response) => {
      const { authorization = '' } = request.headers;
      seen.push(authorization);
      void replica.app
        .inject({
          method: 'POST',
          url: '/introspect',
          headers: { ...basic(client), 'content-type': 'application/x-www-form-urlencoded' },
          payload: new URLSearchParams({ token: authorization.slice('Bearer '.length) }).toString(),
        })
        .then((verdict) => {
          const relayed = verdict.headers['refreshed-api-token'];
          const isActive = verdict.json<{ active: boolean }>().active;
          response.writeHead(isActive ? 200 : 401, relayed ? { 'refreshed-api-token': relayed } : {}).end();
        });
    });
    const page = await openSignedIn({ origins: [`${address}/orders`] });
    const first = page.token();
    await house.database.clock.set(601);
    expect((await page.fetch(`${address}/orders`)).status).toBe(200);
    expect(seen).toEqual([`Bearer ${first}`, `Bearer ${page.token()}`]);
    expect(claimsOf(page.token()).jti).toMatch(/\.1$/);
    expect(page.story()).toEqual(['signed-in/login', 'renewed/reissue']);
  });

  it('gets what the page says where it says who asks', async () => {
    const friend = await openListener();
    const page = await openSignedIn({ origins: [friend.address] });
    await page.fetch(friend.address, { headers: { authorization: 'Basic eDp5' } });
    expect(friend.seen).toEqual(['Basic eDp5']);
  });
});

describe('an address', () => {
  it('with a path is Gatehouse behind a gateway', async () => {
    const paths: string[] = [];
    const gateway = await openServer((request, response) => {
      paths.push(request.url ?? '');
      response.writeHead(503).end();
    });
    for (const address of [`${gateway}/auth`, `${gateway}/auth/`]) {
      const page = openTab({ url: address, storage: null });
      await expect(page.login(user)).rejects.toMatchObject({ status: 503 });
    }
    expect(paths).toEqual(['/auth/login', '/auth/login']);
  });

  it('is the page’s own origin where none is given, wherever the page is', async () => {
    vi.stubGlobal('location', new URL(`${url}/shop/index.html?x=1#top`));
    const page = openTab({ storage: null });
    await page.login(user);
    expect(await page.session()).toMatchObject({ sub: user.id });
    expect(page.network.sent.map(({ path }) => path)).toEqual(['/login', '/session']);
    vi.stubGlobal('location', undefined);
  });

  it('of another origin is refused for cookies', () => {
    vi.stubGlobal('location', new URL('https://shop.example.com/'));
    expect(() => createGatehouse({ url, transport: 'cookie' })).toThrow(/one origin/);
    vi.stubGlobal('location', undefined);
  });
});
