/** A span for each request, by `@fastify/otel`, and the trace that it belongs to. */
import otel from '@fastify/otel';
import type { TracerProvider } from '@opentelemetry/api';
import type { FastifyInstance, FastifyRequest } from 'fastify';

import { urlOf } from '../../http/intake/known.js';
import type { TraceIds } from '../../http/log/trace.js';

/** Asked all day by those who watch over us. */
const UNTRACED = new Set(['/health', '/ready']);

/** Call it before any route is registered. */
export async function traceRequests(app: FastifyInstance, provider: TracerProvider): Promise<void> {
  const instrumentation = new otel.FastifyOtelInstrumentation({
    // A span for each hook and each handler costs more than all of them do.
    instrumentHooks: false,
    instrumentHandler: false,
    recordExceptions: false,
    ignorePaths: ({ url }) => UNTRACED.has(url.replace(/\?.*/s, '')),
    requestHook: (span, request) => {
      const url = urlOf(request);
      span.updateName(url === undefined ? request.method : `${request.method} ${url}`);
      if (url !== undefined) span.setAttribute('http.route', url);
      const { traceId, spanId } = span.spanContext();
      request.trace = { trace_id: traceId, span_id: spanId } satisfies TraceIds;
    },
  });
  instrumentation.setTracerProvider(provider);

  app.addHook('onRequest', (request, _reply, done) => {
    const { headers } = request;
    if (!isBelieved(request)) delete headers['traceparent'];
    // Free text, up to the caller.
    delete headers['tracestate'];
    done();
  });
  await app.register(instrumentation.plugin());
}

/**
 * Whether a request may say which trace it belongs to, and that it is sampled: those of proxies that are believed in other things, too,
 * and those that come with a client's secret.
 */
function isBelieved({ isByProxy, routeOptions }: FastifyRequest): boolean {
  return isByProxy || routeOptions.config.permission !== undefined;
}
