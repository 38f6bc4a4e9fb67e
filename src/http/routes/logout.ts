/** POST /logout: either token ends its session. */
import type { FastifyRequest } from 'fastify';
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import { AuthError } from '../../domain/errors.js';
import type { Gatehouse } from '../../domain/gatehouse.js';
import type { Trail } from '../../domain/reports/told.js';
import { findBearer } from '../doors/bearer.js';
import { ACCESS_COOKIE, clearCookies, clearWhenOver, REFRESH_COOKIE, takeCookie } from '../doors/cookies.js';
import { describe } from '../openapi/openapi.js';
import { trailOf } from '../log/trail.js';
import { logoutBody } from '../openapi/schemas.js';

export const logoutRoute: FastifyPluginCallbackZod<{ gatehouse: Gatehouse }> = (app, { gatehouse }, done) => {
  const { origin } = new URL(gatehouse.rules.issuer);

  /** Two cookies may be of two sessions, when a late answer met a new login: one that is none of ours keeps neither alive. */
  async function logOut(tokens: Tokens, trail: Trail): Promise<void> {
    const ends: Promise<void>[] = [];
    if (tokens.refresh !== null) ends.push(gatehouse.logout(tokens.refresh, 'refresh', trail));
    if (tokens.access !== null) ends.push(gatehouse.logout(tokens.access, 'access', trail));
    const failures = (await Promise.allSettled(ends)).flatMap((end) =>
      end.status === 'rejected' ? [end.reason as Error] : [],
    );
    const failure = failures.find((reason) => !isForeign(reason)) ?? failures[ends.length - 1];
    if (failure !== undefined) throw failure;
  }

  app.post('/logout', { schema: { ...describe.logout, body: logoutBody } }, async (request, reply) => {
    const sent = { access: findBearer(request), refresh: request.body?.refresh_token ?? null };
    if (sent.access !== null && sent.refresh !== null) {
      throw new AuthError('invalid_request', {
        detail: 'Send the access token or the refresh token, not both.',
      });
    }
    const tokens = isNone(sent) ? takeCookies(request, origin) : sent;
    if (isNone(tokens)) throw new AuthError('invalid_token', { detail: 'Send either token.' });
    request.carriesToken = true;
    await clearWhenOver(reply, logOut(tokens, trailOf(request)));
    clearCookies(reply);
    return reply.code(204).send(null);
  });
  done();
};

interface Tokens {
  access: string | null;
  refresh: string | null;
}

function isNone({ access, refresh }: Tokens): boolean {
  return access === null && refresh === null;
}

function isForeign(reason: Error): boolean {
  return reason instanceof AuthError && reason.code === 'invalid_token';
}

function takeCookies(request: FastifyRequest, origin: string): Tokens {
  return {
    access: takeCookie(request, ACCESS_COOKIE, origin),
    refresh: takeCookie(request, REFRESH_COOKIE, origin),
  };
}
