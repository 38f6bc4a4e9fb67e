// How long a request may take, and whose fault it is.
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AddressInfo } from 'node:net';
import pino from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { buildApp } from '../../src/app.js';
import { ANSWER_DEADLINE_MS } from '../../src/http/deadline.js';
import { DEFAULTS, openHouse, type House } from '../support/house.js';

let house: House;

beforeAll(async () => {
  house = await openHouse();
});
afterAll(() => house.close());

async function build(options: { answerDeadlineMs?: number } = {}) {
  const { gatehouse } = await house.replica();
  return buildApp({ gatehouse, config: DEFAULTS, logger: pino({ level: 'silent' }), ...options });
}

async function buildWithHangingRoute() {
  const app = await build();
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
