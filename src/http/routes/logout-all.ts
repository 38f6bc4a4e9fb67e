/** POST /logout-all: ends every session of the user, or every other one. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import type { Gatehouse } from '../../domain/gatehouse.js';
import { tellEnded } from '../answers/ended.js';
import { clearCookies } from '../doors/cookies.js';
import { describe } from '../openapi/openapi.js';
import { trailOf } from '../log/trail.js';
import { logoutAllBody } from '../openapi/schemas.js';

export const logoutAllRoute: FastifyPluginCallbackZod<{ gatehouse: Gatehouse }> = (
  app,
  { gatehouse },
  done,
) => {
  app.post(
    '/logout-all',
    { schema: { ...describe.logoutAll, body: logoutAllBody } },
    async (request, reply) => {
      const exceptCurrent = request.body?.except_current === true;
      const ended = await gatehouse.logoutAll(request.token.question, { exceptCurrent }, trailOf(request));
      if (!exceptCurrent) clearCookies(reply);
      return tellEnded(ended);
    },
  );
  done();
};
