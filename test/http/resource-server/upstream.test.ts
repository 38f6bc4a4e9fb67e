// When Gatehouse cannot be asked, or what answers is not Gatehouse: 503 within the deadline, never yes and never no.
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RequestListener } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';

import {
  createIntrospector,
  Refusal,
  type Introspector,
} from '../../../packages/resource-server/src/introspector.js';
import { createBlackHole } from '../../support/black-hole.js';
import { claimsOf, type TokenPair } from '../../support/house.js';
import { findFreePort } from '../../../packages/lab/shared/ports.js';
import { hearWarnings, listen, openOrders, openStage, type Stage } from './stage.js';

const TOKEN = 'Bearer some.access.token';
const ALL_CLAIMS =
  'iss, sub, client_id, username, sid, jti, aud, iat, exp, auth_time, session_exp, token_type';
const CREDENTIALS = { clientId: 'orders', clientSecret: 'secret' };

let stage: Stage;
let pair: TokenPair;

beforeAll(async () => {
  stage = await openStage();
});
beforeEach(async () => {
  pair = await stage.logIn();
});
afterAll(() => stage.close());

/** Patient, unless the test is about that. */
function open(url: string, { timeoutMs = 30_000 } = {}): Introspector {
  const introspect = createIntrospector({ url, ...CREDENTIALS, timeoutMs });
  onTestFinished(introspect.close);
  return introspect;
}

/** What a question is refused with; fails the test when it is not. */
async function refusalOf(asked: Promise<unknown>): Promise<Refusal & { reason: string; tookMs: number }> {
  const startedAtMs = performance.now();
  const error = await asked.then(
    () => new Error('not refused'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof Refusal)) throw error;
  const reason = error.cause instanceof Error ? error.cause.message : '';
  return Object.assign(error, { reason, tookMs: performance.now() - startedAtMs });
}

/** An answer as Gatehouse gives it, with some of it replaced. */
function answering(status: number, body: unknown, headers: Record<string, string> = {}): RequestListener {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
}

/** A Gatehouse that has no route for many: questions that come together are asked in parallel. */
function singly(listener: RequestListener): RequestListener {
  hearWarnings();
  return (request, response) => {
    const answer = request.url === '/introspect/batch' ? answering(404, {}) : listener;
    answer(request, response);
  };
}

function claims(): Record<string, unknown> {
  return { active: true, ...claimsOf(pair.access_token), token_type: 'Bearer' };
}

describe('an answer that is none', () => {
  it('is told from a good one', async () => {
    const { url } = await listen(answering(200, claims()));
    expect((await open(url)(TOKEN)).user).toEqual(claimsOf(pair.access_token));
  });

  it('is told from one that is nested deeper than any of Gatehouse, which is only slow to read', async () => {
    const depth = 20_000;
    const ext = `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`;
    const act = `${'{"sub":"a","act":'.repeat(depth)}{"sub":"a"}${'}'.repeat(depth)}`;
    const body = JSON.stringify({ ...claims(), ext: 'EXT', act: 'ACT' });
    const { url } = await listen(answering(200, body.replace('"EXT"', ext).replace('"ACT"', act)));
    const { user } = await open(url)(TOKEN);
    expect(Object.isFrozen(user.ext?.['a'])).toBe(true);
    expect(user.act?.act?.act?.sub).toBe('a');
  });

  it.each([
    ['no scope', { scope: undefined }],
    ['a time that is 0', { auth_time: 0 }],
  ])('is not one with %s', async (_what, some) => {
    const { url } = await listen(answering(200, { ...claims(), ...some }));
    expect((await open(url)(TOKEN)).user.sub).toBe(claimsOf(pair.access_token).sub);
  });

  it.each([
    ['"text"', 'is not a JSON object'],
    ['[]', 'is not a JSON object'],
    ['{}', 'does not say whether the token is active'],
    ['{"active":true}', `lacks a good ${ALL_CLAIMS}`],
  ])('says what is wrong with it: %s', async (body, what) => {
    const { url } = await listen(answering(200, body));
    const { reason, cause } = await refusalOf(open(url)(TOKEN));
    expect(reason).toBe(`What answers at \`url\` ${what}: is it Gatehouse?`);
    expect(cause).toMatchObject({ name: 'Unanswered', isMisconfigured: true });
  });

  it('names the member of the claims that is wrong', async () => {
    const { url } = await listen(answering(200, { ...claims(), exp: -1, scope: 'a  b' }));
    const { reason } = await refusalOf(open(url)(TOKEN));
    expect(reason).toBe('What answers at `url` lacks a good exp, scope: is it Gatehouse?');
  });

  const jwtLike = { 'refreshed-api-token': 'not a token' };
  it.each<[string, () => RequestListener]>([
    ['502 in HTML', () => answering(502, '<html>Bad gateway</html>', { 'content-type': 'text/html' })],
    ['200 in HTML', () => answering(200, '<html>Log in</html>', { 'content-type': 'text/html' })],
    ['JSON that says it is HTML', () => answering(200, claims(), { 'content-type': 'text/html' })],
    ['JSON of another kind', () => answering(200, claims(), { 'content-type': 'application/json-seq' })],
    ['a type that ends as ours', () => answering(200, claims(), { 'content-type': 'x-application/json' })],
    ['an empty object', () => answering(200, {})],
    ['nothing', () => answering(200, '')],
    ['null', () => answering(200, 'null')],
    ['a list', () => answering(200, [claims()])],
    ['half an answer', () => answering(200, JSON.stringify(claims()).slice(0, -20))],
    ['active as a text', () => answering(200, { ...claims(), active: 'true' })],
    ['active as a number', () => answering(200, { ...claims(), active: 1 })],
    ['inactive as a text', () => answering(200, { active: 'false' })],
    ['inactive as null', () => answering(200, { active: null })],
    ['active and nothing else', () => answering(200, { active: true })],
    ['no sub', () => answering(200, { ...claims(), sub: undefined })],
    ['an empty sub', () => answering(200, { ...claims(), sub: '' })],
    ['a sub that is a list', () => answering(200, { ...claims(), sub: ['a'] })],
    ['an exp before 1970', () => answering(200, { ...claims(), exp: -1 })],
    ['an exp that is a text', () => answering(200, { ...claims(), exp: '1e9' })],
    ['a scope that is a list', () => answering(200, { ...claims(), scope: ['orders:read'] })],
    ['no audience', () => answering(200, { ...claims(), aud: undefined })],
    ['an empty audience', () => answering(200, { ...claims(), aud: '' })],
    ['an empty list of audiences', () => answering(200, { ...claims(), aud: [] })],
    [
      'an audience that is an object',
      () => answering(200, { ...claims(), aud: { 0: 'gatehouse', length: 1 } }),
    ],
    ['audiences of which one is empty', () => answering(200, { ...claims(), aud: ['gatehouse', ''] })],
    ['audiences of which one is a list', () => answering(200, { ...claims(), aud: ['a', ['gatehouse']] })],
    ['an ext that is a list', () => answering(200, { ...claims(), ext: [] })],
    ['an ext that is a text', () => answering(200, { ...claims(), ext: '{}' })],
    ['an ext that is null', () => answering(200, { ...claims(), ext: null })],
    ['methods that are a text', () => answering(200, { ...claims(), amr: 'pwd' })],
    ['no methods in a list', () => answering(200, { ...claims(), amr: [] })],
    ['a method that is a number', () => answering(200, { ...claims(), amr: ['pwd', 1] })],
    ['a context that is a list', () => answering(200, { ...claims(), acr: ['silver'] })],
    ['an empty context', () => answering(200, { ...claims(), acr: '' })],
    ['an actor that is a text', () => answering(200, { ...claims(), act: 'robot' })],
    ['an actor without a name', () => answering(200, { ...claims(), act: { act: { sub: 'robot' } } })],
    ['an actor before without a name', () => answering(200, { ...claims(), act: { sub: 'robot', act: {} } })],
    ['an actor before that is null', () => answering(200, { ...claims(), act: { sub: 'robot', act: null } })],
    [
      'an actor of a client that is none',
      () => answering(200, { ...claims(), act: { sub: 'a', client_id: 7 } }),
    ],
    ['another type of token', () => answering(200, { ...claims(), token_type: 'mac' })],
    ['a successor that is no token', () => answering(200, claims(), jwtLike)],
    ['204', () => answering(204, '')],
    ['a redirect', () => answering(302, '', { location: '/elsewhere' })],
    ['400', () => answering(400, { error: 'invalid_request' })],
    ['401', () => answering(401, { active: false })],
    ['404', () => answering(404, { active: false })],
    ['500', () => answering(500, { active: false })],
  ])('is neither yes nor no: %s', async (_what, listener) => {
    const { url } = await listen(listener());
    const refusal = await refusalOf(open(url)(TOKEN));
    expect(refusal).toMatchObject({ status: 503, error: 'temporarily_unavailable' });
    expect(refusal.headers).toMatchObject({ 'retry-after': '1', 'cache-control': 'no-store' });
    expect(refusal.headers).not.toHaveProperty('refreshed-api-token');
    expect(refusal.reason).not.toContain('some.access.token');
    expect(refusal.body).not.toContain(refusal.reason);
  });

  it('does not follow a redirect to one that would say yes', async () => {
    const liar = await listen(answering(200, claims()));
    const { url } = await listen(answering(307, '', { location: liar.url }));
    expect(await refusalOf(open(url)(TOKEN))).toMatchObject({ status: 503 });
    expect(liar.requests()).toBe(0);
  });

  it('is not read to its end when it has none', async () => {
    let written = 0;
    const { url } = await listen((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.on('error', () => undefined);
      const pour = () => {
        while (!response.destroyed && response.write('x'.repeat(16_384))) written += 16_384;
      };
      response.on('drain', pour);
      pour();
    });
    const refusal = await refusalOf(open(url)(TOKEN));
    expect(refusal).toMatchObject({ status: 503, reason: expect.stringContaining('UND_ERR') as string });
    // Two attempts, and what the sockets hold.
    expect(written).toBeLessThan(32 * 1024 * 1024);
  });
});

describe('the second attempt', () => {
  it('takes a 503 of one replica for what it is, and the word of the next', async () => {
    let asked = 0;
    const { url } = await listen((request, response) => {
      asked += 1;
      const answer = asked === 1 ? answering(503, {}) : answering(200, claims());
      answer(request, response);
    });
    expect((await open(url)(TOKEN)).user).toEqual(claimsOf(pair.access_token));
    expect(asked).toBe(2);
  });

  it('is the last, and hands on how long to wait', async () => {
    const fake = await listen(answering(503, {}, { 'retry-after': '7' }));
    const refusal = await refusalOf(open(fake.url)(TOKEN));
    expect(refusal.headers['retry-after']).toBe('7');
    expect(fake.requests()).toBe(2);
  });

  it.each([
    ['999999', '1'],
    ['3600', '60'],
    ['0', '1'],
    ['Sun, 06 Nov 1994 08:49:37 GMT', '1'],
  ])('makes a Retry-After of %s one of %s', async (given, handedOn) => {
    const { url } = await listen(answering(429, {}, { 'retry-after': given }));
    expect((await refusalOf(open(url)(TOKEN))).headers['retry-after']).toBe(handedOn);
  });

  it.each([
    ['429', 429],
    ['a wrong secret', 401],
    ['a bug', 500],
  ])('is not made after %s', async (_what, status) => {
    const fake = await listen(answering(status, {}));
    expect(await refusalOf(open(fake.url)(TOKEN))).toMatchObject({ status: 503 });
    expect(fake.requests()).toBe(1);
  });

  it('mends kept connections that all break under their second question', async () => {
    const used = new WeakSet<object>();
    const answerOnce: RequestListener = (request, response) => {
      // Closed by the other side, as one that was idle too long.
      if (used.has(request.socket)) {
        request.socket.destroy();
        return;
      }
      used.add(request.socket);
      answering(200, claims())(request, response);
    };
    const fake = await listen(singly(answerOnce));
    const introspect = open(fake.url);
    for (let turn = 0; turn < 5; turn += 1) {
      const admitted = await Promise.all(Array.from({ length: 20 }, () => introspect(TOKEN)));
      expect(admitted[19]?.user).toEqual(claimsOf(pair.access_token));
    }
    expect(fake.requests()).toBeGreaterThan(100);
  });

  it('is made after half an answer, too', async () => {
    let asked = 0;
    const { url } = await listen((request, response) => {
      asked += 1;
      if (asked > 1) {
        answering(200, claims())(request, response);
        return;
      }
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '500' });
      response.write('{"active":', () => request.socket.destroy());
    });
    expect((await open(url)(TOKEN)).user).toEqual(claimsOf(pair.access_token));
  });

  it('is not made once the time is up', async () => {
    const fake = await listen(() => undefined);
    await refusalOf(open(fake.url, { timeoutMs: 200 })(TOKEN));
    await sleep(300);
    // None, where the time was up before the first one arrived.
    expect(fake.requests()).toBeLessThanOrEqual(1);
  });
});

describe('the deadline', () => {
  /** Other deadlines that there are on the way, of the HTTP client and of Gatehouse, are longer; so are pauses of the machine, seldom. */
  const IN_TIME_MS = 8000;

  it.each<[string, RequestListener]>([
    ['no headers', () => undefined],
    ['no body', (_request, response) => response.writeHead(200).flushHeaders()],
    [
      'a body in drops',
      (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        const dripping = setInterval(() => response.write(' '), 20);
        response.on('close', () => clearInterval(dripping));
      },
    ],
    [
      'a 503 that comes late',
      (_request, response) => void setTimeout(() => answering(503, {})(_request, response), 350),
    ],
  ])('holds for %s', async (_what, listener) => {
    const { url } = await listen(listener);
    const refusal = await refusalOf(open(url, { timeoutMs: 400 })(TOKEN));
    expect(refusal.status).toBe(503);
    expect(refusal.tookMs).toBeGreaterThan(300);
    expect(refusal.tookMs).toBeLessThan(IN_TIME_MS);
  });

  it('holds for those who wait for a connection, and for the ones that cannot be opened', async () => {
    // Accepts no connection once its queue is full.
    const full = createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 });
    await once(full, 'listening');
    const { port } = full.address() as AddressInfo;
    const fake = await listen(() => undefined);
    for (const url of [`http://127.0.0.1:${port}`, fake.url]) {
      const introspect = open(url, { timeoutMs: 400 });
      const refusals = await Promise.all(Array.from({ length: 200 }, () => refusalOf(introspect(TOKEN))));
      expect(Math.max(...refusals.map(({ tookMs }) => tookMs))).toBeLessThan(IN_TIME_MS);
    }
    // Each that is given up may be replaced once, for those who still wait.
    expect(fake.connections()).toBeLessThanOrEqual(2 * 64);
    full.close();
  });

  it('holds for a Gatehouse that is swallowed, which answers again afterwards', async () => {
    const hole = await createBlackHole(stage.options.url);
    onTestFinished(hole.remove);
    const orders = await openOrders({ ...stage.options, url: hole.url, timeoutMs: 2000 });
    const statusOf = async () => (await orders.get('/me', pair.access_token)).statusCode;
    await expect.poll(statusOf).toBe(200);
    hole.open();
    const startedAtMs = performance.now();
    const swallowed = await orders.get('/me', pair.access_token);
    expect(swallowed.statusCode).toBe(503);
    expect(performance.now() - startedAtMs).toBeLessThan(IN_TIME_MS);
    expect(orders.log.join('')).toContain('did not answer within 2000 ms');
    hole.close();
    await expect.poll(statusOf).toBe(200);
  });

  it('is not waited for when nobody listens', async () => {
    const refusal = await refusalOf(open(`http://127.0.0.1:${await findFreePort()}`)(TOKEN));
    expect(refusal).toMatchObject({ status: 503, reason: 'Gatehouse cannot be reached: ECONNREFUSED.' });
    expect(refusal.tookMs).toBeLessThan(IN_TIME_MS);
  });
});

describe('a Gatehouse that is stopped', () => {
  it('is 503 while it is away, for tokens alive and dead, and asked again when it is back', async () => {
    const port = await findFreePort();
    const first = await stage.house.replica();
    await first.app.listen({ host: '127.0.0.1', port });
    const orders = await openOrders({ ...stage.options, url: `http://127.0.0.1:${port}` });
    expect((await orders.get('/me', pair.access_token)).statusCode).toBe(200);
    await first.app.close();
    for (const token of [pair.access_token, pair.refresh_token, 'nonsense']) {
      const answer = await orders.get('/me', token);
      expect(answer.statusCode).toBe(503);
      expect(answer.headers['retry-after']).toBe('1');
    }
    const second = await stage.house.replica();
    await second.app.listen({ host: '127.0.0.1', port });
    expect((await orders.get('/me', pair.access_token)).statusCode).toBe(200);
    expect((await orders.get('/me', pair.refresh_token)).statusCode).toBe(401);
  });
});

describe('the connections', () => {
  it('are kept: one or two serve all who ask one after the other', async () => {
    const fake = await listen(answering(200, claims()));
    const introspect = open(fake.url);
    for (let turn = 0; turn < 50; turn += 1) await introspect(TOKEN);
    // Two where a question comes before the connection of the last is free again.
    expect(fake.connections()).toBeLessThanOrEqual(2);
  });

  it('are bounded, and kept, for 200 who ask at once', async () => {
    const fake = await listen(singly(answering(200, claims())));
    const introspect = open(fake.url);
    for (let turn = 0; turn < 3; turn += 1)
      await Promise.all(Array.from({ length: 200 }, () => introspect(TOKEN)));
    expect(fake.requests()).toBe(1 + 600);
    expect(fake.connections()).toBeLessThanOrEqual(64);
  });

  it('are closed with the application', async () => {
    const fake = await listen(answering(200, claims()));
    const orders = await openOrders({ url: fake.url, ...CREDENTIALS, timeoutMs: 30_000 });
    expect((await orders.get('/me', 'a.b.c')).statusCode).toBe(200);
    await orders.app.close();
    await expect.poll(fake.openConnections).toBe(0);
  });
});
