/** Spans of what is done for requests: statements that they ask, those that many ask together, and passwords that are hashed. */
import {
  SpanKind,
  SpanStatusCode,
  trace,
  type Span,
  type SpanOptions,
  type Tracer,
} from '@opentelemetry/api';

import type { Ask, Database } from '../../database/prisma.js';
import type { PasswordHasher } from '../../domain/passwords/hasher.js';
import { told } from '../../domain/reports/told.js';

const STATEMENT: SpanOptions = { kind: SpanKind.CLIENT, attributes: { 'db.system.name': 'postgresql' } };

/** The same database. A statement is told by its name; one without a name is `postgresql`. */
export function traceDatabase(database: Database, tracer: Tracer): Database {
  const within =
    <Row>(name: string, ask: Ask<Row>): Ask<Row> =>
    (...asked) =>
      inSpan(tracer, name, STATEMENT, () => ask(...asked));
  return {
    ...database,
    query: (columns) => within('postgresql', database.query(columns)),
    prepared: (name, columns) => within(name, database.prepared(name, columns)),
  };
}

/** The same hasher. For a user who does not exist, the span is the same. */
export function traceHasher(hasher: PasswordHasher, tracer: Tracer): PasswordHasher {
  const within = <Result>(work: () => Promise<Result>) => inSpan(tracer, 'argon2', {}, work);
  return {
    ...hasher,
    hash: (password) => within(() => hasher.hash(password)),
    verify: (phc, password) => within(() => hasher.verify(phc, password)),
    burn: (password) => within(() => hasher.burn(password)),
  };
}

/** Does the work in a span below that of the request; without a request there is none. */
async function inSpan<Result>(
  tracer: Tracer,
  name: string,
  options: SpanOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  if (trace.getActiveSpan()?.isRecording() !== true) return await work();
  const span = tracer.startSpan(name, options);
  try {
    return await work();
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR });
    throw error;
  } finally {
    span.end();
  }
}

/**
 * Makes a span of each statement of liveness, if a request is traced that waits for it. It has a trace of its own and links to those
 * of the requests, as OpenTelemetry wants it of work that is done for many at once; their spans have a link to it.
 *
 * @returns stops it
 */
export function traceLiveness(tracer: Tracer): () => void {
  const spans = new WeakMap<object, Span>();
  const stops = [
    told.question.listen((asker) => {
      const span = trace.getActiveSpan();
      if (span?.isRecording() === true) spans.set(asker, span);
    }),
    told.statement.listen(({ questions, seconds, askers, isAnswered }) => {
      const requests = askers.flatMap((asker) => spans.get(asker) ?? []);
      if (requests.length === 0) return;
      const endedAt = performance.now();
      const span = tracer.startSpan('liveness', {
        ...STATEMENT,
        root: true,
        startTime: endedAt - seconds * 1000,
        attributes: { ...STATEMENT.attributes, 'gatehouse.questions': questions },
        links: requests.map((request) => ({ context: request.spanContext() })),
      });
      if (!isAnswered) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end(endedAt);
      for (const request of requests) request.addLink({ context: span.spanContext() });
    }),
  ];
  return () => stops.forEach((stop) => stop());
}
