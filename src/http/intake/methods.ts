/** Tells a known URL with a wrong method (405, with Allow) from an unknown one (404). */
import findMyWay from 'find-my-way';
import type { FastifyInstance } from 'fastify';

import { AuthError } from '../../domain/errors.js';
import { urlOf, type KnownUrl } from './known.js';

/**
 * Remembers all URLs, and finds the URL of a request whose method no route takes. The router of Fastify decides what is the same
 * URL, here as there. It keeps a tree for each method: a route that refuses all other methods of a URL would double the time in
 * which the routes are made. Call it before any hook and any route.
 *
 * @param options those of Fastify's router
 */
export function rememberUrls(app: FastifyInstance, options: { maxParamLength: number }): void {
  const urls = findMyWay(options);
  const known = new Map<string, KnownUrl>();

  app.addHook('onRoute', ({ url, config }) => {
    // Where preflights of any URL end up.
    if (url === '*') return;
    let entry = known.get(url);
    if (entry === undefined) {
      entry = { url, errors: undefined };
      known.set(url, entry);
      urls.on('GET', url, () => undefined, entry);
    }
    entry.errors = config?.errors;
  });

  app.decorateRequest('known', undefined);
  app.addHook('onRequest', (request, _reply, next) => {
    // Fastify makes an object each time that it is asked for the options.
    const { url } = request.routeOptions;
    // A parameter stands for any text, also for one that is a URL of its own with other methods: `/admin/users/import`.
    if (url === undefined || url === '*' || url.includes(':')) {
      const entry = urls.find('GET', request.raw.url ?? '')?.store as KnownUrl | undefined;
      if (entry?.url !== url) request.known = entry;
    }
    next();
  });
}

/** Refuses what no route takes, in a hook, so that no body is read and refused for its size or type first. Call it after CORS. */
export function refuseUnknown(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, next) => {
    const { known, raw } = request;
    const url = urlOf(request);
    if (url === undefined || url === '*' || isDisguised(raw.url, url)) next(new AuthError('not_found'));
    else if (known === undefined) next();
    else {
      known.allow ??= listMethods(app, known.url);
      reply.header('allow', known.allow);
      next(new AuthError('method_not_allowed'));
    }
  });
}

/** Asked of the router: it has a route more for the prefix of a plugin with a slash behind it, of which no hook hears. */
function listMethods(app: FastifyInstance, url: string): string {
  const methods = app.supportedMethods.filter((method) => app.hasRoute({ method, url }));
  return methods.sort().join(', ');
}

/**
 * Whether the router found one of our URLs in another spelling: `%6Cogin`, a fragment, a path in the query of an absolute
 * URL. None of ours needs any, and a proxy in front that has a rule about the URL may read such a one differently.
 */
function isDisguised(asked: string | undefined, url: string): boolean {
  // Below `/session/` a gateway hands on whatever it was asked for.
  if (asked === url || url.endsWith('*')) return false;
  const path = asked?.replace(/^https?:\/\/[^/?#]*/, '').replace(/\?[^]*$/, '') ?? '';
  return !/^\/[\w.~/-]*$/.test(path);
}
