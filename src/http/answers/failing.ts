/** What a request that is refused, or fails on our side, leaves for the log and the metrics. */
import type { FastifyRequest } from 'fastify';

import { DatabaseUnavailable } from '../../database/unavailable.js';
import { type AuthError, LimitReached, Reason } from '../../domain/errors.js';
import type { Refusal } from '../../domain/events/refusals.js';
import { unavailabilityOf, type Unavailability } from '../../domain/reports/unavailability.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The code that it was refused with, or failed. */
    refusal: AuthError['code'] | undefined;
    /** Why, in constant words that only the log says. */
    reason: string | undefined;
    /** The same, where the database could not be asked. */
    outage: DatabaseUnavailable | undefined;
    /** What is missing, where it was answered 503. */
    unavailability: Unavailability | undefined;
    /** The limit that was reached, where it was refused by one. */
    limit: Refusal['limit'];
  }
}

export function noteRefusal(error: AuthError, request: FastifyRequest): void {
  const { code, cause } = error;
  request.refusal = code;
  if (cause instanceof DatabaseUnavailable || cause instanceof Reason) request.reason = cause.message;
  // In an outage each request fails alike: it has its own line with the reason, and the outage has one with the failure.
  if (cause instanceof DatabaseUnavailable) request.outage = cause;
  if (code === 'temporarily_unavailable') request.unavailability = unavailabilityOf(cause);
  request.limit = limitOf(request.unavailability, cause);
  // Lines besides the request's own, which has room for a reason but not for a failure.
  const failure = { reqId: request.id, ...request.trace, err: cause ?? error };
  if (code === 'server_error') request.log.error(failure, 'this is a bug: a request was answered 500');
  else if (code === 'temporarily_unavailable' && request.reason === undefined)
    request.log.warn(failure, 'a request was answered 503 for a reason that nobody foresaw');
}

function limitOf(unavailability: Unavailability | undefined, cause: unknown): Refusal['limit'] {
  if (cause instanceof LimitReached) return cause.limit;
  return unavailability === 'hashing' ? unavailability : null;
}
