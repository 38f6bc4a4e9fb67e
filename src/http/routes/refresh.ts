/** POST /refresh: a refresh token becomes its successor, with a new access token. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import { AuthError } from '../../domain/errors.js';
import type { Gatehouse } from '../../domain/gatehouse.js';
import { findBearer } from '../doors/bearer.js';
import { clearWhenOver, REFRESH_COOKIE, takeCookie } from '../doors/cookies.js';
import { describe } from '../openapi/openapi.js';
import { sendPair, sendPairInCookies } from '../answers/pair.js';
import { trailOf } from '../log/trail.js';
import { refreshBody } from '../openapi/schemas.js';

export const refreshRoute: FastifyPluginCallbackZod<{ gatehouse: Gatehouse }> = (
  app,
  { gatehouse },
  done,
) => {
  const { issuer, reissueGraceSeconds } = gatehouse.rules;
  const { origin } = new URL(issuer);

  app.post('/refresh', { schema: { ...describe.refresh, body: refreshBody } }, async (request, reply) => {
    const inBody = request.body?.refresh_token;
    if (inBody !== undefined) {
      request.carriesToken = true;
      return sendPair(reply, await gatehouse.refresh(inBody, trailOf(request)));
    }
    const inCookie = findBearer(request) === null ? takeCookie(request, REFRESH_COOKIE, origin) : null;
    if (inCookie === null) throw missing(request.body);
    const pair = await clearWhenOver(reply, gatehouse.refresh(inCookie, trailOf(request)));
    return sendPairInCookies(reply, pair, reissueGraceSeconds);
  });
  done();
};

/** A body without the token is a mistake of the program; no body is a browser that is not signed in. */
function missing(body: object | null | undefined): AuthError {
  const message = 'is missing: send a refresh token here, or as a cookie';
  if (body) return new AuthError('invalid_request', { issues: [{ path: 'body/refresh_token', message }] });
  return new AuthError('invalid_token', {
    detail: 'Send a refresh token as `refresh_token` in the body, or as a cookie.',
  });
}
