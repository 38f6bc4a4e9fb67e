/** POST /refresh: a refresh token becomes its successor, with a new access token. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import type { Gatehouse } from '../../domain/gatehouse.js';
import { describe } from '../openapi.js';
import { sendPair } from '../pair.js';
import { refreshBody } from '../schemas.js';

export const refreshRoute: FastifyPluginCallbackZod<{ gatehouse: Gatehouse }> = (
  app,
  { gatehouse },
  done,
) => {
  app.post('/refresh', { schema: { ...describe.refresh, body: refreshBody } }, async (request, reply) => {
    request.carriesToken = true;
    return sendPair(reply, await gatehouse.logins.refresh(request.body.refresh_token));
  });
  done();
};
