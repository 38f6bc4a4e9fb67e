/** Refusals before there is a route: by the router, or by Node before there is a request. No hook has run. */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';

import { MEANINGS, sendError, toAuthError } from './errors.js';
import { logAnswer } from './log.js';

/** What the router refuses, a URL that cannot be decoded for instance. */
export function answerFrameworkError(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  reply.headers({ 'cache-control': 'no-store', 'x-request-id': request.id });
  sendError(toAuthError(error), request, reply);
  logAnswer(request, reply);
}

/** What Node itself refuses: answered in the same shape, then the connection closes. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const isHeaderOverflow = error.code === 'HPE_HEADER_OVERFLOW';
  const code = isHeaderOverflow ? 'headers_too_large' : 'invalid_request';
  const { status, title, detail } = MEANINGS[code];
  const instance = randomUUID();
  const body = JSON.stringify({ type: 'about:blank', title, status, detail, instance, error: code });
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\n` +
      `X-Request-Id: ${instance}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
