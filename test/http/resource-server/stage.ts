// A Gatehouse that listens, with a user and a client, and resource servers that ask it.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import Fastify, { type FastifyInstance, type LightMyRequestResponse, type RawServerDefault } from 'fastify';
import pino from 'pino';
import { onTestFinished, vi } from 'vitest';

import gatehouse, {
  type GatehouseOptions,
  type PluginOptions,
} from '../../../packages/resource-server/src/fastify.js';
import {
  bearer,
  login,
  openHouse,
  type House,
  type Replica,
  type TestClient,
  type TokenPair,
} from '../../support/house.js';
import { logOut } from '../../support/twins.js';

export interface Stage {
  house: House;
  replica: Replica;
  client: TestClient;
  /** For a resource server that asks the replica. */
  options: GatehouseOptions & { url: string };
  /** Of another user each time: nobody may log in as often as tests do. */
  logIn: () => Promise<TokenPair>;
  /** Ends the session of the pair. */
  logOut: (pair: TokenPair) => Promise<void>;
  close: () => Promise<void>;
}

/** Opens a house whose one replica really listens. */
export async function openStage(scope = 'orders:read'): Promise<Stage> {
  const house = await openHouse();
  const replica = await house.replica();
  const url = await replica.app.listen({ host: '127.0.0.1', port: 0 });
  const client = await house.client(['introspect']);
  return {
    house,
    replica,
    client,
    options: { url, clientId: client.id, clientSecret: client.secret, timeoutMs: 30_000 },
    logIn: async () => login(replica, await house.user({ scope })),
    logOut: async ({ access_token }) => {
      const answer = await logOut(replica, access_token);
      if (answer.statusCode !== 204) throw new Error(`logout: ${answer.statusCode} ${answer.body}`);
    },
    close: () => house.close(),
  };
}

export interface Orders {
  app: FastifyInstance;
  /** What it logged, as JSON lines. */
  log: string[];
  get: (path: string, token?: string, headers?: Record<string, string>) => Promise<LightMyRequestResponse>;
}

/** A resource server behind the plugin, with some routes; closed after the test. */
export async function openOrders(
  options: PluginOptions,
  prepare: (app: FastifyInstance) => unknown = () => undefined,
): Promise<Orders> {
  const log: string[] = [];
  const loggerInstance = pino({ level: 'trace' }, { write: (line: string) => void log.push(line) });
  const app: FastifyInstance = Fastify<RawServerDefault, IncomingMessage, ServerResponse>({
    loggerInstance,
  });
  onTestFinished(() => app.close());
  await app.register(gatehouse, options);
  app.get('/me', (request) => request.user);
  app.get('/orders', { config: { scope: 'orders:read' } }, () => ['a book']);
  app.post('/orders', { config: { scope: 'orders:read orders:write' } }, () => 'made');
  app.get('/menu', { config: { public: true } }, () => 'for all');
  app.get('/teapot', (_request, reply) => reply.code(418).send('short and stout'));
  app.get('/broken', () => {
    throw new Error('broken');
  });
  await prepare(app);
  await app.ready();
  return {
    app,
    log,
    get: (url, token, headers = {}) =>
      app.inject({ url, headers: { ...(token === undefined ? {} : bearer(token)), ...headers } }),
  };
}

export interface Listener {
  url: string;
  /** How many connections were opened to it so far. */
  connections: () => number;
  /** How many are open now. */
  openConnections: () => number;
  /** How many requests came in so far. */
  requests: () => number;
}

/** An HTTP server; closed after the test, with all its connections. */
export async function listen(handle: RequestListener): Promise<Listener> {
  let [connections, closed, requests] = [0, 0, 0];
  const server = createServer((request, response) => {
    requests += 1;
    handle(request, response);
  });
  // By default those that are idle are closed after seconds, which a busy machine may take from a test.
  server.keepAliveTimeout = 60_000;
  server.on('connection', (socket) => {
    connections += 1;
    socket.on('close', () => (closed += 1));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    connections: () => connections,
    openConnections: () => connections - closed,
    requests: () => requests,
  };
}

/** What this process is warned of until the test is over, call by call. */
export function hearWarnings(): unknown[][] {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  onTestFinished(() => warn.mockRestore());
  return warn.mock.calls;
}
