// What may be remembered of a live token, and for how long: nothing, unless the operator says otherwise.
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';

import { createIntrospector, type Introspector } from '../../../packages/resource-server/src/introspector.js';
import { bearer, type TokenPair } from '../../support/house.js';
import { stopClock } from '../../support/stopped-clock.js';
import { listen, openOrders, openStage, type Stage } from './stage.js';

let stage: Stage;
let pair: TokenPair;

beforeAll(async () => {
  stage = await openStage();
});
beforeEach(async () => {
  await stage.house.database.clock.set(0);
  pair = await stage.logIn();
});
afterAll(() => stage.close());

function open(cacheSeconds: number, url = stage.options.url): Introspector {
  const introspect = createIntrospector({ ...stage.options, url, cacheSeconds });
  onTestFinished(introspect.close);
  return introspect;
}

function isLive(introspect: Introspector, token: string): Promise<boolean> {
  return introspect(bearer(token).authorization).then(
    () => true,
    () => false,
  );
}

it('keeps nothing by default: a logout counts at the next request', async () => {
  const orders = await openOrders(stage.options);
  for (let turn = 0; turn < 3; turn += 1) {
    const own = await stage.logIn();
    expect((await orders.get('/me', own.access_token)).statusCode).toBe(200);
    await stage.logOut(own);
    expect((await orders.get('/me', own.access_token)).statusCode).toBe(401);
  }
});

describe('with cacheSeconds', () => {
  it('lets a logout go unnoticed so long, and no longer', async () => {
    const introspect = open(2);
    const advance = stopClock();
    expect(await isLive(introspect, pair.access_token)).toBe(true);
    await stage.logOut(pair);
    expect(await isLive(introspect, pair.access_token)).toBe(true);
    await advance(2000);
    expect(await isLive(introspect, pair.access_token)).toBe(true);
    await advance(1);
    expect(await isLive(introspect, pair.access_token)).toBe(false);
  });

  it('counts from when it asked, and not from when the answer came: a verdict is no younger than its question', async () => {
    const advance = stopClock();
    let answerSlowly = () => advance(1500);
    const fake = await listen((_request, response) => {
      void answerSlowly().then(() => {
        response.setHeader('content-type', 'application/json').end(answerOf(600));
      });
    });
    const introspect = open(2, fake.url);
    await introspect('Bearer a.b.c');
    answerSlowly = () => Promise.resolve();
    await advance(500);
    await introspect('Bearer a.b.c');
    expect(fake.requests()).toBe(1);
    await advance(1);
    await introspect('Bearer a.b.c');
    expect(fake.requests()).toBe(2);
  });

  it('is not younger after it was asked for often: only a new question makes it so', async () => {
    const advance = stopClock();
    const fake = await listen((_request, response) => {
      response.setHeader('content-type', 'application/json').end(answerOf(600));
    });
    const introspect = open(2, fake.url);
    for (let turn = 0; turn <= 4; turn += 1) {
      await introspect('Bearer a.b.c');
      expect([turn, fake.requests()]).toEqual([turn, 1]);
      await advance(turn === 4 ? 1 : 500);
    }
    await introspect('Bearer a.b.c');
    expect(fake.requests()).toBe(2);
  });

  it('of a fraction of a second is as exact', async () => {
    const advance = stopClock();
    const fake = await listen((_request, response) => {
      response.setHeader('content-type', 'application/json').end(answerOf(600));
    });
    const introspect = open(0.25, fake.url);
    await introspect('Bearer a.b.c');
    await advance(250);
    await introspect('Bearer a.b.c');
    expect(fake.requests()).toBe(1);
    await advance(1);
    await introspect('Bearer a.b.c');
    expect(fake.requests()).toBe(2);
  });

  it('asks once for all requests of that time, and remembers scope by scope', async () => {
    const fake = await listen((_request, response) => {
      const iat = Math.floor(Date.now() / 1000);
      response.setHeader('content-type', 'application/json').end(answer({ iat, exp: iat + 600 }));
    });
    const introspect = open(60, fake.url);
    for (let turn = 0; turn < 10; turn += 1)
      expect((await introspect('Bearer a.b.c', { scope: 'orders:read' })).user.sub).toBe('sub');
    await expect(introspect('Bearer a.b.c', { scope: 'orders:write' })).rejects.toMatchObject({
      status: 403,
    });
    expect(fake.requests()).toBe(1);
    // The same token in another spelling, for all we know: it is asked about itself.
    await introspect('Bearer a.b.d');
    expect(fake.requests()).toBe(2);
  });

  it('remembers no refusal: what was dead is asked about again', async () => {
    const fake = await listen((_request, response) => {
      response.setHeader('content-type', 'application/json').end('{"active":false}');
    });
    const introspect = open(60, fake.url);
    for (let turn = 0; turn < 3; turn += 1)
      await expect(introspect('Bearer a.b.c')).rejects.toMatchObject({ status: 401 });
    expect(fake.requests()).toBe(3);
  });

  it('remembers nothing of a token near its end, so that each request gets the successor', async () => {
    const introspect = open(60);
    await stage.house.database.clock.set(500);
    for (let turn = 0; turn < 3; turn += 1) {
      const { headers } = await introspect(bearer(pair.access_token).authorization);
      expect(headers).toHaveProperty('refreshed-api-token');
    }
    await stage.logOut(pair);
    expect(await isLive(introspect, pair.access_token)).toBe(false);
  });

  it.each([
    ['a token that is expired by our clock', { before: 600, life: 600 }],
    ['a token within its renewal window', { before: 500, life: 600 }],
    ['a short token within its window', { before: 16, life: 30 }],
  ])('never keeps %s', async (_what, { before, life }) => {
    const fake = await listen((_request, response) => {
      const iat = Math.floor(Date.now() / 1000) - before;
      response.setHeader('content-type', 'application/json').end(answer({ iat, exp: iat + life }));
    });
    const introspect = open(60, fake.url);
    for (let turn = 0; turn < 3; turn += 1) await introspect('Bearer a.b.c');
    expect(fake.requests()).toBe(3);
  });

  it.each<[string, () => string | undefined]>([
    ['whose date is ahead of our clock', () => new Date(Date.now() + 500_000).toUTCString()],
    ['without a date', () => undefined],
  ])('never keeps an answer %s', async (_what, dateOf) => {
    const fake = await listen((_request, response) => {
      response.sendDate = false;
      const date = dateOf();
      if (date !== undefined) response.setHeader('date', date);
      const iat = Math.floor(Date.now() / 1000);
      response.setHeader('content-type', 'application/json').end(answer({ iat, exp: iat + 600 }));
    });
    const introspect = open(60, fake.url);
    for (let turn = 0; turn < 3; turn += 1) await introspect('Bearer a.b.c');
    expect(fake.requests()).toBe(3);
  });

  it('never keeps an answer whose date is behind our clock, where the token is near its end by ours', async () => {
    const fake = await listen((_request, response) => {
      response.setHeader('date', new Date(Date.now() - 500_000).toUTCString());
      response.setHeader('content-type', 'application/json').end(answerOf(100));
    });
    const introspect = open(60, fake.url);
    for (let turn = 0; turn < 3; turn += 1) await introspect('Bearer a.b.c');
    expect(fake.requests()).toBe(3);
  });

  it('never keeps a token whose renewal window begins at this very moment', async () => {
    const nowMs = Math.floor(Date.now() / 1000) * 1000;
    const clock = vi.spyOn(Date, 'now').mockReturnValue(nowMs);
    onTestFinished(() => clock.mockRestore());
    const fake = await listen((_request, response) => {
      const iat = nowMs / 1000 - 480;
      response.setHeader('date', new Date(nowMs).toUTCString());
      response.setHeader('content-type', 'application/json').end(answer({ iat, exp: iat + 600 }));
    });
    const introspect = open(60, fake.url);
    for (let turn = 0; turn < 3; turn += 1) await introspect('Bearer a.b.c');
    expect(fake.requests()).toBe(3);
  });

  it('keeps a token until its renewal window begins, when that is sooner', async () => {
    const advance = stopClock();
    const nowMs = 1_900_000_000_000;
    const today = vi.spyOn(Date, 'now').mockReturnValue(nowMs);
    onTestFinished(() => today.mockRestore());
    const fake = await listen((_request, response) => {
      response.setHeader('date', new Date(nowMs).toUTCString());
      const iat = nowMs / 1000;
      response.setHeader('content-type', 'application/json').end(answer({ iat, exp: iat + 60 }));
    });
    const introspect = open(120, fake.url);
    await introspect('Bearer a.b.c');
    await advance(30_000);
    await introspect('Bearer a.b.c');
    expect(fake.requests()).toBe(1);
    await advance(1);
    await introspect('Bearer a.b.c');
    expect(fake.requests()).toBe(2);
  });
});

/** Of a token of 600 s that ends in so many seconds. */
function answerOf(seconds: number): string {
  const exp = Math.floor(Date.now() / 1000) + seconds;
  return answer({ iat: exp - 600, exp });
}

function answer(times: { iat: number; exp: number }): string {
  const texts = { iss: 'iss', sub: 'sub', aud: 'aud', client_id: 'c', username: 'u', sid: 'sid', jti: 'jti' };
  const session = { auth_time: times.iat, session_exp: times.exp };
  const scope = 'orders:read';
  return JSON.stringify({ active: true, ...texts, scope, ...times, ...session, token_type: 'Bearer' });
}
