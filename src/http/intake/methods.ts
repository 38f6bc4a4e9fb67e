/** Tells a known URL with a wrong method (405, with Allow) from an unknown one (404). */
import fastifyPlugin from 'fastify-plugin';
import type { FastifyRequest } from 'fastify';

import { AuthError } from '../../domain/errors.js';

/**
 * Remembers which methods each URL takes and answers all others itself: the router, not a second matcher of ours,
 * decides what is the same URL. Register it after CORS and before the routes.
 */
export const methodNotAllowed = fastifyPlugin(
  (app, _options, done) => {
    const urls = new Map<string, 'oauth' | undefined>();

    app.addHook('onRoute', ({ url, config }) => {
      if (url !== '*') urls.set(url, config?.errors);
    });

    // As with other methods, before a body could be refused. The URL `*` is where preflights of any URL end up.
    app.addHook('onRequest', (request, _reply, next) => {
      const isUnknown = request.is404 || request.routeOptions.url === '*' || isDisguised(request);
      next(isUnknown ? new AuthError('not_found') : undefined);
    });

    app.decorate('refuseOtherMethods', () => {
      for (const [url, errors] of [...urls]) {
        const isTaken = (method: string) => app.hasRoute({ method, url });
        const others = app.supportedMethods.filter((method) => !isTaken(method));
        if (others.length === 0) continue;
        const allow = app.supportedMethods.filter(isTaken).sort().join(', ');
        app.route({
          method: others,
          url,
          config: { isRefused: true, ...(errors === undefined ? {} : { errors }) },
          schema: { hide: true },
          // In a hook, so that no body is read and refused for its size or type first.
          onRequest: (_request, reply, next) => {
            reply.header('allow', allow);
            next(new AuthError('method_not_allowed'));
          },
          handler: (_request, reply) => {
            reply.callNotFound();
          },
        });
      }
    });
    done();
  },
  { name: 'method-not-allowed' },
);

/**
 * Whether the router found one of our URLs in another spelling: `%6Cogin`, a fragment, a path in the query of an absolute
 * URL. None of ours needs any, and a proxy in front that has a rule about the URL may read such a one differently.
 */
function isDisguised({ raw, routeOptions: { url = '' } }: FastifyRequest): boolean {
  // Below `/session/` a gateway hands on whatever it was asked for.
  if (raw.url === url || url.endsWith('*')) return false;
  const path = raw.url?.replace(/^https?:\/\/[^/?#]*/, '').replace(/\?[^]*$/, '') ?? '';
  return !/^\/[\w.~/-]*$/.test(path);
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether the URL does not take these methods. */
    isRefused?: boolean;
  }
  interface FastifyInstance {
    /** Call once, after all routes are registered. */
    refuseOtherMethods: () => void;
  }
}
