/** The users' door: a live access token, or 401. */
import fastifyPlugin from 'fastify-plugin';
import type { FastifyRequest } from 'fastify';

import { AuthError } from '../../domain/errors.js';
import type { Gatehouse } from '../../domain/gatehouse.js';
import type { Judgement } from '../../domain/liveness/liveness.js';
import { isMeantFor } from '../../domain/tokens/claims.js';
import type { AccessToken } from '../../domain/tokens/reader.js';
import { ACCESS_COOKIE, takeCookie } from './cookies.js';
import { nameDoor } from './refusals.js';
import { carrySuccessor } from '../answers/reissue.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The live access token behind this request; set by the users' door. */
    token: AccessToken;
    /** Whether a token was sent at all: then a challenge says what is wrong with it. */
    carriesToken: boolean;
  }
  interface FastifyContextConfig {
    /** Whether this route's answers carry `Refreshed-API-Token`. */
    reissues?: boolean;
  }
}

const FOR_OTHERS = 'The access token is for other audiences than this service.';

const BEARER = /^Bearer +([\w\-.~+/]+=*)$/i;

/**
 * The token in `Authorization` (RFC 6750 section 2.1); null when none was sent, or for another scheme.
 *
 * @throws {AuthError} invalid_token for a bearer that is no token
 */
export function findBearer(request: FastifyRequest): string | null {
  const { authorization } = request.headers;
  if (authorization === undefined || !/^Bearer\b/i.test(authorization)) return null;
  request.carriesToken = true;
  const token = BEARER.exec(authorization)?.[1];
  if (token === undefined) throw new AuthError('invalid_token');
  return token;
}

/**
 * The verdict on the access token in `Authorization`, which becomes the request's. A cookie is looked for where no bearer was sent.
 *
 * @throws {AuthError} invalid_token when there is neither; insufficient_scope for a live token that is for others alone
 */
export async function judgeCaller(
  request: FastifyRequest,
  { judge, rules }: Pick<Gatehouse, 'judge' | 'rules'>,
): Promise<Judgement> {
  const text = findBearer(request) ?? takeCookie(request, ACCESS_COOKIE, new URL(rules.issuer).origin);
  if (text !== null) {
    const judgement = (request.judgement = await judge(text));
    if (judgement.live !== null && !isMeantFor(judgement.live.claims, rules.audience))
      throw new AuthError('insufficient_scope', { detail: FOR_OTHERS });
    return judgement;
  }
  throw new AuthError('invalid_token', {
    detail: 'Send an access token as `Authorization: Bearer`, or as a cookie.',
  });
}

/** Puts every route of the enclosing scope behind the users' door. */
export const usersDoor = fastifyPlugin<{ gatehouse: Gatehouse }>(
  (app, { gatehouse }, done) => {
    nameDoor(app, 'users');
    app.addHook('preHandler', async (request, reply) => {
      const judgement = await judgeCaller(request, gatehouse);
      if (request.routeOptions.config.reissues === true) carrySuccessor(reply, judgement, gatehouse);
      if (judgement.live === null) throw new AuthError('invalid_token');
      request.token = judgement.live;
    });
    done();
  },
  { name: 'users-door' },
);
