// More connections than there may be: idle ones make room, no request under way is cut off, and no network takes all of them.
import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { createLimitedServer, LIMITS } from '../../src/http/server/server.js';

const MOST = 8;
const QUARTER = MOST / 4;

/** Of networks that have nothing in common; all of them are this machine. */
const NETWORKS = [1, 2, 3, 4, 5, 6, 7, 8].map((number) => `127.0.${number}.1`);
const PROXY = '127.0.99.1';

let server: Server;
let port: number;
let drops: number;
let clients: Client[];
/** Requests that wait for the test to answer them. */
let held: { request: IncomingMessage; response: ServerResponse }[];

interface Client {
  socket: Socket;
  received: () => string;
  isOpen: () => boolean;
  closed: Promise<unknown>;
}

beforeEach(async () => {
  [drops, clients, held] = [0, [], []];
  server = createLimitedServer(
    (request, response) => {
      if (request.url === '/held') held.push({ request, response });
      else response.end('here');
    },
    { headers: {}, onDrop: () => (drops += 1), connections: MOST, isProxy: (address) => address === PROXY },
  );
  await once(server.listen(0, '127.0.0.1'), 'listening');
  ({ port } = server.address() as AddressInfo);
});
afterEach(async () => {
  for (const { socket } of clients) socket.destroy();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** Resolves when the server has taken the connection in, or has closed it. */
async function open(localAddress: string): Promise<Client> {
  const taken = once(server, 'connection');
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  socket.on('error', () => undefined);
  let text = '';
  socket.setEncoding('latin1').on('data', (piece: string) => (text += piece));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const client = { socket, received: () => text, isOpen: () => !socket.closed, closed };
  clients.push(client);
  await Promise.all([taken, once(socket, 'connect')]);
  return client;
}

function requestTo(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
}

/** Sends a request and waits for its answer; fails when the connection is closed instead. */
async function ask(client: Client): Promise<void> {
  const before = client.received().length;
  client.socket.write(requestTo('/'));
  while (!client.received().slice(before).includes('here')) {
    await Promise.race([once(client.socket, 'data'), client.closed]);
    if (!client.isOpen()) throw new Error('closed');
  }
}

/** Sends a request that is not answered until the test says so. */
async function hold(client: Client): Promise<void> {
  const before = held.length;
  client.socket.write(requestTo('/held'));
  await expect.poll(() => held.length).toBe(before + 1);
}

async function fill(): Promise<Client[]> {
  const all: Client[] = [];
  for (const network of NETWORKS) all.push(await open(network));
  return all;
}

it('is 10,000 where nothing else is said', () => {
  expect(LIMITS.connections).toBe(10_000);
});

it('lets a new connection in at the limit, in the place of the one that was idle longest', async () => {
  const all = await fill();
  const [oldest, second, ...others] = all;
  if (oldest === undefined || second === undefined) throw new Error('nothing is open');
  // A request makes the oldest the youngest.
  await ask(oldest);
  const another = await open('127.0.9.1');
  await second.closed;
  await ask(another);
  for (const client of [oldest, ...others]) await ask(client);
  expect(drops).toBe(1);
});

it('closes one after the other, longest idle first, however many come', async () => {
  const all = await fill();
  for (const [turn, idle] of all.entries()) {
    const another = await open(`127.0.${100 + turn}.1`);
    await idle.closed;
    expect(all.filter((client) => client.isOpen())).toHaveLength(MOST - turn - 1);
    await ask(another);
  }
});

it('takes a connection that has sent a piece of a request for an idle one', async () => {
  const [first, ...others] = await fill();
  first?.socket.write('GET /slow HTTP/1.1\r\nHost: ');
  for (const client of others) await ask(client);
  await ask(await open('127.0.9.1'));
  await first?.closed;
  for (const client of others) await ask(client);
});

it('cuts off no request that is under way, and closes the new connection when all have one', async () => {
  const all = await fill();
  for (const client of all) await hold(client);
  const refused = await open('127.0.9.1');
  await refused.closed;
  held[3]?.response.end('here');
  await expect.poll(() => all[3]?.received()).toContain('here');
  const another = await open('127.0.10.1');
  await all[3]?.closed;
  await ask(another);
  for (const { response } of held) response.end('here');
  for (const client of all.filter((_, place) => place !== 3))
    await expect.poll(() => client.received()).toContain('here');
});

it('keeps a connection whose later requests of a pipeline still wait', async () => {
  const [first, ...others] = await fill();
  if (first === undefined) throw new Error('nothing is open');
  first.socket.write(requestTo('/held') + requestTo('/held'));
  await expect.poll(() => held.length).toBe(1);
  held[0]?.response.end('one');
  await expect.poll(() => held.length).toBe(2);
  await ask(await open('127.0.9.1'));
  await others[0]?.closed;
  held[1]?.response.end('two');
  await expect.poll(() => first.received()).toContain('two');
});

it.each([
  ['one address', (number: number) => `127.0.50.${Math.min(number, 1)}`],
  ['the addresses of a /24', (number: number) => `127.0.50.${number + 1}`],
])('gives a quarter to %s, and others what they need', async (_what, addressOf) => {
  const mine: Client[] = [];
  for (let number = 0; number < 3 * MOST; number += 1) mine.push(await open(addressOf(number % 2)));
  await Promise.all(mine.slice(0, -QUARTER).map(({ closed }) => closed));
  expect(mine.filter((client) => client.isOpen())).toHaveLength(QUARTER);
  const others: Client[] = [];
  for (const network of NETWORKS.slice(0, MOST - QUARTER)) others.push(await open(network));
  for (const client of [...others, ...mine.slice(-QUARTER)]) await ask(client);
});

it('refuses a network whose quarter is at work, and no other', async () => {
  const mine = [await open('127.0.50.1'), await open('127.0.50.2')];
  for (const client of mine) await hold(client);
  await (
    await open('127.0.50.3')
  ).closed;
  await ask(await open('127.0.51.1'));
  for (const { response } of held) response.end('here');
  for (const client of mine) await expect.poll(() => client.received()).toContain('here');
});

it('gives a proxy as many as there are', async () => {
  const all: Client[] = [];
  for (let number = 0; number < MOST; number += 1) all.push(await open(PROXY));
  for (const client of all) await ask(client);
  expect(drops).toBe(0);
});

it('counts no connection that is over', async () => {
  for (let round = 0; round < 3 * MOST; round += 1) {
    const client = await open('127.0.50.1');
    await ask(client);
    client.socket.end();
    await client.closed;
    await expect
      .poll(() => new Promise((resolve) => server.getConnections((_, count) => resolve(count))))
      .toBe(0);
  }
  expect(drops).toBe(0);
});
