/** POST /logout: either token ends its session. */
import type { FastifyRequest } from 'fastify';
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import { AuthError } from '../../domain/errors.js';
import type { Gatehouse } from '../../domain/gatehouse.js';
import { findBearer } from '../bearer.js';
import { ACCESS_COOKIE, clearCookies, clearWhenOver, REFRESH_COOKIE, takeCookie } from '../cookies.js';
import { describe } from '../openapi.js';
import { logoutBody } from '../schemas.js';

export const logoutRoute: FastifyPluginCallbackZod<{ gatehouse: Gatehouse }> = (app, { gatehouse }, done) => {
  const { origin } = new URL(gatehouse.rules.issuer);

  async function logOut({ access, refresh }: Tokens): Promise<void> {
    if (access !== null) await gatehouse.logins.logout(access, 'access');
    if (refresh !== null) await gatehouse.logins.logout(refresh, 'refresh');
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
    await clearWhenOver(reply, logOut(tokens));
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

/** The refresh token, which a browser has longer than the other one. */
function takeCookies(request: FastifyRequest, origin: string): Tokens {
  const refresh = takeCookie(request, REFRESH_COOKIE, origin);
  return { access: refresh === null ? takeCookie(request, ACCESS_COOKIE, origin) : null, refresh };
}
