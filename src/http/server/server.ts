/** The HTTP server beneath Fastify, with all its limits: how long, how much and how many it accepts. */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { Socket } from 'node:net';

import { atMostEvery } from '../../domain/scheduling/at-most.js';
import { answerClientError, answerConnect, answerExpectation } from './early-errors.js';
import { createConnections } from './connections.js';
import { createTurns } from './turns.js';

export const LIMITS = {
  /** Bodies are tokens and passwords; whoever sends more is lost. */
  bodyBytes: 16 * 1024,
  /** Of the one that brings many tokens. */
  batchBytes: 1024 * 1024,
  /** Of the one that brings many users. */
  importBytes: 1024 * 1024,
  /** Of the one by which operators end up to a thousand sessions. */
  operatorsBytes: 64 * 1024,
  /** Request line and headers together. */
  headerBytes: 16 * 1024,

  /** Headers must be here, and then the whole request, so long after its first byte (or the connection). */
  requestMs: 7000,
  /** An answer, or all that were asked for at once, must be taken in this time; a connection is kept so long after a large one. */
  answerMs: 6000,
  /** How often the two above are looked at: nobody is held for more than 10 s. */
  checkMs: 1000,

  /** Longer than the idle time of most load balancers, so that they close first and never meet a closing connection. */
  keepAliveMs: 72_000,
  /** How long requests that are still arriving hold up a replica that is told to go. */
  leavingMs: 5000,

  /** The next one takes the place of an idle one, or is closed: better than running out of descriptors, which the database needs too. */
  connections: 10_000,
  /** How often that is worth a line in the log. */
  noticeMs: 60_000,
} as const;

export interface ServerOptions {
  /** What every answer carries. */
  headers: Record<string, string>;
  /** Connections are being closed because there are too many; not called for each of them. */
  onDrop: () => void;
  /** Whether an address is that of a proxy, which may have more than a network's part of all connections. */
  isProxy?: (address: string) => boolean;
  /** How many there may be: {@link LIMITS} says. */
  connections?: number;
}

/** A server whose requests go to `handler`, one at a time per connection. */
export function createLimitedServer(
  handler: RequestListener,
  { headers, onDrop, isProxy = () => false, connections = LIMITS.connections }: ServerOptions,
): Server {
  const turns = createTurns({ lingerMs: LIMITS.answerMs });
  const server = createServer(
    {
      maxHeaderSize: LIMITS.headerBytes,
      headersTimeout: LIMITS.requestMs,
      requestTimeout: LIMITS.requestMs,
      connectionsCheckingInterval: LIMITS.checkMs,
      keepAliveTimeout: LIMITS.keepAliveMs,
      // Answered by us, in our shape.
      requireHostHeader: false,
    },
    turns.take(handler),
  );
  // Node would leave out those beyond, `Authorization` among them, without a word. See `refuseAmbiguity` for how many we take.
  server.maxHeadersCount = 0;
  server.on('connection', turns.open);
  // `server.maxConnections` would hand a connection back to the first process of several, which offers it anew without end.
  server.on(
    'connection',
    createConnections({
      most: connections,
      isProxy,
      idleSince: turns.idleSince,
      onDrop: atMostEvery(LIMITS.noticeMs, onDrop),
    }),
  );
  server.on(
    'checkExpectation',
    turns.take((_request, response) => answerExpectation(headers, response)),
  );
  server.on('connect', (_request, socket: Socket) => {
    turns.refuseNext(socket, () => answerConnect(headers, socket));
  });
  server.on('clientError', answerClientError(headers, turns.refuseNext));
  server.on('listening', () => keepWatch(server, turns.sweep));
  return server;
}

/** Node watches over requests that arrive, until it closes; we over answers that leave, and over the closing. */
function keepWatch(server: Server, sweep: (patience: number) => void): void {
  let closingMs = 0;
  const watch = setInterval(() => {
    sweep(LIMITS.answerMs / LIMITS.checkMs);
    if (server.listening) return;
    closingMs += LIMITS.checkMs;
    if (closingMs >= LIMITS.leavingMs) server.closeAllConnections();
  }, LIMITS.checkMs);
  watch.unref();
  server.once('close', () => clearInterval(watch));
}
