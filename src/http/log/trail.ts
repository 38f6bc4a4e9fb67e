/** Whom a request is about, and what has come of it, for its line. */
import type { FastifyRequest } from 'fastify';

import { noteSession, type Trail } from '../../domain/reports/told.js';
import { findMember } from '../doors/members.js';
import { deviceOf } from '../intake/device.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Undefined until something is noted; read it by {@link trailOf}. */
    trail: Trail | undefined;
  }
}

/** For a verb of the domain to note in. It begins with the token that a door has judged, live or not. */
export function trailOf(request: FastifyRequest): Trail {
  if (request.trail !== undefined) return request.trail;
  const { ip, userAgent } = deviceOf(request);
  const trail: Trail = { origin: { ip, userAgent, requestId: request.id } };
  const token = findMember(request, 'judgement')?.token ?? null;
  if (token !== null) noteSession(trail, token.question.userId, token.question.sid);
  return (request.trail = trail);
}
