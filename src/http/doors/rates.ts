/** How often one network, or one client, may ask a replica: so generously that only a flood or a broken loop notices. */
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';

import type { ClientCredentials } from '../../domain/clients.js';
import { LimitReached, tooManyRequests, type AuthError } from '../../domain/errors.js';
import type { Gatehouse } from '../../domain/gatehouse.js';
import { networkOf } from '../../domain/networks.js';
import { sendError, toAuthError } from '../answers/errors.js';

const MINUTE_MS = 60_000;

/** Requests per minute, counted by each replica for itself. */
export const RATES = {
  /** People's endpoints, for one network: 200 a second, which a large office behind one address does not reach. */
  network: { max: 12_000, timeWindow: MINUTE_MS },
  /** All that is for clients, for one that has proved who it is: 20,000 a second. */
  client: { max: 1_200_000, timeWindow: MINUTE_MS },
  /** Tokens at `/introspect/batch`, for one client: 200,000 a second. */
  tokens: { max: 12_000_000, timeWindow: MINUTE_MS },
  /** Wrong client credentials, for one network. Right ones are never refused for what others of the network sent. */
  wrongClient: { max: 600, timeWindow: MINUTE_MS },
} as const;

export type Limits = Record<keyof typeof RATES, { max: number; timeWindow: number }>;

/** Which of them was reached. */
const REACHED = {
  network: new LimitReached('rate_of_network'),
  client: new LimitReached('rate_of_client'),
  tokens: new LimitReached('rate_of_tokens'),
  wrongClient: new LimitReached('rate_of_wrong_clients'),
} as const satisfies Record<keyof typeof RATES, LimitReached>;

/** Networks and clients that are remembered; a flood from more of them forgets the one not seen for longest. */
const REMEMBERED = 10_000;

export interface Rates {
  /** Limits every route of a scope by network. */
  byNetwork: (scope: FastifyInstance) => void;
  /**
   * Whether the network of a request may present client credentials that this replica does not know. Where it has spent its
   * guesses they may still be those of a client that was added a moment ago: that is asked once a second, for all who wait.
   *
   * @throws {AuthError} too_many_requests
   */
  assertMayGuess: (request: FastifyRequest, credentials: ClientCredentials) => Promise<void>;
  /**
   * Counts one request of the client that has proved who it is.
   *
   * @throws {AuthError} too_many_requests
   */
  takeRequest: (request: FastifyRequest) => Promise<void>;
  /** Counts what a scope refuses as wrong credentials against their network. */
  countGuesses: (scope: FastifyInstance) => void;
  /**
   * Counts the tokens of one request for the client that asks about them.
   *
   * @throws {AuthError} too_many_requests
   */
  takeTokens: (clientId: string, tokens: number) => void;
}

/**
 * A client counts by the id that it proved: who merely presents the id spends nothing of it. What was not proved counts
 * against the network, but only among its like.
 */
export async function createRates(
  app: FastifyInstance,
  gatehouse: Pick<Gatehouse, 'findKnownClient' | 'hearOfClients'>,
  limits: Limits,
): Promise<Rates> {
  await app.register(rateLimit, { global: false, cache: REMEMBERED });
  const keyOfNetwork = (request: FastifyRequest) => networkOf(request.address);
  const takeOfNetwork = app.createRateLimit({ ...limits.network, keyGenerator: keyOfNetwork });
  const takeOfWrongClient = app.createRateLimit({ ...limits.wrongClient, keyGenerator: keyOfNetwork });
  const takeOfClient = app.createRateLimit({
    ...limits.client,
    keyGenerator: ({ client }: FastifyRequest) => client.id,
  });

  return {
    byNetwork: (scope) => {
      scope.addHook('onRequest', async (request) => {
        throwIfExceeded(await takeOfNetwork(request), REACHED.network);
      });
    },

    assertMayGuess: async (request, credentials) => {
      const guesses = await takeOfWrongClient(request, { increment: false });
      if (guesses.isAllowed || guesses.remaining > 0) return;
      await gatehouse.hearOfClients();
      if (gatehouse.findKnownClient(credentials) === null)
        throw tooManyRequests(REACHED.wrongClient, guesses.ttlInSeconds);
    },

    countGuesses: (scope) => {
      scope.setErrorHandler(async (thrown, request, reply) => {
        const error = toAuthError(thrown);
        const taken = error.code === 'invalid_client' ? await takeOfWrongClient(request) : null;
        return sendError(findExcess(taken, REACHED.wrongClient) ?? error, request, reply);
      });
    },

    takeRequest: async (request) => throwIfExceeded(await takeOfClient(request), REACHED.client),
    takeTokens: createTokenCount(limits.tokens),
  };
}

/** The plugin counts one by one. */
function createTokenCount({ max, timeWindow }: Limits['tokens']): Rates['takeTokens'] {
  const windows = new LRUCache<string, { tokens: number; endsAtMs: number }>({ max: REMEMBERED });
  return (clientId, tokens) => {
    const nowMs = performance.now();
    let window = windows.get(clientId);
    if (window === undefined || window.endsAtMs <= nowMs)
      windows.set(clientId, (window = { tokens: 0, endsAtMs: nowMs + timeWindow }));
    window.tokens += tokens;
    if (window.tokens > max) throw tooManyRequests(REACHED.tokens, (window.endsAtMs - nowMs) / 1000);
  };
}

type Taken = Awaited<ReturnType<ReturnType<FastifyInstance['createRateLimit']>>>;

function findExcess(taken: Taken | null, reached: LimitReached): AuthError | null {
  if (taken === null || taken.isAllowed || !taken.isExceeded) return null;
  return tooManyRequests(reached, taken.ttlInSeconds);
}

function throwIfExceeded(taken: Taken, reached: LimitReached): void {
  const excess = findExcess(taken, reached);
  if (excess !== null) throw excess;
}
