/** Traces of a process that serves, where OTEL_EXPORTER_OTLP_ENDPOINT is set. Elsewhere none of the code behind them is even loaded. */
import type { Logger } from 'pino';

import type { Config } from '../config/config.js';
import { readVersion } from '../config/version.js';
import type { Tracing } from '../observability/traces/tracing.js';

/** What makes spans; nothing where nobody wants any. */
export interface Traces extends Pick<Tracing, 'traceDatabase' | 'traceHasher'> {
  traceRequests?: Tracing['traceRequests'];
}

export const UNTRACED: Traces = { traceDatabase: (database) => database, traceHasher: (hasher) => hasher };

/** Begins to trace, if somebody wants to, and notes in `stops` how the last spans are sent. */
export async function startTracing(
  { otlpEndpoint }: Pick<Config, 'otlpEndpoint'>,
  logger: Logger,
  stops: Tracing['stop'][],
): Promise<Traces> {
  if (otlpEndpoint === null) return UNTRACED;
  const { createTracing } = await import('../observability/traces/tracing.js');
  const tracing = createTracing({ endpoint: otlpEndpoint, version: readVersion() }, logger);
  stops.push(tracing.stop);
  return tracing;
}
