/** How often one network, or one client, may ask a replica: so generously that only a flood or a broken loop notices. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';

import { AuthError } from '../domain/errors.js';
import { networkOf } from '../domain/networks.js';
import { addressOf } from './address.js';
import { sendError, toAuthError } from './errors.js';

const MINUTE_MS = 60_000;

/** Requests per minute, counted by each replica for itself. */
export const RATES = {
  /** People's endpoints, for one network: 200 a second, which a large office behind one address does not reach. */
  network: { max: 12_000, windowMs: MINUTE_MS },
  /** `/introspect` and `/revoke`, for one client that has proved who it is: 20,000 a second. */
  client: { max: 1_200_000, windowMs: MINUTE_MS },
  /** Wrong client credentials, for one network. Right ones are never refused for what others of the network sent. */
  wrongClient: { max: 600, windowMs: MINUTE_MS },
} as const;

/** Networks and clients that are remembered; a flood from more of them forgets the one not seen for longest. */
const REMEMBERED = 10_000;

export interface Rates {
  /** Limits every route of a scope by network. */
  byNetwork: (scope: FastifyInstance) => void;
  /** Limits every route of a scope by client; call it after the clients' door is set. */
  byClient: (scope: FastifyInstance) => void;
}

/** A client counts by the id that it proved; what was not proved counts against the network, but only among its like. */
export function createRates(): Rates {
  const ofNetwork = createBudget(RATES.network);
  const ofWrongClient = createBudget(RATES.wrongClient);
  const ofClient = createBudget(RATES.client);

  return {
    byNetwork: (scope) => {
      scope.addHook('onRequest', (request, _reply, next) => {
        next(ofNetwork(keyOfNetwork(request)));
      });
    },

    byClient: (scope) => {
      scope.addHook('preHandler', (request, _reply, next) => {
        next(ofClient(request.client.id));
      });
      scope.setErrorHandler((thrown, request, reply) => {
        const error = toAuthError(thrown);
        const excess = error.code === 'invalid_client' ? ofWrongClient(keyOfNetwork(request)) : undefined;
        return sendError(excess ?? error, request, reply);
      });
    },
  };
}

function keyOfNetwork(request: FastifyRequest): string {
  return networkOf(addressOf(request));
}

/** Takes one from a key's budget, or tells how long to wait. A window begins with its first request. */
function createBudget({
  max,
  windowMs,
}: {
  max: number;
  windowMs: number;
}): (key: string) => AuthError | undefined {
  const windows = new LRUCache<string, { taken: number; endsAt: number }>({ max: REMEMBERED });
  return (key) => {
    const now = performance.now();
    const window = windows.get(key);
    if (window === undefined || now >= window.endsAt) {
      windows.set(key, { taken: 1, endsAt: now + windowMs });
      return undefined;
    }
    window.taken += 1;
    if (window.taken <= max) return undefined;
    return new AuthError('too_many_requests', { retryAfterSeconds: Math.ceil((window.endsAt - now) / 1000) });
  };
}
