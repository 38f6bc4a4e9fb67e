// The deadline of an answer by itself, without a service and by a clock that the test moves.
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest';

import { AuthError } from '../../../src/domain/errors.js';
import { installErrors } from '../../../src/http/answers/errors.js';
import { answerDeadline } from '../../../src/http/intake/deadline.js';

const deadlineMs = 2000;

let app: FastifyInstance;
/** How many requests have got as far as `/hang`. */
let hanging = 0;
let finish: (answer: object) => void;
let lines: string[];

beforeEach(async () => {
  lines = [];
  app = fastify({ logger: { level: 'warn', stream: { write: (line: string) => void lines.push(line) } } });
  onTestFinished(() => app.close());
  installErrors(app);
  await app.register(answerDeadline, { deadlineMs });
  hanging = 0;
  app.get('/hang', () => {
    hanging += 1;
    return new Promise<object>((resolve) => (finish = resolve));
  });
  app.get('/good', () => ({}));
  const refuse = () => Promise.reject(new AuthError('csrf_rejected'));
  app.get('/refused', { onRequest: refuse }, () => ({}));
  // A door that asks twice before there is a body: `/guarded?first=1500&second=100` in so many milliseconds.
  const onRequest = async (request: FastifyRequest) => {
    for (const ms of Object.values(request.query as Record<string, string>))
      await app.withinDeadline(request, pass(Number(ms)));
  };
  app.get('/guarded', { onRequest }, () => {
    hanging += 1;
    return new Promise(() => undefined);
  });
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  // A process does not begin with the request.
  vi.advanceTimersByTime(60_000);
});

const pass = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));

/** More turns than an answer needs on its way; waiting for it would hang where there is none. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 200; turn += 1) await nextTurn();
}

/** By turns of the event loop and the date, which nobody moves: `expect.poll` would move the clock on. */
async function until(isSo: () => boolean): Promise<void> {
  const latest = Date.now() + 15_000;
  while (!isSo() && Date.now() < latest) await nextTurn();
  expect(isSo()).toBe(true);
}

async function advance(ms: number): Promise<void> {
  await settle();
  await vi.advanceTimersByTimeAsync(ms);
  await settle();
}

/** Injects a request; `status()` is null until it is answered. */
function inject(url: string): { status: () => number | null } {
  let status: number | null = null;
  void app.inject(url).then(({ statusCode }) => (status = statusCode));
  return { status: () => status };
}

it('answers 503 at the deadline, and is silent about the answer that comes too late', async () => {
  const { status } = inject('/hang');
  await advance(deadlineMs - 1);
  expect(status()).toBeNull();
  await advance(1);
  expect(status()).toBe(503);
  finish({});
  await settle();
  expect(lines).toEqual([]);
});

it('gives up no answer that has begun', async () => {
  const body = new PassThrough();
  body.write('be');
  app.get('/slow', (_request, reply) => reply.send(body));
  const answer = app.inject('/slow');
  await advance(deadlineMs + 1);
  body.end('gun');
  expect(await answer).toMatchObject({ statusCode: 200, body: 'begun' });
});

it('is no matter of a request that was answered, or refused at a door', async () => {
  for (const [url, expected] of [
    ['/good', 200],
    ['/refused', 403],
    ['/none', 404],
  ] as const) {
    const { status } = inject(url);
    await settle();
    expect(status()).toBe(expected);
  }
  await advance(deadlineMs);
  expect(lines).toEqual([]);
});

it.each([
  ['first=5000', 0],
  ['first=1500&second=5000', 0],
  ['first=1500', 1],
  ['first=500&second=1000', 1],
])('counts what a door that asks has spent before the body: %s', async (query, arrived) => {
  const { status } = inject(`/guarded?${query}`);
  // In steps, since a timer may be set by the end of another.
  for (let step = 1; step <= 3; step += 1) await advance(500);
  await advance(499);
  expect([status(), hanging]).toEqual([null, arrived]);
  await advance(1);
  expect(status()).toBe(503);
});

it('leaves no timer of a door that was answered', async () => {
  const before = vi.getTimerCount();
  app.get('/asked', { onRequest: (asked) => app.withinDeadline(asked, Promise.resolve()) }, () => ({}));
  const asking = new Promise<number>((resolve) => {
    app.addHook('preParsing', (_request, _reply, _payload, next) => {
      resolve(vi.getTimerCount());
      next();
    });
  });
  const { status } = inject('/asked');
  expect(await asking).toBe(before);
  await settle();
  expect(status()).toBe(200);
});

it('gives each request of a connection that is kept the whole time, also after one that was answered or given up', async () => {
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  const ports = new Set<number | undefined>();
  async function ask(path: string): Promise<{ status: () => number | undefined }> {
    const sent = request({ agent, port, path }).end();
    let answer: IncomingMessage | undefined;
    sent.on('response', (response) => {
      answer = response.resume();
      ports.add(response.socket.localPort);
    });
    await once(sent, 'finish');
    return { status: () => answer?.statusCode };
  }
  async function isGivenUp(path: string): Promise<void> {
    const before = hanging;
    const { status } = await ask(path);
    await until(() => hanging === before + 1);
    await advance(deadlineMs - 1);
    expect(status()).toBeUndefined();
    await advance(1);
    await until(() => status() === 503);
  }

  const first = await ask('/good');
  await until(() => first.status() === 200);
  // Well into the time of the first, which is no matter of the second.
  await advance(0.6 * deadlineMs);
  await isGivenUp('/hang');
  await isGivenUp('/hang');
  const fourth = await ask('/good');
  await until(() => fourth.status() === 200);
  await advance(deadlineMs + 100);
  await isGivenUp('/hang');
  expect(ports.size).toBe(1);
  expect(lines).toEqual([]);
});
