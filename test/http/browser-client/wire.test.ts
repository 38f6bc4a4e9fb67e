// What a page's requests are, and what the page needs of its surroundings: nothing here asks a service.
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';

import { createGatehouse, GatehouseError, type GatehouseOptions } from '@gatehouse/browser';
import { answer, createStorage, offline, openTab, pairOf, type Tab } from '../../support/tabs.js';

const URL_OF_GATEHOUSE = 'https://gatehouse.test';
const CREDENTIALS = { username: 'zoë', password: 'correct horse battery staple' };

beforeEach(() => {
  vi.stubGlobal('navigator', undefined);
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const PAIR = pairOf('sid');

/** A tab whose requests are noted, and answered with `body` under `status`. */
function openNoted(options: GatehouseOptions, status: number, body: object) {
  const requests: Request[] = [];
  const note: typeof fetch = (input, init) => {
    requests.push(new Request(input, init));
    return Promise.resolve(Response.json(body, { status }));
  };
  const gatehouse = createGatehouse({ storage: createStorage(), ...options, fetch: note });
  onTestFinished(() => gatehouse.close());
  return { ...gatehouse, requests };
}

describe('a request', () => {
  it('that asks is a GET past all caches, without a body', async () => {
    const page = openNoted({ url: URL_OF_GATEHOUSE }, 200, PAIR);
    await page.login(CREDENTIALS);
    await expect(page.sessions()).rejects.toMatchObject({ code: 'unexpected_answer' });
    const asked = page.requests.at(-1);
    expect(asked).toMatchObject({ url: `${URL_OF_GATEHOUSE}/sessions`, method: 'GET', cache: 'no-store' });
    expect(asked?.body).toBeNull();
  });

  it('that changes something is JSON', async () => {
    const page = openNoted({ url: URL_OF_GATEHOUSE }, 200, PAIR);
    await page.login(CREDENTIALS);
    const [sent] = page.requests;
    expect(sent).toMatchObject({ url: `${URL_OF_GATEHOUSE}/login`, method: 'POST' });
    expect(sent?.headers.get('content-type')).toBe('application/json');
    expect(await sent?.json()).toEqual(CREDENTIALS);
  });

  it('has neither a body nor its type where cookies say all', async () => {
    const page = openNoted({ url: URL_OF_GATEHOUSE, transport: 'cookie' }, 204, {});
    await page.logout().catch(() => undefined);
    const [sent] = page.requests;
    expect(sent).toMatchObject({ url: `${URL_OF_GATEHOUSE}/logout`, method: 'POST' });
    expect(sent?.headers.has('content-type')).toBe(false);
    expect(sent?.body).toBeNull();
  });

  it.each<[string, (page: Tab) => Promise<unknown>]>([
    ['login', (page) => page.login(CREDENTIALS)],
    ['logout', (page) => page.logout()],
    ['logout-all', (page) => page.logoutAll()],
    ['sessions', (page) => page.sessions()],
  ])('to /%s fails when it takes ten seconds', async (path, work) => {
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockImplementation(() => AbortSignal.abort());
    const page = openTab({ url: URL_OF_GATEHOUSE, transport: 'cookie' });
    await expect(work(page)).rejects.toMatchObject({ code: 'unreachable' });
    expect(timeout.mock.calls).toEqual([[10_000]]);
    expect(page.network.sent.map((sent) => sent.path)).toEqual([`/${path}`]);
  });
});

describe('an error', () => {
  it('carries what went wrong as its cause', async () => {
    const page = openTab({ url: URL_OF_GATEHOUSE, storage: null });
    page.network.next('/login', offline);
    const error: unknown = await page.login(CREDENTIALS).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(GatehouseError);
    expect(error).toMatchObject({ code: 'unreachable', cause: new TypeError('offline') });
  });

  it.each([
    ['30', 30],
    ['0', 0],
    ['30 s', undefined],
    ['about 30', undefined],
    ['-1', undefined],
    ['', undefined],
  ])('of an answer with the Retry-After %j says %j', async (text, seconds) => {
    const page = openTab({ url: URL_OF_GATEHOUSE, storage: null });
    page.network.next('/login', answer(503, {}, { 'retry-after': text }));
    await expect(page.login(CREDENTIALS)).rejects.toMatchObject({ retryAfterSeconds: seconds });
  });
});

describe('where there is no page, as on a server,', () => {
  it.each([[undefined], [''], ['/auth'], ['xhttp://gatehouse.test']])(
    'a client of %j can be made, and refuses to ask',
    async (url) => {
      const page = openTab(url === undefined ? { storage: null } : { url, storage: null });
      const message = 'Where there is no page, `url` must begin with https.';
      await expect(page.login(CREDENTIALS)).rejects.toMatchObject({ code: 'unreachable', message });
      expect(await page.session()).toBeNull();
      expect(page.network.sent).toEqual([]);
    },
  );

  it.each(['http://gatehouse.test', 'https://gatehouse.test'])('a client of %s asks', async (url) => {
    const page = openTab({ url, storage: null });
    page.network.next('/login', answer(503, {}));
    await expect(page.login(CREDENTIALS)).rejects.toMatchObject({ status: 503 });
  });

  it('the storage of the process is not touched: it would be one for all users', async () => {
    const storage = createStorage();
    vi.stubGlobal('localStorage', storage);
    const page = openNoted({ url: URL_OF_GATEHOUSE }, 200, PAIR);
    const bare = createGatehouse({ url: URL_OF_GATEHOUSE, fetch: page.fetch });
    onTestFinished(() => bare.close());
    await bare.login(CREDENTIALS);
    expect(storage.items.size).toBe(0);
  });
});

describe('a page', () => {
  beforeEach(() => {
    vi.stubGlobal('location', new URL('https://shop.test/basket'));
  });

  it('keeps its tokens in localStorage, where another tab finds them', async () => {
    vi.stubGlobal('localStorage', createStorage());
    const page = openTab({ url: URL_OF_GATEHOUSE });
    page.network.next('/login', answer(200, PAIR));
    await page.login(CREDENTIALS);
    const beside = openTab({ url: URL_OF_GATEHOUSE });
    beside.network.next('/sessions', answer(200, { sessions: [] }));
    expect(await beside.sessions()).toEqual([]);
    expect(beside.network.sent.map(({ token }) => token)).toEqual([PAIR.access_token]);
  });

  it('in a sandbox, where localStorage is forbidden, keeps them in memory', async () => {
    const forbid = () => {
      throw new DOMException('sandboxed', 'SecurityError');
    };
    const before = Object.getOwnPropertyDescriptor(globalThis, 'localStorage');
    Object.defineProperty(globalThis, 'localStorage', { configurable: true, get: forbid });
    onTestFinished(() => {
      delete (globalThis as { localStorage?: unknown }).localStorage;
      if (before) Object.defineProperty(globalThis, 'localStorage', before);
    });
    const page = openTab({ url: URL_OF_GATEHOUSE });
    page.network.next('/login', answer(200, PAIR));
    expect(await page.login(CREDENTIALS)).toMatchObject({ sid: 'sid' });
  });

  it('with cookies believes no other origin, named or not: its 401 causes no refresh', async () => {
    const friend = 'https://orders.test';
    const page = openTab({ transport: 'cookie', origins: [friend] });
    page.network.next('/', answer(401, { error: 'invalid_token' }));
    expect((await page.fetch(friend)).status).toBe(401);
    expect(page.network.sent.map(({ path }) => path)).toEqual(['/']);
  });

  it('lets the platform’s own fetch be called as the window’s own', async () => {
    const called: unknown[] = [];
    vi.stubGlobal('fetch', function (this: unknown, input: Request) {
      called.push([this, input.url]);
      return Promise.resolve(new Response('orders'));
    });
    const gatehouse = createGatehouse({ url: URL_OF_GATEHOUSE, storage: null });
    onTestFinished(() => gatehouse.close());
    expect(await (await gatehouse.fetch('https://orders.test/')).text()).toBe('orders');
    expect(called).toEqual([[undefined, 'https://orders.test/']]);
  });
});

describe('the channel of a browser', () => {
  /** As browsers have it: without Node's `unref`. */
  class Channel extends EventTarget {
    static open: Channel[] = [];
    isClosed = false;
    heard: unknown[] = [];
    readonly name: string;
    constructor(name: string) {
      super();
      this.name = name;
      Channel.open.push(this);
    }
    postMessage(data: unknown): void {
      if (this.isClosed) throw new DOMException('closed', 'InvalidStateError');
      this.heard.push(data);
    }
    close(): void {
      this.isClosed = true;
    }
  }

  beforeEach(() => {
    Channel.open = [];
    vi.stubGlobal('BroadcastChannel', Channel);
  });

  it('hears of each change with no token in it, and is closed with the tab', async () => {
    const page = openTab({ url: URL_OF_GATEHOUSE, storage: createStorage() });
    const [channel] = Channel.open;
    page.network.next('/login', answer(200, PAIR), answer(200, pairOf('another')));
    await page.login(CREDENTIALS);
    expect(channel?.name).toBe(`gatehouse:bearer:${URL_OF_GATEHOUSE}`);
    expect(channel?.heard).toEqual([{ type: 'signed-in', why: 'login', sessionId: 'sid' }]);
    page.close();
    expect(channel?.isClosed).toBe(true);
    expect(await page.login(CREDENTIALS)).toMatchObject({ sid: 'another' });
    expect(channel?.heard.length).toBe(1);
  });

  it('says nothing more to a tab that was closed, nor does its storage', () => {
    const events = new EventTarget();
    vi.stubGlobal('addEventListener', events.addEventListener.bind(events));
    const storage = createStorage();
    const page = openTab({ url: URL_OF_GATEHOUSE, storage });
    const [channel] = Channel.open;
    const look = vi.spyOn(storage, 'getItem');
    const stir = () => {
      look.mockClear();
      const data = { type: 'signed-out', why: 'logout', sessionId: 'sid' };
      channel?.dispatchEvent(new MessageEvent('message', { data }));
      const fromChannel = look.mock.calls.length;
      events.dispatchEvent(Object.assign(new Event('storage'), { key: null }));
      return [fromChannel > 0, look.mock.calls.length > fromChannel];
    };
    expect(stir()).toEqual([true, true]);
    page.close();
    expect(stir()).toEqual([false, false]);
  });
});
