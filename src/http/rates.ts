/** How often one network, or one client, may ask a replica: so generously that only a flood or a broken loop notices. */
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';

import { AuthError } from '../domain/errors.js';
import { networkOf } from '../domain/networks.js';
import { sendError, toAuthError } from './errors.js';

const MINUTE_MS = 60_000;

/** Requests per minute, counted by each replica for itself. */
export const RATES = {
  /** People's endpoints, for one network: 200 a second, which a large office behind one address does not reach. */
  network: { max: 12_000, timeWindow: MINUTE_MS },
  /** `/introspect` and `/revoke`, for one client that has proved who it is: 20,000 a second. */
  client: { max: 1_200_000, timeWindow: MINUTE_MS },
  /** Wrong client credentials, for one network. Right ones are never refused for what others of the network sent. */
  wrongClient: { max: 600, timeWindow: MINUTE_MS },
} as const;

/** Networks and clients that are remembered; a flood from more of them forgets the one not seen for longest. */
const REMEMBERED = 10_000;

export interface Rates {
  /** Limits every route of a scope by network. */
  byNetwork: (scope: FastifyInstance) => void;
  /** Limits every route of a scope by client; call it after the clients' door is set. */
  byClient: (scope: FastifyInstance) => void;
}

/**
 * A client counts by the id that it proved: who merely presents the id spends nothing of it. What was not proved counts
 * against the network, but only among its like.
 */
export async function createRates(app: FastifyInstance): Promise<Rates> {
  await app.register(rateLimit, { global: false, cache: REMEMBERED });
  const keyOfNetwork = (request: FastifyRequest) => networkOf(request.address);
  const takeOfNetwork = app.createRateLimit({ ...RATES.network, keyGenerator: keyOfNetwork });
  const takeOfWrongClient = app.createRateLimit({ ...RATES.wrongClient, keyGenerator: keyOfNetwork });
  const takeOfClient = app.createRateLimit({
    ...RATES.client,
    keyGenerator: ({ client }: FastifyRequest) => client.id,
  });

  return {
    byNetwork: (scope) => {
      scope.addHook('onRequest', async (request) => {
        throwIfExceeded(await takeOfNetwork(request));
      });
    },

    byClient: (scope) => {
      scope.addHook('preHandler', async (request) => {
        throwIfExceeded(await takeOfClient(request));
      });
      scope.setErrorHandler(async (thrown, request, reply) => {
        const error = toAuthError(thrown);
        const taken = error.code === 'invalid_client' ? await takeOfWrongClient(request) : null;
        return sendError(findExcess(taken) ?? error, request, reply);
      });
    },
  };
}

type Taken = Awaited<ReturnType<ReturnType<FastifyInstance['createRateLimit']>>>;

function findExcess(taken: Taken | null): AuthError | null {
  if (taken === null || taken.isAllowed || !taken.isExceeded) return null;
  return new AuthError('too_many_requests', { retryAfterSeconds: Math.max(1, taken.ttlInSeconds) });
}

function throwIfExceeded(taken: Taken): void {
  const excess = findExcess(taken);
  if (excess !== null) throw excess;
}
