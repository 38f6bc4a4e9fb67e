// The sockets of the example, a process of its own: who gets one, and what closes it.
import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';

import { findFreePort } from '../../../packages/lab/shared/ports.js';
import { openStage, type Stage } from '../../http/resource-server/stage.js';
import { startExample, type Example } from '../../support/example.js';
import { bearer, login, type TokenPair } from '../../support/house.js';
import { retryOn503 } from '../../support/retry.js';

let stage: Stage;
let server: Example;
let pair: TokenPair;

beforeAll(async () => {
  stage = await openStage('news');
  server = await startExample('sockets', await findFreePort(), {
    GATEHOUSE_URL: stage.options.url,
    CLIENT_ID: stage.client.id,
    CLIENT_SECRET: stage.client.secret,
    // A machine that stands still for a while makes nobody close; Gatehouse is asked every 5 s.
    CLOSES_WITHIN_SECONDS: '20',
  });
});
beforeEach(async () => {
  await stage.house.database.clock.set(0);
  pair = await stage.logIn();
});
afterAll(async () => {
  await server.stop();
  await stage.close();
});

interface Reader {
  ticket: string;
  socket: WebSocket;
  heard: string[];
  /** The code with which the server closed; undefined while it is open. */
  code: () => number | undefined;
}

async function takeTicket(accessToken = pair.access_token): Promise<string> {
  const answer = await retryOn503(() =>
    fetch(`${server.url}/tickets`, { method: 'POST', headers: bearer(accessToken) }),
  );
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { ticket: string }).ticket;
}

/** Opens a socket, and says this first. */
async function open(ticket: string): Promise<Reader> {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/news`);
  onTestFinished(() => socket.terminate());
  const heard: string[] = [];
  let closedWith: number | undefined;
  socket.on('message', (text: Buffer) => heard.push(String(text)));
  socket.on('close', (code) => (closedWith = code));
  await once(socket, 'open');
  socket.send(ticket);
  return { ticket, socket, heard, code: () => closedWith };
}

/** Opens one with a ticket of its own, however often Gatehouse must be asked for that, and waits for the first word. */
async function enter(accessToken = pair.access_token): Promise<Reader> {
  for (;;) {
    const reader = await open(await takeTicket(accessToken));
    await expect.poll(() => reader.code() ?? reader.heard.length).toBeGreaterThan(0);
    if (reader.code() !== 1013) return reader;
  }
}

it('gives a ticket for a live token alone', async () => {
  const refused = await retryOn503(() =>
    fetch(`${server.url}/tickets`, { method: 'POST', headers: bearer(pair.refresh_token) }),
  );
  expect(refused.status).toBe(401);
});

it('lets in with a ticket, once', async () => {
  const first = await enter();
  expect(first.heard).toHaveLength(1);
  const second = await open(first.ticket);
  await expect.poll(second.code).toBe(3000);
  expect(second.heard).toEqual([]);
  expect(first.code()).toBeUndefined();
});

it.each(['', 'no ticket', 'Bearer abc'])('closes to one that says first: %j', async (text) => {
  const { code, heard } = await open(text);
  await expect.poll(code).toBe(3000);
  expect(heard).toEqual([]);
});

it('closes to one without the scope', async () => {
  const other = await login(stage.replica, await stage.house.user({ scope: 'sport' }));
  const { code } = await enter(other.access_token);
  expect(code()).toBe(3003);
});

it('closes with the session, wherever that ended', async () => {
  const reader = await enter();
  await stage.logOut(pair);
  await expect.poll(reader.code, { timeout: 60_000 }).toBe(3000);
});

it('hears nothing more from a peer that leaves the closing unanswered', async () => {
  const stubborn = await enter();
  const stubbornPair = pair;
  pair = await stage.logIn();
  const other = await enter();
  // It reads nothing, the closing included, and goes on writing.
  stubborn.socket.pause();
  stubborn.socket.send('before');
  await expect.poll(() => other.heard.some((text) => text.endsWith(': before'))).toBe(true);
  await stage.logOut(stubbornPair);
  await stage.logOut(pair);
  // Both are asked about together: when one was told to close, the other one was as well.
  await expect.poll(other.code, { timeout: 60_000 }).toBe(3000);
  pair = await stage.logIn();
  const reader = await enter();
  stubborn.socket.send('after');
  for (const text of ['one', 'two', 'three']) {
    reader.socket.send(text);
    await expect.poll(() => reader.heard.some((heard) => heard.endsWith(`: ${text}`))).toBe(true);
  }
  expect(reader.heard.filter((text) => text.endsWith(': after'))).toEqual([]);
});

it('ends in good order, with sockets open', async () => {
  const reader = await enter();
  expect(await server.stop()).toBe(0);
  await expect.poll(reader.code).toBe(1006);
});
