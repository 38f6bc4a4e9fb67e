/** Refusals before there is a route: by the router, or by Node before there is a request. No hook has run. */
import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ErrorCode } from '@gatehouse/protocol';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';

import { MEANINGS, sendError, toAuthError, type Meaning } from '../answers/errors.js';
import { logAnswer } from '../log/log.js';
import type { Turns } from './turns.js';

/** How long a refused client may go on sending: closed under it, its connection would break before it reads why. */
const LINGER_MS = 1000;

/** Two ways to be malformed that HTTP has a status for. */
const LATE = { status: 408, title: 'Request timeout', detail: 'The request did not arrive whole in time.' };
const UNMET = { status: 417, title: 'Expectation failed', detail: 'Only 100-continue can be expected.' };

/** What Node's parser calls a mistake that is not just malformed. */
const CODES_OF_PARSER: Record<string, ErrorCode> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'too_large',
};

/** What the router refuses, a URL that cannot be decoded for instance; `headers` are those of every answer. */
export function answerFrameworkError(headers: Record<string, string>) {
  return (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void => {
    reply.headers({ ...headers, 'cache-control': 'no-store', 'x-request-id': request.id });
    sendError(toAuthError(error), request, reply);
    logAnswer(request, reply);
  };
}

/** What Node itself refuses: answered in the same shape, in its turn, then the connection closes. */
export function answerClientError(common: Record<string, string>, refuseNext: Turns['refuseNext']) {
  return ({ code = '' }: NodeJS.ErrnoException, socket: Socket): void => {
    // Told already: the rest of what it sends goes nowhere.
    if (socket.writableEnded) return;
    const isLate = code === 'ERR_HTTP_REQUEST_TIMEOUT';
    // Browsers connect ahead of need: an answer to nothing would be taken for that of their first request.
    if (!socket.writable || (isLate && socket.bytesRead === 0)) {
      socket.destroy();
      return;
    }
    refuseNext(socket, () => {
      // What is late could still become whole, and must not be carried out any more.
      const error = CODES_OF_PARSER[code] ?? 'invalid_request';
      refuse(socket, compose(common, error, isLate ? LATE : MEANINGS[error]), isLate ? 0 : LINGER_MS);
    });
  };
}

/** There is no tunnel through us. The target of a CONNECT is no resource: it takes no method at all. */
export function answerConnect(common: Record<string, string>, socket: Socket): void {
  const error = 'method_not_allowed';
  refuse(socket, compose({ ...common, Allow: '' }, error, MEANINGS[error]), LINGER_MS);
}

/** An `Expect` other than 100-continue (RFC 9110 section 10.1.1). */
export function answerExpectation(common: Record<string, string>, response: ServerResponse): void {
  const { status, headers, body } = compose(common, 'invalid_request', UNMET);
  response.writeHead(status, headers).end(body);
}

interface EarlyAnswer {
  status: number;
  title: string;
  headers: Record<string, string>;
  body: string;
}

function compose(common: Record<string, string>, error: ErrorCode, meaning: Meaning): EarlyAnswer {
  const { status, title, detail } = meaning;
  const instance = randomUUID();
  const body = JSON.stringify({ type: 'about:blank', title, status, detail, instance, error });
  const headers = {
    ...common,
    'Content-Type': 'application/problem+json',
    'Cache-Control': 'no-store',
    'X-Request-Id': instance,
    'Content-Length': String(Buffer.byteLength(body)),
    Connection: 'close',
  };
  return { status, title, headers, body };
}

function refuse(socket: Socket, { status, title, headers, body }: EarlyAnswer, lingerMs: number): void {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${title}\r\n${lines.join('')}\r\n${body}`);
  const timer = setTimeout(() => socket.destroy(), lingerMs).unref();
  socket.once('close', () => clearTimeout(timer));
}
