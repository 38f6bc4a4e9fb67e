/** /session: who is this? For frontends, and for gateways that ask about every request that they let through. */
import type { Extension } from '@gatehouse/protocol';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';
import type { z } from 'zod';

import { AuthError } from '../../domain/errors.js';
import type { AccessClaims } from '../../domain/tokens/claims.js';
import { isRecentlyProved } from '../../domain/tokens/recency.js';
import { withoutVersion } from '../../domain/tokens/reader.js';
import { describe } from '../openapi/openapi.js';
import { sessionQuery } from '../openapi/schemas.js';

/** @param options `gatewayExt`: whether gateways are told `ext`, too */
export const sessionRoute: FastifyPluginCallbackZod<{ gatewayExt: boolean }> = (
  app,
  { gatewayExt },
  done,
) => {
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
  // Below `/session/` the query is that of a request which is not ours.
  const querystring = sessionQuery;
  app.get('/session', { schema: { ...describe.session, querystring }, config }, tellWhoIfRecent);
  app.route({
    method: app.supportedMethods.filter((method) => method !== 'GET' && method !== 'HEAD'),
    url: '/session',
    schema: { ...hidden, querystring },
    config,
    handler: tellWhoIfRecent,
  });
  app.all('/session/*', { schema: hidden, config: { ...config, preflight: false } }, ({ token }, reply) =>
    tellWho(token.claims, reply, gatewayExt),
  );
  done();

  /** @throws {AuthError} insufficient_user_authentication when the password was given longer ago than `max_age` says */
  function tellWhoIfRecent(
    request: FastifyRequest<{ Querystring: z.infer<typeof sessionQuery> }>,
    reply: FastifyReply,
  ): Omit<AccessClaims, 'ver'> {
    const { max_age: maxAge } = request.query;
    if (maxAge !== undefined && !isRecentlyProved(request.judgement, Number(maxAge)))
      throw new AuthError('insufficient_user_authentication', { maxAgeSeconds: Number(maxAge) });
    return tellWho(request.token.claims, reply, gatewayExt);
  }
};

/**
 * Answers with the claims, and says in headers who it is. All that may be sent are always sent, so that a gateway that copies them leaves no
 * room for forged ones.
 */
function tellWho(claims: AccessClaims, reply: FastifyReply, gatewayExt: boolean): Omit<AccessClaims, 'ver'> {
  reply.headers({
    'x-auth-subject': claims.sub,
    'x-auth-username': encodeURIComponent(claims.username),
    'x-auth-session': claims.sid,
    'x-auth-scope': claims.scope ?? '',
    'x-auth-client': claims.client_id,
    ...(gatewayExt ? { 'x-auth-ext': encodeExtension(claims.ext) } : {}),
  });
  return withoutVersion(claims);
}

/** As base64url of JSON, since it may hold any text. */
function encodeExtension(ext: Extension = {}): string {
  return Buffer.from(JSON.stringify(ext)).toString('base64url');
}
