/**
 * For which host a request counts. A page elsewhere can have its own name lead to us (DNS rebinding): then the browser takes us for that
 * page's server and lets it read our answers. But the browser tells us that name.
 */
import fastifyPlugin from 'fastify-plugin';
import type { FastifyRequest, onRequestHookHandler } from 'fastify';

import { AuthError } from '../../domain/errors.js';
import { isLoopback } from '../../domain/networks.js';

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * Call it where a request counts for the issuer's host alone.
     *
     * @throws {AuthError} misdirected_request
     */
    assertOwnHost: () => void;
  }
}

/** What people type who run Gatehouse on their own machine, as browsers write it. */
const LOCAL_NAMES = ['localhost', '127.0.0.1', '[::1]'];

/** RFC 9110 section 7.2: a name, or an address in brackets, then perhaps a port. One dot at the end of a name changes nothing. */
const HOST = /^(\[[\da-f:.]+\]|[^\s:/?#@\\[\]]+?)\.?(?::\d*)?$/i;

/**
 * Gives each request {@link FastifyRequest.assertOwnHost}. Register it before whatever answers pages of other origins.
 *
 * Ports are not compared. The browser sends the port that it connected to, so a page elsewhere gains nothing by it; a proxy or a
 * container often publishes another one than the issuer's.
 *
 * @param options.issuer its host is ours
 * @param options.host the address that we listen on
 */
export const hostGuard = fastifyPlugin<{ issuer: string; host: string }>(
  (app, { issuer, host }, done) => {
    const own = new URL(issuer).hostname;
    // Also in a container, which listens on all of its addresses and is published on this machine alone.
    const isLocal = isLoopback(host) || isLoopback(own);
    const ours = new Set([nameOf(own), ...(isLocal ? LOCAL_NAMES : [])]);

    app.decorateRequest('assertOwnHost', function (this: FastifyRequest) {
      const name = nameOf(this.askedHost);
      if (name === undefined || !ours.has(name)) throw misdirected(own, isLocal);
    });

    // Programs that are no browsers send neither header, and may call us by any name. A page elsewhere cannot keep its browser from
    // sending `Origin` with a POST. What it can ask for without both is no page of ours, and carries no cookie of ours.
    if (isLocal) {
      app.addHook('onRequest', (request, _reply, next) => {
        const { origin, 'sec-fetch-site': site } = request.raw.headers;
        if (origin !== undefined || site !== undefined) request.assertOwnHost();
        next();
      });
    }
    done();
  },
  { name: 'host-guard' },
);

/** For scopes whose answers are pages, and what pages load. */
export const forOwnHost: onRequestHookHandler = (request, _reply, next) => {
  request.assertOwnHost();
  next();
};

function nameOf(host: string | undefined): string | undefined {
  return HOST.exec(host ?? '')?.[1]?.toLowerCase();
}

function misdirected(own: string, isLocal: boolean): AuthError {
  const expected = isLocal ? [...new Set([own, ...LOCAL_NAMES])].join(', ') : own;
  const detail =
    `This counts for the host of ISSUER alone (${expected}), and the request was sent to another. If people type another one, set ` +
    'ISSUER to it. Behind a proxy, have it pass Host on, or tell X-Forwarded-Host from an address that TRUST_PROXY names.';
  return new AuthError('misdirected_request', { detail });
}
