// What the checks of a gateway play on: the gateway, a real Gatehouse behind it, and an application that tells what reached it.
import { createHash } from 'node:crypto';
import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import { once } from 'node:events';
import { performServerHandshake, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { openHouse, type House, type TestUser, type TokenPair } from '../../support/house.js';
import { findFreePort } from '../../../packages/lab/shared/ports.js';
import { createWorkshop, environmentFor, type Service } from '../../support/service.js';
import type { Driver, Ports } from './gateway.js';

/** Names and values take turns, so that nothing is folded on the way. */
export type RawHeaders = readonly string[];

export interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
  tookMs: number;
}

/** What the application saw of a request. */
export interface Seen {
  method: string;
  url: string;
  headers: [name: string, value: string][];
  bytes: number;
  /** Headers that came after a chunked body. */
  trailers: [name: string, value: string][];
}

/** A server that writes down what reaches it. */
export interface Witness {
  server: Server;
  seen: Seen[];
}

export interface Stage {
  house: House;
  ports: Ports;
  /** The origin that users type. */
  origin: string;
  gatehouse: () => Service;
  /** Starts Gatehouse anew where it was. */
  restart: () => Promise<void>;
  /** Sends a request through the gateway, again where Gatehouse is unavailable for a moment. */
  send: (method: string, path: string, headers?: RawHeaders, body?: string) => Promise<Answer>;
  /** The same for tests of outages, and of how often is asked. */
  sendOnce: Stage['send'];
  /** Sends one that must get through to the application, and says what arrived there. */
  arrive: (method: string, path: string, headers?: RawHeaders, body?: string) => Promise<Seen>;
  /** How many requests have reached the application so far. */
  arrivals: () => number;
  login: (user: TestUser) => Promise<TokenPair>;
  close: () => Promise<void>;
}

export async function openStage(driver: Driver): Promise<Stage> {
  const house = await openHouse();
  const workshop = createWorkshop();
  const application = createApplication();
  application.server.listen(0, '127.0.0.1');
  await once(application.server, 'listening');
  const ports = {
    gateway: await findFreePort(),
    gatehouse: await findFreePort(),
    application: (application.server.address() as AddressInfo).port,
  };
  const origin = `http://localhost:${ports.gateway}`;
  const environment = {
    ...environmentFor(house.database.url),
    PORT: String(ports.gatehouse),
    ISSUER: origin,
    TRUST_PROXY: '127.0.0.1',
    GATEWAY_EXT: 'on',
    // One process, that can be stopped.
    WORKERS: '1',
  };
  let gatehouse = await workshop.start(environment);
  const gateway = await driver.start(ports, await workshop.directory());
  const sendOnce: Stage['send'] = (method, path, headers, body) =>
    ask(ports.gateway, method, path, headers, body);
  const send: Stage['send'] = async (...what) => {
    for (;;) {
      const answer = await sendOnce(...what);
      if (!isUnavailable(answer)) return answer;
      await sleep(200);
    }
  };

  return {
    house,
    ports,
    origin,
    gatehouse: () => gatehouse,
    restart: async () => {
      gatehouse = await workshop.start(environment);
    },
    send,
    sendOnce,
    arrive: async (...what) => {
      const answer = await send(...what);
      if (answer.status !== 200) throw new Error(`did not arrive: ${answer.status} ${answer.body}`);
      return JSON.parse(answer.body) as Seen;
    },
    arrivals: () => application.seen.length,
    login: async ({ username, password }) => {
      const credentials = JSON.stringify({ username, password });
      const answer = await send('POST', '/login', JSON_BODY, credentials);
      if (answer.status !== 200) throw new Error(`login: ${answer.status} ${answer.body}`);
      return JSON.parse(answer.body) as TokenPair;
    },
    close: async () => {
      await gateway.stop();
      application.server.closeAllConnections();
      application.server.close();
      await workshop.clear();
      await house.close();
    },
  };
}

export const JSON_BODY: RawHeaders = ['Content-Type', 'application/json'];

/** What a browser sends with the handshake of a WebSocket (RFC 6455 §4.1); some gateways refuse one without. */
export const SOCKET_KEY: RawHeaders = [
  'Sec-WebSocket-Version',
  '13',
  'Sec-WebSocket-Key',
  'dGhlIHNhbXBsZSBub25jZQ==',
];

export function bearer(token: string): RawHeaders {
  return ['Authorization', `Bearer ${token}`];
}

/** A 503 of Gatehouse, or of the gateway where it got no answer; one of the application is another thing. */
function isUnavailable({ status, headers }: Answer): boolean {
  return status === 503 && String(headers['content-type']).startsWith('application/problem+json');
}

/**
 * Answers with what it saw, with cookies and a lifetime of its own, and with a token that it has no business to hand out.
 * Asked to, it goes on as a WebSocket or, as many servers do, in HTTP/2 without TLS (`h2c`).
 */
export function createApplication(): Witness {
  const seen: Seen[] = [];
  const server = createServer((incoming, response) => {
    void take(incoming, seen).then((what) => {
      response.setHeader('Set-Cookie', ['basket=7; Path=/', 'theme=dark; Path=/']);
      response.setHeader('Cache-Control', 'private, max-age=60');
      response.setHeader('Refreshed-API-Token', 'from-the-application');
      response.setHeader('Content-Type', 'application/json');
      const status = Number(/\/status\/(\d+)/.exec(what.url)?.[1] ?? 200);
      // Longer than what a gateway holds at once.
      const least = what.url === '/long' ? 200_000 : 0;
      response.writeHead(status).end(JSON.stringify(what).padEnd(least));
    });
  });
  noteTunnels(server, seen);
  server.on('upgrade', (incoming, socket: Socket) => {
    void take(incoming, seen);
    socket.on('error', () => undefined);
    const wanted = String(incoming.headers.upgrade).toLowerCase();
    const protocol = wanted.includes('h2c') ? 'h2c' : 'websocket';
    const key = String(incoming.headers['sec-websocket-key']);
    // RFC 6455 §4.2.2.
    const accepted = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${protocol}\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accepted}\r\n\r\n`,
    );
    if (protocol === 'h2c') {
      speakHttp2(socket, seen);
      return;
    }
    const subject = String(incoming.headers['x-auth-subject']);
    socket.on('data', (chunk: Buffer) => socket.write(`${subject} said ${chunk.toString()}`));
  });
  return { server, seen };
}

/** Reads a request to its end and writes it down. */
export async function take(incoming: IncomingMessage, seen: Seen[]): Promise<Seen> {
  const { method = '', url = '', rawHeaders } = incoming;
  const what: Seen = { method, url, headers: pairsOf(rawHeaders), bytes: 0, trailers: [] };
  seen.push(what);
  for await (const chunk of incoming) what.bytes += (chunk as Buffer).length;
  what.trailers = pairsOf(incoming.rawTrailers);
  return what;
}

/** Writes each CONNECT down too, and opens no tunnel for it. */
export function noteTunnels(server: Server, seen: Seen[]): void {
  server.on('connect', (incoming: IncomingMessage, socket: Socket) => {
    void take(incoming, seen);
    socket.on('error', () => undefined);
    socket.end('HTTP/1.1 501 Not Implemented\r\nConnection: close\r\n\r\n');
  });
}

function pairsOf(raw: string[]): [name: string, value: string][] {
  const names = raw.filter((_, at) => at % 2 === 0);
  return names.map((name, at) => [name, raw[2 * at + 1] ?? '']);
}

function speakHttp2(socket: Socket, seen: Seen[]): void {
  performServerHandshake(socket).on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const { ':method': method = '', ':path': url = '', ...others } = headers;
    const what: Seen = {
      method,
      url,
      headers: Object.entries(others).map(([name, value]) => [name, String(value)]),
      bytes: 0,
      trailers: [],
    };
    seen.push(what);
    stream.respond({ ':status': 200 });
    stream.end(JSON.stringify(what));
  });
}

export async function ask(
  port: number,
  method: string,
  path: string,
  headers: RawHeaders = [],
  body?: string,
  localAddress = '127.0.0.1',
): Promise<Answer> {
  const startedAt = performance.now();
  // As browsers do: a POST without a body says so.
  const length = body === undefined && method === 'GET' ? [] : [String(Buffer.byteLength(body ?? ''))];
  const asking = request({
    port,
    host: '127.0.0.1',
    localAddress,
    method,
    path,
    agent: false,
    headers: [
      'Host',
      `localhost:${port}`,
      ...length.flatMap((bytes) => ['Content-Length', bytes]),
      ...headers,
    ],
  });
  asking.end(body);
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk as string;
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: text,
    tookMs: performance.now() - startedAt,
  };
}
