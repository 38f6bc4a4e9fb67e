/** The traces of one process that serves: what makes spans, and what sends them to a collector. */
import { randomUUID } from 'node:crypto';
import { context, propagation, trace } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import { AlwaysOnSampler, BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';

import type { Database } from '../../database/prisma.js';
import type { PasswordHasher } from '../../domain/passwords/hasher.js';
import { createOutlet } from './outlet.js';
import { traceRequests } from './requests.js';
import { traceDatabase, traceHasher, traceLiveness } from './work.js';

export interface Tracing {
  /** Makes a span of each request. Call it before any route is registered. */
  traceRequests: (app: FastifyInstance) => Promise<void>;
  /** The same, with a span for each statement that a request asks. */
  traceDatabase: (database: Database) => Database;
  /** The same, with a span for each password that a request has hashed. */
  traceHasher: (hasher: PasswordHasher) => PasswordHasher;
  /** Sends what is left, as far as the collector takes it in time. */
  stop: () => Promise<void>;
}

/** How long the collector may take. Nobody waits for it but this process, when it leaves. */
const SENDING_MS = 2000;

/** As many questions as one statement holds: each may be of another request. */
const MOST_LINKS = 1024;

const NAME = 'gatehouse';

/**
 * @param endpoint base of the collector's addresses, such as `http://127.0.0.1:4318`; the SDK reads other settings itself
 * (docs/traces.md)
 */
export function createTracing(
  { endpoint, version, sendingMs = SENDING_MS }: { endpoint: string; version: string; sendingMs?: number },
  logger: Logger,
): Tracing {
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    timeoutMillis: sendingMs,
    // Without it a connection that nobody answers would keep the process alive for minutes.
    httpAgentOptions: { keepAlive: true, timeout: sendingMs },
  });
  const outlet = createOutlet(exporter, (err) =>
    logger.warn({ err }, 'spans cannot be sent to OTEL_EXPORTER_OTLP_ENDPOINT, and are lost until they can'),
  );
  const own = { 'service.name': NAME, 'service.version': version, 'service.instance.id': randomUUID() };
  const resource = defaultResource()
    .merge(resourceFromAttributes(own))
    .merge(detectResources({ detectors: [envDetector] }));
  const spanProcessors = [new BatchSpanProcessor(outlet)];
  const provider = new NodeTracerProvider({ resource, spanProcessors });
  // What belongs to a request that is sampled is sampled, at any ratio.
  const linked = new NodeTracerProvider({
    resource,
    spanProcessors,
    sampler: new AlwaysOnSampler(),
    spanLimits: { linkCountLimit: MOST_LINKS },
  });
  provider.register({ propagator: new W3CTraceContextPropagator() });
  const tracer = provider.getTracer(NAME, version);
  const stopLiveness = traceLiveness(linked.getTracer(NAME, version));

  return {
    traceRequests: (app) => traceRequests(app, provider),
    traceDatabase: (database) => traceDatabase(database, tracer),
    traceHasher: (hasher) => traceHasher(hasher, tracer),
    stop: async () => {
      stopLiveness();
      for (const global of [trace, context, propagation]) global.disable();
      // That spans could not be sent, the outlet has said.
      const sent = provider.shutdown().catch(() => undefined);
      const late = new Promise((resolve) => setTimeout(resolve, sendingMs).unref());
      await Promise.race([sent, late]);
    },
  };
}
