// Which questions go together, and what each of them is told: before a Gatehouse that notes what it is asked and answers when it is told.
import { request as requestOf, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished, vi } from 'vitest';

import {
  createIntrospector,
  type GatehouseOptions,
  type Introspector,
  type Refusal,
} from '../../../packages/resource-server/src/introspector.js';
import { claimsOf } from '../../support/house.js';
import { stopClock } from '../../support/stopped-clock.js';
import { hearWarnings, listen, openStage } from './stage.js';

const CREDENTIALS = { clientId: 'orders', clientSecret: 'secret' };

type Json = Record<string, unknown>;

interface Asked {
  route: string | undefined;
  contentType: string | undefined;
  bytes: number;
  tokens: string[];
  /** Sends the answer; without one that every token is alive, as the user of its name. */
  answer: (status?: number, body?: unknown, headers?: Record<string, string>) => void;
  /** Ends the connection instead. */
  hangUp: () => void;
}

/** Notes every request in `asked`, and gives it to `handle`, which may answer it at once, later or never. */
async function openFake(handle: (asked: Asked) => void = () => undefined) {
  const asked: Asked[] = [];
  async function note(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    const isBatch = request.headers['content-type'] === 'application/json';
    const tokens = isBatch
      ? (JSON.parse(body) as { tokens: string[] }).tokens
      : new URLSearchParams(body).getAll('token');
    const one: Asked = {
      route: request.url,
      contentType: request.headers['content-type'],
      bytes: Buffer.byteLength(body),
      tokens,
      answer: (
        status = 200,
        given = isBatch ? { results: tokens.map(live) } : live(tokens[0]),
        headers = {},
      ) => {
        response.writeHead(status, { 'content-type': 'application/json', ...headers });
        response.end(JSON.stringify(given));
      },
      hangUp: () => response.destroy(),
    };
    asked.push(one);
    handle(one);
  }
  const { url } = await listen((request, response) => void note(request, response));
  return { url, asked, routes: () => asked.map(({ route, tokens }) => [route, tokens]) };
}

function live(token: string | undefined): Json {
  const now = Math.floor(Date.now() / 1000);
  const texts = { iss: 'iss', aud: 'aud', client_id: 'c', username: 'u', sid: 'sid', jti: 'jti' };
  const times = { iat: now, exp: now + 600, auth_time: now, session_exp: now + 600 };
  return { active: true, sub: token, ...texts, ...times, token_type: 'Bearer' };
}

function open(url: string, options: Partial<GatehouseOptions> = {}): Introspector {
  const introspect = createIntrospector({ ...CREDENTIALS, url, timeoutMs: 30_000, ...options });
  onTestFinished(introspect.close);
  return introspect;
}

/** Of each: whose token it is, or the status of the refusal. */
function ask(introspect: Introspector, ...tokens: string[]): Promise<(string | number)[]> {
  return Promise.all(
    tokens.map((token) =>
      introspect(`Bearer ${token}`).then(
        ({ user }) => user.sub,
        (refusal: unknown) => (refusal as Refusal).status,
      ),
    ),
  );
}

/** Time passes for those who wait for others only when the test says so. */
function stopTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
}

describe('questions', () => {
  it('that are alone go to /introspect, one after the other', async () => {
    const { url, asked } = await openFake((one) => one.answer());
    const introspect = open(url);
    expect(await ask(introspect, 'a')).toEqual(['a']);
    expect(await ask(introspect, 'b')).toEqual(['b']);
    expect(asked).toMatchObject([
      { route: '/introspect', contentType: 'application/x-www-form-urlencoded', tokens: ['a'] },
      { route: '/introspect', tokens: ['b'] },
    ]);
  });

  it('that come together go in one request, and each gets its own answer', async () => {
    const { url, asked } = await openFake(({ answer, tokens }) =>
      answer(200, { results: tokens.map((token) => (token === 'b' ? { active: false } : live(token))) }),
    );
    expect(await ask(open(`${url}/auth/`), 'a', 'b', 'c', 'a')).toEqual(['a', 401, 'c', 'a']);
    expect(asked).toMatchObject([
      { route: '/auth/introspect/batch', contentType: 'application/json', tokens: ['a', 'b', 'c', 'a'] },
    ]);
  });

  it('never join a request that was sent: what ended in between has ended for them', async () => {
    const fake = await openFake();
    const introspect = open(fake.url);
    const before = ask(introspect, 'a');
    await expect.poll(() => fake.asked.length).toBe(1);
    // The service has decided about the first question. The session ends while that answer is on its way.
    const after = ask(introspect, 'a', 'b');
    await expect.poll(() => fake.asked.length).toBe(2);
    fake.asked[0]?.answer();
    expect(await before).toEqual(['a']);
    fake.asked[1]?.answer(200, { results: [{ active: false }, live('b')] });
    expect(await after).toEqual([401, 'b']);
    expect(fake.routes()).toEqual([
      ['/introspect', ['a']],
      ['/introspect/batch', ['a', 'b']],
    ]);
  });

  it('wait together while one is under way, and leave with its answer', async () => {
    const fake = await openFake();
    const introspect = open(fake.url);
    stopTimers();
    const first = ask(introspect, 'a');
    await expect.poll(() => fake.asked.length).toBe(1);
    const others = [ask(introspect, 'b'), ask(introspect, 'c')];
    // What would leave at once has left long after this.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    others.push(ask(introspect, 'd'));
    fake.asked[0]?.answer();
    expect(await first).toEqual(['a']);
    await expect.poll(() => fake.asked.length).toBe(2);
    expect(fake.asked[1]?.tokens).toEqual(['b', 'c', 'd']);
    fake.asked[1]?.answer();
    expect(await Promise.all(others)).toEqual([['b'], ['c'], ['d']]);
  });

  it('wait for 5 ms at most, however long the one under way takes', async () => {
    const fake = await openFake();
    const introspect = open(fake.url);
    stopTimers();
    const first = ask(introspect, 'a');
    await expect.poll(() => fake.asked.length).toBe(1);
    const second = ask(introspect, 'b', 'c');
    await vi.advanceTimersByTimeAsync(4);
    const third = ask(introspect, 'd');
    await vi.advanceTimersByTimeAsync(1);
    await expect.poll(() => fake.asked.length).toBe(2);
    fake.asked[1]?.answer();
    expect(await Promise.all([second, third])).toEqual([['b', 'c'], ['d']]);
    fake.asked[0]?.answer();
    expect(await first).toEqual(['a']);
    expect(fake.routes()[1]).toEqual(['/introspect/batch', ['b', 'c', 'd']]);
  });

  it('are 256 at most in one request, which stays below 1 MiB with the longest tokens', async () => {
    const fake = await openFake((one) => one.answer());
    const tokens = Array.from({ length: 600 }, (_, turn) => `${turn}.`.padEnd(3800, 'x'));
    expect(await ask(open(fake.url), ...tokens)).toEqual(tokens);
    const bySize = fake.asked.toSorted((one, other) => other.tokens.length - one.tokens.length);
    expect(bySize.map((one) => one.tokens.length)).toEqual([256, 256, 88]);
    expect(bySize[0]?.bytes).toBeLessThan(1024 * 1024);
  });

  it('about texts that cannot be tokens are answered without Gatehouse', async () => {
    const fake = await openFake((one) => one.answer());
    const wrong = ['a+b', 'a/b', 'a=', 'a~', 'é', 'x'.repeat(3801)];
    expect(await ask(open(fake.url), 'a', ...wrong, 'b')).toEqual(['a', ...wrong.map(() => 401), 'b']);
    expect(fake.routes()).toEqual([['/introspect/batch', ['a', 'b']]]);
  });

  it('that wait are asked before the connections close', async () => {
    const fake = await openFake();
    const introspect = createIntrospector({ ...CREDENTIALS, url: fake.url, timeoutMs: 30_000 });
    stopTimers();
    const first = ask(introspect, 'a');
    await expect.poll(() => fake.asked.length).toBe(1);
    const second = ask(introspect, 'b');
    const closing = introspect.close();
    await expect.poll(() => fake.asked.length).toBe(2);
    for (const one of fake.asked) one.answer();
    expect(await Promise.all([first, second])).toEqual([['a'], ['b']]);
    await closing;
  });
});

describe('a successor', () => {
  it('goes to the one whose token it follows', async () => {
    const { url } = await openFake(({ answer }) =>
      answer(200, {
        results: [
          live('a'),
          { ...live('b'), refreshed_token: 'b.1' },
          { active: false, refreshed_token: 'c.1' },
        ],
      }),
    );
    const introspect = open(url);
    const [a, b, c] = await Promise.allSettled(['a', 'b', 'c'].map((token) => introspect(`Bearer ${token}`)));
    expect(a).toMatchObject({ value: { refreshedToken: undefined, headers: {} } });
    expect(b).toMatchObject({ value: { refreshedToken: 'b.1', headers: { 'refreshed-api-token': 'b.1' } } });
    expect(b).not.toHaveProperty('value.user.refreshed_token');
    expect(c).toMatchObject({ reason: { status: 401, headers: { 'refreshed-api-token': 'c.1' } } });
  });
});

describe('what is remembered with cacheSeconds', () => {
  it('comes from joined questions as well', async () => {
    const fake = await openFake((one) => one.answer());
    const introspect = open(fake.url, { cacheSeconds: 60 });
    for (let turn = 0; turn < 3; turn += 1) expect(await ask(introspect, 'a', 'b')).toEqual(['a', 'b']);
    expect(fake.asked).toHaveLength(1);
  });
});

describe('where a batch cannot be read', () => {
  it.each([400, 413])('each token is asked about singly, once, after %i', async (status) => {
    const fake = await openFake(({ route, tokens, answer }) => {
      if (route === '/introspect/batch') answer(status, {});
      else if (tokens[0] === 'b') answer(400, {});
      else answer();
    });
    const introspect = open(fake.url);
    expect(await ask(introspect, 'a', 'b', 'c')).toEqual(['a', 503, 'c']);
    expect(fake.asked.map(({ route }) => route)).toEqual([
      '/introspect/batch',
      ...Array<string>(3).fill('/introspect'),
    ]);
    expect(
      fake.asked
        .slice(1)
        .map(({ tokens }) => tokens[0])
        .sort(),
    ).toEqual(['a', 'b', 'c']);
    // The next ones may be readable.
    await ask(introspect, 'd', 'e');
    expect(fake.asked[4]?.route).toBe('/introspect/batch');
  });
});

describe('where the route for many is forbidden', () => {
  it.each([401, 403])('nothing is asked singly, and the log names the route: %i', async (status) => {
    const fake = await openFake(({ answer }) => answer(status, {}));
    const introspect = open(fake.url);
    const asking = ['a', 'b'].map((token) => introspect(`Bearer ${token}`));
    for (const asked of asking)
      await expect(asked).rejects.toMatchObject({
        status: 503,
        cause: { message: expect.stringContaining('refuses /introspect/batch alone') as string },
      });
    expect(fake.routes()).toEqual([['/introspect/batch', ['a', 'b']]]);
    const single = introspect('Bearer a');
    await expect(single).rejects.toMatchObject({
      status: 503,
      cause: { message: expect.not.stringContaining('batch') as string },
    });
  });
});

describe('where the route for many is missing', () => {
  it.each([404, 405, 415])('each token is asked about singly, and that is said once: %i', async (status) => {
    const warnings = hearWarnings();
    const advance = stopClock();
    const fake = await openFake(({ route, answer }) => {
      if (route === '/introspect/batch') answer(status, {});
      else answer();
    });
    const introspect = open(fake.url);
    const batches = () => fake.asked.filter(({ route }) => route === '/introspect/batch').length;
    for (let turn = 0; turn < 3; turn += 1) expect(await ask(introspect, 'a', 'b')).toEqual(['a', 'b']);
    expect([fake.asked.length, batches()]).toEqual([7, 1]);
    // Once in a minute it looks whether the route is there by now.
    await advance(60_000);
    for (let turn = 0; turn < 3; turn += 1) expect(await ask(introspect, 'a', 'b')).toEqual(['a', 'b']);
    expect([fake.asked.length, batches()]).toEqual([14, 2]);
    expect(warnings).toEqual([
      [
        expect.stringContaining(`Gatehouse answered ${status} to /introspect/batch`),
        { type: 'GatehouseWarning', code: 'GATEHOUSE_WITHOUT_BATCHES' },
      ],
    ]);
  });

  it('nobody waits for others', async () => {
    hearWarnings();
    const held: Asked[] = [];
    const fake = await openFake((one) => {
      if (one.route === '/introspect/batch') one.answer(404, {});
      else if (one.tokens[0] === 'held') held.push(one);
      else one.answer();
    });
    const introspect = open(fake.url);
    await ask(introspect, 'a', 'b');
    stopTimers();
    const waiting = ask(introspect, 'held');
    await expect.poll(() => held.length).toBe(1);
    expect(await ask(introspect, 'c', 'd')).toEqual(['c', 'd']);
    held[0]?.answer();
    expect(await waiting).toEqual(['held']);
  });
});

describe('what a batch is told is told to each of its questions', () => {
  /** Refuses all of a batch, and would say yes to single questions. */
  async function refuse(handle: (one: Asked) => void, options: Partial<GatehouseOptions> = {}) {
    const fake = await openFake((one) => {
      if (one.route === '/introspect/batch') handle(one);
      else one.answer();
    });
    const introspect = open(fake.url, options);
    const settled = await Promise.allSettled(['a', 'b', 'c'].map((token) => introspect(`Bearer ${token}`)));
    const refusals = settled.map((one) => (one.status === 'rejected' ? (one.reason as Refusal) : null));
    return { requests: fake.routes(), refusals };
  }

  it.each<[string, number, (one: Asked) => void, string]>([
    ['503', 2, ({ answer }) => answer(503, {}, { 'retry-after': '7' }), 'Gatehouse answered 503.'],
    ['429', 1, ({ answer }) => answer(429, {}, { 'retry-after': '7' }), 'Gatehouse answered 429.'],
    ['500', 1, ({ answer }) => answer(500, {}, { 'retry-after': '7' }), 'Gatehouse answered 500.'],
  ])('%s, asked %i times at most', async (_what, most, handle, reason) => {
    const { requests, refusals } = await refuse(handle);
    expect(requests).toEqual(Array(most).fill(['/introspect/batch', ['a', 'b', 'c']]));
    expect(refusals).toHaveLength(3);
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({
        status: 503,
        headers: { 'retry-after': '7' },
        cause: { message: reason },
      });
    }
  });

  it.each<[string, (one: Asked) => void, object]>([
    ['no answer', ({ hangUp }) => hangUp(), {}],
    ['no answer in time', () => undefined, { timeoutMs: 300 }],
    ['a wrong secret', ({ answer }) => answer(401, {}), {}],
    ['a missing permission', ({ answer }) => answer(403, {}), {}],
  ])('%s', async (_what, handle, options) => {
    const { requests, refusals } = await refuse(handle, options);
    expect(new Set(requests.map(([route]) => route))).toEqual(new Set(['/introspect/batch']));
    expect(refusals.map((refusal) => refusal?.status)).toEqual([503, 503, 503]);
  });

  const good = ['a', 'b', 'c'].map(live);
  it.each<[string, unknown]>([
    ['nothing', {}],
    ['a list without its member', good],
    ['results that are no list', { results: { 0: good[0], 1: good[1], 2: good[2], length: 3 } }],
    ['one result too few', { results: good.slice(1) }],
    ['one result too many', { results: [...good, live('d')] }],
    ['a result that is null', { results: [good[0], null, good[2]] }],
    ['a result that is a list', { results: [good[0], [good[1]], good[2]] }],
    ['a result that is a text', { results: [good[0], 'b', good[2]] }],
    ['a result that says nothing', { results: [good[0], {}, good[2]] }],
    ['a result with `active` as a text', { results: [good[0], { ...good[1], active: 'true' }, good[2]] }],
    ['a result without sub', { results: [good[0], { ...good[1], sub: undefined }, good[2]] }],
    ['a successor that is no token', { results: [good[0], { ...good[1], refreshed_token: 'a b' }, good[2]] }],
    ['a successor that is null', { results: [good[0], { ...good[1], refreshed_token: null }, good[2]] }],
  ])('an answer that is none: %s', async (_what, body) => {
    const { requests, refusals } = await refuse(({ answer }) => answer(200, body));
    expect(requests).toEqual([['/introspect/batch', ['a', 'b', 'c']]]);
    expect(refusals).toHaveLength(3);
    for (const refusal of refusals)
      expect(refusal).toMatchObject({ status: 503, cause: { name: 'Unanswered', isMisconfigured: true } });
  });
});

describe('a real Gatehouse', () => {
  it('says of joined questions what it says of single ones', async () => {
    const stage = await openStage();
    onTestFinished(stage.close);
    const routes: string[] = [];
    // Passes everything on, and notes where to.
    const between = await listen((request, response) => {
      routes.push(request.url ?? '');
      const { method, headers } = request;
      const onward = requestOf(`${stage.options.url}${request.url}`, { method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 0, answer.headers);
        answer.pipe(response);
      });
      request.pipe(onward);
    });
    const introspect = open(between.url, { ...stage.options, url: between.url });
    const [ada, ben, eve] = [await stage.logIn(), await stage.logIn(), await stage.logIn()];
    // Near the end, so that the living ones have successors.
    await stage.house.database.clock.set(500);
    await stage.logOut(ben);
    const tokens = [ada.access_token, ben.access_token, 'nonsense', ada.refresh_token, eve.access_token];
    const say = (token: string) =>
      introspect(`Bearer ${token}`).catch((refusal: unknown) => {
        const { status, headers } = refusal as Refusal;
        return { status, headers };
      });
    const singly: unknown[] = [];
    for (const token of tokens) singly.push(await say(token));
    expect(routes).toEqual(tokens.map(() => '/introspect'));
    expect(await Promise.all(tokens.map(say))).toEqual(singly);
    expect(routes.slice(tokens.length)).toEqual(['/introspect/batch']);
    expect(singly).toMatchObject([
      { user: claimsOf(ada.access_token), refreshedToken: expect.any(String) as string },
      { status: 401 },
      { status: 401 },
      { status: 401 },
      { user: claimsOf(eve.access_token), refreshedToken: expect.any(String) as string },
    ]);
  });
});
