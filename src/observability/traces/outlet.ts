/** What leaves this process of a span: attributes that are known to hold nothing that a caller has chosen, and no words of errors. */
import { SpanKind, SpanStatusCode, type SpanStatus } from '@opentelemetry/api';
import { ExportResultCode } from '@opentelemetry/core';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-node';

/**
 * Libraries add what they see fit: `@fastify/otel` the URL as it was sent, with all that a caller puts there. So this list says what
 * is sent, and no list of what is not.
 */
export const SENT_ATTRIBUTES: ReadonlySet<string> = new Set([
  'db.system.name',
  'gatehouse.questions',
  'http.request.method',
  'http.response.status_code',
  'http.route',
]);

/**
 * The same exporter for what may leave.
 *
 * @param onFailure is told why spans were lost, once for all failures in a row
 */
export function createOutlet(exporter: SpanExporter, onFailure: (error: unknown) => void): SpanExporter {
  let isFailing = false;
  return {
    export: (spans, done) => {
      exporter.export(spans.map(withoutUnknown), (result) => {
        const hasFailed = result.code !== ExportResultCode.SUCCESS;
        if (hasFailed && !isFailing) onFailure(result.error);
        isFailing = hasFailed;
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
  };
}

function withoutUnknown(span: ReadableSpan): ReadableSpan {
  const attributes = Object.fromEntries(
    Object.entries(span.attributes).filter(([name]) => SENT_ATTRIBUTES.has(name)),
  );
  return Object.create(span, {
    attributes: { value: attributes },
    // Exceptions: their messages quote.
    events: { value: [] },
    status: { value: statusOf(span) },
  }) as ReadableSpan;
}

/** That a caller is refused is no error of the service, says OpenTelemetry: only 5xx are. */
function statusOf({ kind, attributes, status: { code } }: ReadableSpan): SpanStatus {
  if (kind !== SpanKind.SERVER) return { code };
  const isOurs = Number(attributes['http.response.status_code']) >= 500;
  return { code: isOurs ? SpanStatusCode.ERROR : SpanStatusCode.UNSET };
}
