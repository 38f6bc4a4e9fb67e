/** What doors and limits refuse, for those who count it; and which door a route stands behind. */
import type { ErrorCode } from '@gatehouse/protocol';
import type { FastifyInstance } from 'fastify';

import { COUNTED_REFUSALS, type Door, type Refusals } from '../../domain/events/refusals.js';
import { findMember } from './members.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The door before this route; by default that for anyone. */
    door?: Door;
  }
}

/** Says of each route of the enclosing scope which door it stands behind. */
export function nameDoor(app: FastifyInstance, door: Door): void {
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, door };
  });
}

const IS_COUNTED = new Set<ErrorCode>(COUNTED_REFUSALS);

/** Counts each request that is answered so. No name counts but that of a client that was let in. */
export function countRefusals(app: FastifyInstance, { count }: Pick<Refusals, 'count'>): void {
  app.addHook('onResponse', (request, _reply, done) => {
    const { refusal, limit, address, routeOptions } = request;
    if (refusal !== undefined && (limit !== null || IS_COUNTED.has(refusal))) {
      // A client that was removed meanwhile was one when the request began.
      const client = refusal === 'invalid_client' ? null : findMember(request, 'client');
      count({ outcome: refusal, limit, door: routeOptions.config.door ?? 'anyone', client, address });
    }
    done();
  });
}
