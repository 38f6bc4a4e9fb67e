/** Which other origins' pages may call Gatehouse, and what they may read of its answers. */
import cors from '@fastify/cors';
import fastifyPlugin from 'fastify-plugin';
import type { FastifyRequest } from 'fastify';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** False where pages never call: then a preflight, like any request, needs what the door asks for. */
    preflight?: boolean;
  }
}

/**
 * What a page may send along. The last four are what tracing libraries put on every request of a page: we look past them,
 * but a page whose preflight is refused cannot even log in. Browsers compare them without regard to case.
 */
const ALLOWED_HEADERS = [
  'authorization',
  'content-type',
  'traceparent',
  'tracestate',
  'baggage',
  'sentry-trace',
];

export const crossOrigin = fastifyPlugin<{ origins: string[] }>(
  async (app, { origins }) => {
    const options = {
      origin: origins,
      methods: ['GET', 'POST', 'DELETE'],
      allowedHeaders: ALLOWED_HEADERS,
      exposedHeaders: ['Refreshed-API-Token', 'Retry-After', 'WWW-Authenticate', 'X-Request-Id'],
      maxAge: 600,
    };
    await app.register(cors, {
      delegator: (request, done) => done(null, { ...options, preflight: isPreflight(request, origins) }),
    });
  },
  { name: 'cross-origin' },
);

/** Any other OPTIONS is a method like the rest: a gateway's goes to the door, elsewhere it is not allowed. */
function isPreflight({ headers, routeOptions }: FastifyRequest, origins: string[]): boolean {
  const { origin, 'access-control-request-method': method } = headers;
  return (
    routeOptions.config.preflight !== false &&
    origin !== undefined &&
    origins.includes(origin) &&
    method !== undefined
  );
}
