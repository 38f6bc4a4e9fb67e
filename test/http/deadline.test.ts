// How long a request may take, and whose fault it is.
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AddressInfo } from 'node:net';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';

import { buildApp } from '../../src/app.js';
import { ANSWER_DEADLINE_MS } from '../../src/http/deadline.js';
import { DEFAULTS, openHouse, type House } from '../support/house.js';
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

describe('on a connection that is kept', () => {
  const answerDeadlineMs = 800;
  /** A timer may count from the beginning of the turn of the event loop that set it. */
  const EARLY_MS = 50;

  let app: Awaited<ReturnType<typeof buildWithHangingRoute>>;
  let port: number;

  beforeEach(async () => {
    app = await buildWithHangingRoute({ answerDeadlineMs });
    await app.listen({ host: '127.0.0.1', port: 0 });
    ({ port } = app.server.address() as AddressInfo);
  });
  afterEach(() => app.close());

  function openConnection() {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    return async (path: string) => {
      const sentAtMs = performance.now();
      const sent = request({ agent, port, path }).end();
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      const tookMs = performance.now() - sentAtMs;
      const { localPort } = response.socket;
      response.resume();
      await once(response, 'end');
      return { status: response.statusCode, tookMs, localPort };
    };
  }

  it('each request has the whole time, whatever became of the one before', async () => {
    const ask = openConnection();
    const first = await ask('/health');
    // Well into the time of the first, which is no matter of the second.
    await sleep(0.6 * answerDeadlineMs);
    const second = await ask('/hang');
    // By now the time of the first two has run out.
    const third = await ask('/hang');
    await ask('/health');
    await sleep(answerDeadlineMs + 100);
    const fifth = await ask('/hang');
    for (const { status, tookMs } of [second, third, fifth]) {
      expect(status).toBe(503);
      expect(tookMs).toBeGreaterThan(answerDeadlineMs - EARLY_MS);
    }
    expect(new Set([first, second, third, fifth].map(({ localPort }) => localPort)).size).toBe(1);
  });

  it('requests that are sent together are each given up in their turn', async () => {
    const startedAtMs = performance.now();
    const get = 'GET /hang HTTP/1.1\r\nHost: gatehouse.test\r\n\r\n';
    const { socket, received } = connectRaw(port, get.repeat(3));
    await expect.poll(() => received().split('HTTP/1.1 503').length - 1).toBe(3);
    expect(performance.now() - startedAtMs).toBeGreaterThan(3 * (answerDeadlineMs - EARLY_MS));
    expect(readAnswers(received()).map(({ status }) => status)).toEqual([503, 503, 503]);
    socket.destroy();
  });
});
