// Slow on purpose: a thousand sockets that send or read next to nothing are gone within 10 s, and nobody else notices.
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { LIMITS } from '../../src/http/server/server.js';
import {
  basic,
  bearer,
  login,
  openHouse,
  type House,
  type Replica,
  type TestClient,
  type TokenPair,
} from '../support/house.js';
import { runs } from '../support/hostile.js';
import { connectRaw, readAnswers, refusalOf, type RawClient } from '../support/raw-socket.js';

/** What is allowed, and what a busy machine may add to it. */
const GONE_MS = 10_000 + 20_000;
/** Attackers and others share a process with the service here, and a machine with other tests: no figure of its speed. */
const ANSWER_MS = 30_000;

/** How many who are honest are served meanwhile, one after the other. */
const HONEST = 6;

/** A request that took longer to be sent is no honest one: the rest of the limit is for the service, to come to read it. */
const SENT_MS = LIMITS.requestMs / 2;

/** Of all kinds together. */
const SOCKETS = runs(1000, 2000);
const KIB = 1024;
const MIB = 1024 * KIB;

let house: House;
let replica: Replica;
let pair: TokenPair;
let client: TestClient;
let port: number;
/** How long each connection lasted on the side of the service, by the client's port. */
const lasted = new Map<number, Promise<number>>();

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  pair = await login(replica, await house.user());
  client = await house.client(['introspect']);
  replica.app.server.on('connection', (socket: Socket) => {
    const startedAt = performance.now();
    const ended = new Promise<number>((resolve) =>
      socket.once('close', () => resolve(performance.now() - startedAt)),
    );
    lasted.set(socket.remotePort ?? 0, ended);
  });
  await replica.app.listen({ host: '127.0.0.1', port: 0 });
  ({ port } = replica.app.server.address() as AddressInfo);
});
afterAll(() => house.close());

const POST = 'POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n';
const HEALTH = 'GET /health HTTP/1.1\r\nHost: a\r\n\r\n';
const BUNDLE = 'GET /docs/static/swagger-ui-bundle.js HTTP/1.1\r\nHost: gatehouse.test\r\n\r\n';

/** The headers of a batch of 1 MiB, of a client that may send it. */
function batch(length = `Content-Length: ${MIB}`): string {
  const { authorization } = basic(client);
  return `POST /introspect/batch HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAuthorization: ${authorization}\r\n${length}\r\n\r\n`;
}

interface Kind {
  /** What is sent at once. */
  opening: string | (() => string);
  /** Sent byte by byte, one each second. */
  drip?: string;
  /** How much is read: everything, nothing, or a chunk each second. */
  reads?: 'nothing' | 'little';
  /** The statuses it gets. */
  answers: number[];
}

const KINDS: Record<string, Kind> = {
  'says nothing': { opening: '', answers: [] },
  'sends headers byte by byte': { opening: '', drip: `${POST}Content-Length: 2\r\n\r\n{}`, answers: [408] },
  'never ends its headers': { opening: POST, drip: 'X'.repeat(100), answers: [408] },
  'sends a body byte by byte': {
    opening: `${POST}Content-Length: 100\r\n\r\n`,
    drip: '{'.repeat(100),
    answers: [408],
  },
  'sends chunks byte by byte': {
    opening: `${POST}Transfer-Encoding: chunked\r\n\r\n`,
    drip: '1\r\n{\r\n'.repeat(20),
    answers: [408],
  },
  'sends many tokens byte by byte': {
    opening: () => `${batch()}{"tokens":["${'a'.repeat(256 * KIB)}`,
    drip: 'a'.repeat(100),
    answers: [408],
  },
  'sends many tokens in small chunks': {
    opening: () => batch('Transfer-Encoding: chunked'),
    drip: '1\r\n{\r\n'.repeat(20),
    answers: [408],
  },
  'sends none of many tokens': { opening: () => batch(), answers: [408] },
  'sends no body': { opening: `${POST}Content-Length: 100\r\n\r\n`, answers: [408] },
  'goes on sending a body after the answer': {
    opening: 'POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n',
    drip: '{'.repeat(100),
    answers: [405],
  },
  'sends a second request byte by byte': {
    opening: 'GET /health HTTP/1.1\r\nHost: a\r\n\r\n',
    drip: `${POST}Content-Length: 2\r\n\r\n{}`,
    answers: [200, 408],
  },
  'sends blank lines': { opening: '', drip: '\r\n'.repeat(100), answers: [408] },
  'reads nothing of a large answer': { opening: BUNDLE, reads: 'nothing', answers: [] },
  'reads nothing of many': { opening: BUNDLE.repeat(10), reads: 'nothing', answers: [] },
  'reads nothing of many small ones': {
    opening: 'GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(90),
    reads: 'nothing',
    answers: [],
  },
  'reads a little of many': { opening: BUNDLE.repeat(20), reads: 'little', answers: [] },
};

describe.concurrent('who is slow on purpose', () => {
  it('is gone within 10 s, whatever is slow about it, and hurts nobody', async () => {
    const before = process.memoryUsage.rss();
    const attack = startAttack();
    const honest = beHonest();
    const { answers, mostMemory } = await askUntil(attack);

    for (const { what, kind, client, ms } of await attack) {
      expect(ms, what).toBeLessThan(GONE_MS);
      if (kind.reads !== undefined) continue;
      const told = readAnswers(client.received());
      expect(
        told.map(({ status }) => status),
        what,
      ).toEqual(kind.answers);
      for (const late of told.filter(({ status }) => status === 408))
        expect(refusalOf(late)).toEqual({ status: 408, error: 'invalid_request' });
    }
    expect(await attack).toHaveLength(SOCKETS);

    for (const { status, ms } of answers) {
      expect(status).toBe(200);
      expect(ms).toBeLessThan(ANSWER_MS);
    }
    expect(await honest).toEqual([200, 400, 200]);
    // Both ends live in this process.
    expect((mostMemory - before) / SOCKETS / KIB).toBeLessThan(512);
  });

  it('does not keep a replica from leaving', async () => {
    const { app } = await house.replica();
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port: other } = app.server.address() as AddressInfo;
    const clients = [POST, `${POST}Content-Length: 100\r\n\r\n{`, BUNDLE.repeat(20)].map((opening) => {
      const client = connectRaw(other, opening);
      if (opening.startsWith(BUNDLE)) client.socket.pause();
      return client;
    });
    await Promise.all(clients.map(({ socket }) => once(socket, 'connect')));
    await sleep(100);
    const startedAt = performance.now();
    await app.close();
    expect(performance.now() - startedAt).toBeLessThan(GONE_MS);
    for (const { socket } of clients) socket.destroy();
  });
});

/** One connection that takes its time, as people and their proxies do: seconds for a request, and longer between requests. */
async function beHonest(): Promise<number[]> {
  const { socket, received } = connectRaw(port, HEALTH);
  await sleep(500);
  const startedAt = performance.now();
  socket.write(`${POST}Content-Length: 4\r\n\r\n`);
  for (const part of ['{', ' ', ' ', '}']) {
    await sleep(500);
    socket.write(part);
  }
  if (performance.now() - startedAt > SENT_MS) {
    // The machine was slow, and we with it.
    socket.destroy();
    return await beHonest();
  }
  // Longer than anybody who is slow on purpose is put up with.
  await sleep(8000);
  socket.write(HEALTH);
  await once(socket, 'data');
  socket.destroy();
  return readAnswers(received()).map(({ status }) => status);
}

interface Outcome {
  what: string;
  kind: Kind;
  client: RawClient;
  /** How long the service put up with it. */
  ms: number;
}

/** Opens all the sockets within seconds, the kinds side by side, and waits until the service has closed them. */
async function startAttack(): Promise<Outcome[]> {
  const kinds = Object.entries(KINDS);
  const outcomes: Promise<Outcome>[] = [];
  while (outcomes.length < SOCKETS) {
    for (const [what, kind] of kinds.slice(0, SOCKETS - outcomes.length)) {
      const { client, gone } = connectSlowly(kind);
      outcomes.push(gone.then((ms) => ({ what, kind, client, ms })));
    }
    await sleep(50);
  }
  return await Promise.all(outcomes);
}

function connectSlowly({ opening, drip = '', reads }: Kind): { client: RawClient; gone: Promise<number> } {
  const client = connectRaw(port, typeof opening === 'string' ? opening : opening());
  const { socket } = client;
  if (reads !== undefined) socket.pause();
  let sent = 0;
  const pace = setInterval(() => {
    if (socket.destroyed) return;
    if (sent < drip.length) socket.write(drip.charAt(sent++));
    if (reads === 'little') socket.once('data', () => socket.pause()).resume();
  }, 1000);
  const gone = once(socket, 'connect')
    .then(() => findLasted(socket.localPort))
    .finally(() => {
      clearInterval(pace);
      // Whoever does not read learns of nothing.
      if (reads !== undefined) socket.destroy();
    });
  return { client, gone: reads === undefined ? gone.then(async (ms) => (await client.closed, ms)) : gone };
}

async function findLasted(clientPort = 0): Promise<number> {
  while (!lasted.has(clientPort)) await sleep(20);
  return (await lasted.get(clientPort)) ?? Infinity;
}

/** Others, who are honest: each comes with a connection of its own. Some may be so late that the attack is over. */
async function askUntil(
  over: Promise<unknown>,
): Promise<{ answers: { status: number; ms: number }[]; mostMemory: number }> {
  const answers: { status: number; ms: number }[] = [];
  let mostMemory = 0;
  const end = over.then(() => true);
  do {
    const askedAt = performance.now();
    const response = await fetch(`http://127.0.0.1:${port}/session`, {
      headers: { ...bearer(pair.access_token), connection: 'close' },
    });
    await response.arrayBuffer();
    answers.push({ status: response.status, ms: performance.now() - askedAt });
    mostMemory = Math.max(mostMemory, process.memoryUsage.rss());
  } while (!(await Promise.race([end, sleep(50, false)])) || answers.length < HONEST);
  return { answers, mostMemory };
}
