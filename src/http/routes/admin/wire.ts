/** How lists of /admin are asked for, times written, and who acts. */
import type { FastifyRequest } from 'fastify';

import { actorOfClient } from '../../../domain/sessions/actors.js';
import type { Trail } from '../../../domain/reports/told.js';
import { trailOf } from '../../log/trail.js';
import { DEFAULT_PAGE, type PageOrder } from '../../../domain/operators/pages.js';

export function pageOrder({
  limit,
  after,
}: {
  limit?: number | undefined;
  after?: string | undefined;
}): PageOrder {
  return { limit: limit ?? DEFAULT_PAGE, after: after ?? null };
}

/** An instant in RFC 3339, to the millisecond. */
export function toDate(text: string | undefined): Date | null {
  return text === undefined ? null : new Date(text);
}

/** The last two arguments of each verb that changes something: the client that asks, as it stands in rows, and the trail of its request. */
export function byClient(request: FastifyRequest): [by: string, trail: Trail] {
  return [actorOfClient(request.client), trailOf(request)];
}
