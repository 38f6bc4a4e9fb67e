// How long a request may take, and whose fault it is. The deadline by itself: test/unit/http/deadline.test.ts.
import { once } from 'node:events';
import { connect } from 'node:net';
import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { AddressInfo } from 'node:net';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';

import { buildApp } from '../../src/app.js';
import type { Judgement } from '../../src/domain/liveness/liveness.js';
import { ANSWER_DEADLINE_MS } from '../../src/http/intake/deadline.js';
import { basic, DEFAULTS, openHouse, type House } from '../support/house.js';
import { connectRaw, readAnswers } from '../support/raw-socket.js';

let house: House;

beforeAll(async () => {
  house = await openHouse();
});
afterAll(() => house.close());

async function build(options: { answerDeadlineMs?: number } = {}) {
  const { gatehouse } = await house.replica();
  return buildApp({ gatehouse, config: DEFAULTS, logger: pino({ level: 'silent' }), ...options });
}

async function buildWithHangingRoute(options: { answerDeadlineMs?: number } = {}) {
  const app = await build(options);
  app.get('/hang', () => new Promise(() => undefined));
  return app;
}

it('answers 503 in the place of work that does not end', async () => {
  const app = await buildWithHangingRoute();
  const response = await app.inject('/hang');
  expect(response.statusCode).toBe(503);
  expect(response.json()).toMatchObject({ error: 'temporarily_unavailable' });
  expect(response.headers['retry-after']).toBe('1');
  expect(ANSWER_DEADLINE_MS).toBeLessThan(2500);
  await app.close();
});

it('writes one line for a request that it gave up, and none for the answer that comes too late', async () => {
  const lines: string[] = [];
  const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
  const { gatehouse } = await house.replica();
  const app = await buildApp({ gatehouse, config: DEFAULTS, logger, answerDeadlineMs: 50 });
  let finish: (answer: object) => void = () => undefined;
  app.get('/late', () => new Promise<object>((resolve) => (finish = resolve)));
  const response = await app.inject('/late');
  expect(response.statusCode).toBe(503);
  finish({});
  await nextTurn();
  const written = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  // Fastify would write down the other answer as a mistake of ours.
  expect(written).toMatchObject([
    { msg: 'requests are answered 503', missing: 'deadline' },
    {
      msg: 'answered',
      reqId: response.headers['x-request-id'],
      missing: 'deadline',
      reason: 'no answer within 50 ms',
    },
  ]);
  await app.close();
});

it('gives up no answer that has begun', async () => {
  const app = await build({ answerDeadlineMs: 50 });
  app.get('/slow', (_request, reply) => {
    const body = new PassThrough();
    body.write('be');
    setTimeout(() => body.end('gun'), 200);
    return reply.send(body);
  });
  const response = await app.inject('/slow');
  expect([response.statusCode, response.body]).toEqual([200, 'begun']);
  await app.close();
});

it('does not call a slow client’s request its own failure', async () => {
  const answerDeadlineMs = 1000;
  const app = await build({ answerDeadlineMs });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const body = JSON.stringify({ username: 'a body that is refused as such' });
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1');
  socket.write(
    `POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 6)}`,
  );
  const answer = once(socket, 'data') as Promise<[Buffer]>;
  await sleep(answerDeadlineMs + 500);
  socket.write(body.slice(6));
  const [[head]] = await Promise.all([answer]);
  expect(head.toString()).toMatch(/^HTTP\/1\.1 400 /);
  socket.destroy();
  await app.close();
});

describe('a door that asks before the body is there', () => {
  const answerDeadlineMs = 2000;
  const client = { id: 'orders', secret: 'secret' };

  /** Resolves when `ask` was called, and lets it be answered. */
  function hold<T>() {
    let answer: (value: T) => void = () => undefined;
    const answered = new Promise<T>((resolve) => (answer = resolve));
    let arrive: () => void = () => undefined;
    const reached = new Promise<void>((resolve) => (arrive = resolve));
    const ask = () => {
      arrive();
      return answered;
    };
    return { ask, reached, answer };
  }

  /** A batch of a client that the replica has not heard of, of whose body the test sends the rest. */
  async function askForBatch() {
    const { gatehouse } = await house.replica();
    const [door, tokens] = [hold<Judgement>(), hold<Judgement[]>()];
    const app = await buildApp({
      gatehouse: { ...gatehouse, judge: door.ask, judgeMany: tokens.ask },
      config: DEFAULTS,
      logger: pino({ level: 'silent' }),
      answerDeadlineMs,
    });
    onTestFinished(() => app.close());
    await app.ready();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
    // A process does not begin with the request.
    vi.advanceTimersByTime(60_000);
    const body = new PassThrough();
    const headers = { 'content-type': 'application/json', ...basic(client) };
    let status: number | null = null;
    void app
      .inject({ method: 'POST', url: '/introspect/batch', headers, payload: body })
      .then(({ statusCode }) => (status = statusCode));
    await door.reached;
    return {
      status: () => status,
      letIn: () => door.answer({ client: { id: client.id, permissions: ['introspect'] } } as Judgement),
      sendBody: async () => {
        body.end('{"tokens":["any"]}');
        await tokens.reached;
      },
    };
  }

  /** More turns than an answer needs on its way; polling would move the clock on. */
  async function untilSent(): Promise<void> {
    for (let turn = 0; turn < 100; turn += 1) await nextTurn();
  }

  it('is given up at the deadline, without the body', async () => {
    const { status } = await askForBatch();
    await vi.advanceTimersByTimeAsync(answerDeadlineMs - 1);
    expect(status()).toBe(null);
    await vi.advanceTimersByTimeAsync(1);
    await untilSent();
    expect(status()).toBe(503);
  });

  it('leaves the rest of the time to what comes after the body', async () => {
    const { status, letIn, sendBody } = await askForBatch();
    await vi.advanceTimersByTimeAsync(1500);
    letIn();
    await sendBody();
    await vi.advanceTimersByTimeAsync(499);
    expect(status()).toBe(null);
    await vi.advanceTimersByTimeAsync(1);
    await untilSent();
    expect(status()).toBe(503);
  });

  it('does not make a slow body its own failure', async () => {
    const { status, letIn, sendBody } = await askForBatch();
    await vi.advanceTimersByTimeAsync(500);
    letIn();
    await vi.advanceTimersByTimeAsync(6000);
    await sendBody();
    await vi.advanceTimersByTimeAsync(1499);
    expect(status()).toBe(null);
    await vi.advanceTimersByTimeAsync(1);
    await untilSent();
    expect(status()).toBe(503);
  });
});

it('gives up requests that are sent together in one connection each in its turn', async () => {
  const answerDeadlineMs = 800;
  /** A timer may count from the beginning of the turn of the event loop that set it. */
  const earlyMs = 50;
  const app = await buildWithHangingRoute({ answerDeadlineMs });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const startedAtMs = performance.now();
  const get = 'GET /hang HTTP/1.1\r\nHost: gatehouse.test\r\n\r\n';
  const { socket, received } = connectRaw(port, get.repeat(3));
  await expect.poll(() => received().split('HTTP/1.1 503').length - 1).toBe(3);
  expect(performance.now() - startedAtMs).toBeGreaterThan(3 * (answerDeadlineMs - earlyMs));
  expect(readAnswers(received()).map(({ status }) => status)).toEqual([503, 503, 503]);
  socket.destroy();
  await app.close();
});
