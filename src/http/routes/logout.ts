/** POST /logout: either token ends its session. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import { AuthError } from '../../domain/errors.js';
import type { Gatehouse } from '../../domain/gatehouse.js';
import { findBearer } from '../bearer.js';
import { describe } from '../openapi.js';
import { logoutBody } from '../schemas.js';

export const logoutRoute: FastifyPluginCallbackZod<{ gatehouse: Gatehouse }> = (app, { gatehouse }, done) => {
  app.post('/logout', { schema: { ...describe.logout, body: logoutBody } }, async (request, reply) => {
    const access = findBearer(request);
    const refresh = request.body?.refresh_token ?? null;
    if (access !== null && refresh !== null) {
      throw new AuthError('invalid_request', {
        detail: 'Send the access token or the refresh token, not both.',
      });
    }
    if (access === null && refresh === null)
      throw new AuthError('invalid_token', { detail: 'Send either token.' });
    request.carriesToken = true;
    if (access !== null) await gatehouse.logins.logout(access, 'access');
    if (refresh !== null) await gatehouse.logins.logout(refresh, 'refresh');
    return reply.code(204).send(null);
  });
  done();
};
