/** Refuses requests that two readers could take for two different ones. */
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';

import { AuthError } from '../../domain/errors.js';

/** As many as a request has that came through several proxies, and some more. */
const MAX_HEADERS = 200;

/** Of these, Node keeps the first without a word, while others take the last. */
const ONCE = new Set(['host', 'authorization', 'content-type']);

/** Checks the headers as they were sent, before anything reads one of them. */
export function refuseAmbiguity(app: FastifyInstance): void {
  app.addHook('onRequest', ({ raw }, reply, done) => {
    const mistake = findMistake(raw);
    // Whoever sends such a thing may mean something else by what follows, too. And Node loses what follows a request to
    // upgrade in the same chunk: the next answer would be taken for that of a request that nobody has seen.
    if (mistake !== null || raw.headers.upgrade !== undefined) reply.header('connection', 'close');
    done(mistake ?? undefined);
  });
}

function findMistake({ rawHeaders, headers, httpVersion }: IncomingMessage): AuthError | null {
  if (rawHeaders.length > 2 * MAX_HEADERS)
    return new AuthError('headers_too_large', { detail: `There are more than ${MAX_HEADERS} headers.` });
  if (httpVersion !== '1.1' && httpVersion !== '1.0')
    return new AuthError('invalid_request', { detail: 'The request is neither HTTP/1.1 nor HTTP/1.0.' });
  if (headers.host === undefined && httpVersion === '1.1')
    return new AuthError('invalid_request', { detail: 'The Host header is missing.' });
  const repeated = findRepeated(rawHeaders);
  return repeated === null
    ? null
    : new AuthError('invalid_request', { detail: `The header ${repeated} is repeated.` });
}

/** Names and values take turns in it. */
function findRepeated(rawHeaders: string[]): string | null {
  let seen = '';
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]?.toLowerCase() ?? '';
    if (!ONCE.has(name)) continue;
    if (seen.includes(name)) return name;
    seen += `${name} `;
  }
  return null;
}
