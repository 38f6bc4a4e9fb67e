// A gateway between an application and a server in Gatehouse's place. Both write down what reaches them, byte by byte.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';

import { findFreePort } from '../../../packages/lab/shared/ports.js';
import { createWorkshop } from '../../support/service.js';
import type { Driver, Ports } from './gateway.js';
import {
  ask,
  bearer,
  createApplication,
  noteTunnels,
  take,
  type Answer,
  type Seen,
  type Witness,
} from './stage.js';
import type { RawHeaders } from './stage.js';

/** What comes with a request of the one caller whom the server in Gatehouse's place knows. */
export const KNOWN: RawHeaders = bearer('known');

/** The same of a caller about whom it says less: Gatehouse says `ext` with GATEWAY_EXT=on alone. */
export const KNOWN_WITHOUT_EXT: RawHeaders = bearer('known-without-ext');

/** What that server says about the caller: all that Gatehouse says. Other lists of these names are made from this one. */
export const IDENTITY = {
  'x-auth-subject': 'the-caller',
  'x-auth-client': 'the-client',
  'x-auth-username': 'zo%C3%AB',
  'x-auth-session': 'the-session',
  'x-auth-scope': 'read write',
  'x-auth-ext': 'eyJwbGFuIjoiZ29sZCJ9',
};

/** The last word of each name, as in `Subject`. */
export const IDENTITY_WORDS = Object.keys(IDENTITY).map((name) => {
  const word = name.slice('x-auth-'.length);
  return `${word.charAt(0).toUpperCase()}${word.slice(1)}`;
});

export interface Recorder {
  ports: Ports;
  /** What requests carry in `Host`. */
  host: string;
  send: (method: string, path: string, headers?: RawHeaders, body?: string) => Promise<Answer>;
  /** Sends these bytes, each a character, and waits for the gateway to close; the request asks for it. The status, 0 for none. */
  sendBytes: (bytes: string) => Promise<number>;
  /**
   * Sends a request that must get to the application, and says what arrived there. It is of the known caller, unless `Authorization` is among
   * the headers.
   */
  arrive: (method: string, path: string, headers?: RawHeaders, body?: string) => Promise<Seen>;
  /** What has reached both since this was asked last. */
  takeSeen: () => { application: Seen[]; gatehouse: Seen[] };
  close: () => Promise<void>;
}

export async function openRecorder(driver: Driver): Promise<Recorder> {
  const workshop = createWorkshop();
  const application = createApplication();
  const gatehouse = createOracle();
  const ports = {
    gateway: await findFreePort(),
    gatehouse: await listen(gatehouse.server),
    application: await listen(application.server),
  };
  const gateway = await driver.start(ports, await workshop.directory());

  const send: Recorder['send'] = (method, path, headers, body) =>
    ask(ports.gateway, method, path, headers, body);
  return {
    ports,
    host: `localhost:${ports.gateway}`,
    send,
    sendBytes: (bytes) => sendBytes(ports.gateway, bytes),
    arrive: async (method, path, headers = [], body) => {
      const caller = headers.includes('Authorization') ? [] : KNOWN;
      const answer = await send(method, path, [...headers, ...caller], body);
      if (answer.status !== 200) throw new Error(`did not arrive: ${answer.status} ${answer.body}`);
      return JSON.parse(answer.body) as Seen;
    },
    takeSeen: () => ({ application: application.seen.splice(0), gatehouse: gatehouse.seen.splice(0) }),
    close: async () => {
      await gateway.stop();
      for (const { server } of [application, gatehouse]) {
        server.closeAllConnections();
        server.close();
      }
      await workshop.clear();
    },
  };
}

/** Answers as Gatehouse does at /session: it knows two tokens. Anything else it only takes note of. */
function createOracle(): Witness {
  const seen: Seen[] = [];
  const server = createServer((incoming, response) => {
    void take(incoming, seen).then(({ url, headers }) => {
      const isAsked = url === '/session' || url.startsWith('/session/') || url.startsWith('/session?');
      const [, token] = headers.find(([name]) => name.toLowerCase() === 'authorization') ?? [];
      const { 'x-auth-ext': ext, ...less } = IDENTITY;
      if (!isAsked) response.end('{}');
      else if (token === KNOWN[1]) response.writeHead(200, { ...less, 'x-auth-ext': ext }).end('{}');
      else if (token === KNOWN_WITHOUT_EXT[1]) response.writeHead(200, less).end('{}');
      else response.writeHead(401, { 'content-type': 'application/problem+json' }).end('{}');
    });
  });
  noteTunnels(server, seen);
  return { server, seen };
}

async function listen(server: Server): Promise<number> {
  // By default it closes idle connections after seconds, which a busy machine may take from a test.
  server.keepAliveTimeout = 600_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function sendBytes(port: number, bytes: string): Promise<number> {
  const socket = connect({ port, host: '127.0.0.1' });
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
  // A gateway may reset a connection after its refusal: what it said counts.
  socket.on('error', () => undefined);
  socket.write(bytes, 'latin1');
  await new Promise((resolve) => socket.once('close', resolve));
  return Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0);
}
