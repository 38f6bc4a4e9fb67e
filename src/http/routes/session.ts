/** /session: who is this? For frontends, and for gateways that ask about every request that they let through. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import type { AccessClaims } from '../../domain/tokens/claims.js';
import { withoutVersion } from '../../domain/tokens/reader.js';
import { describe } from '../openapi/openapi.js';

export const sessionRoute: FastifyPluginCallbackZod = (app, _options, done) => {
  // A gateway forwards the method and perhaps the body of a request that is not ours: neither is looked at.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, parsed) => {
    parsed(null);
  });
  // Nor is its type, which need not be one.
  app.addHook('onRequest', (request, _reply, next) => {
    request.headers['content-type'] = 'application/octet-stream';
    next();
  });

  const hidden = { hide: true };
  const config = { reissues: true, isForGateways: true };
  app.get('/session', { schema: describe.session, config }, tellWho);
  app.route({
    method: app.supportedMethods.filter((method) => method !== 'GET' && method !== 'HEAD'),
    url: '/session',
    schema: hidden,
    config,
    handler: tellWho,
  });
  app.all('/session/*', { schema: hidden, config: { ...config, preflight: false } }, tellWho);
  done();
};

/** All four headers are always sent, so that a gateway that copies them leaves no room for forged ones. */
function tellWho({ claims }: FastifyRequest, reply: FastifyReply): Omit<AccessClaims, 'ver'> {
  reply.headers({
    'x-auth-subject': claims.sub,
    'x-auth-username': encodeURIComponent(claims.username),
    'x-auth-session': claims.sid,
    'x-auth-scope': claims.scope ?? '',
  });
  return withoutVersion(claims);
}
