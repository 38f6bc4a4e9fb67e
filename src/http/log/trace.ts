/** The trace that a request belongs to, as its log lines name it. */
declare module 'fastify' {
  interface FastifyRequest {
    /** Where requests are traced, and this one is; the names of the members are those that log readers know. */
    trace: TraceIds | undefined;
  }
}

export interface TraceIds {
  /** 32 hexadecimal digits (W3C Trace Context). */
  trace_id: string;
  /** Of the request's span: 16 of them. */
  span_id: string;
}
