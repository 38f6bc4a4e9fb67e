/** /account: the page on which people sign in, see their sessions and end them. It holds no data; scripts bring that. */
import type { FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify';

import { AuthError } from '../../domain/errors.js';
import type { AccountPage, PageFile } from '../account-page.js';
import { forOwnHost } from '../intake/hosts.js';

/** Scripts, styles and pictures from here, and from files alone; nothing that is text becomes code or markup. */
const PAGE_POLICY = [
  "default-src 'none'",
  "base-uri 'none'",
  "connect-src 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "img-src 'self'",
  "script-src 'self'",
  "style-src 'self'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

export const accountRoute: FastifyPluginCallback<{ page: AccountPage }> = (app, { page }, done) => {
  app.addHook('onRequest', forOwnHost);
  app.get('/account', { schema: { hide: true } }, (_request, reply) =>
    // `no-store`: the browser asks again on "back", after a logout too.
    reply.header('content-security-policy', PAGE_POLICY).type('text/html; charset=utf-8').send(page.html),
  );
  // Its addresses are relative, so that a proxy may put a path in front; from here they would lead astray.
  app.get('/account/', { schema: { hide: true } }, (_request, reply) => reply.redirect('../account', 308));
  app.get<{ Params: { file: string } }>('/account/page/:file', { schema: { hide: true } }, (request, reply) =>
    sendFile(page.files.get(request.params.file), request, reply),
  );
  done();
};

function sendFile(
  file: PageFile | undefined,
  { headers }: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  if (file === undefined) throw new AuthError('not_found');
  // Kept, but asked about each time: another version may be running by then.
  reply.headers({ 'cache-control': 'public, no-cache', etag: file.etag });
  const known = (headers['if-none-match'] ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  if (known.includes(file.etag) || known.includes('*')) return reply.code(304).send();
  return reply.type(file.type).send(file.content);
}
