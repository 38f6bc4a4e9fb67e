/** POST /reauthenticate: the password once more, and an access token that says when. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import type { Gatehouse } from '../../domain/gatehouse.js';
import { sendAccess, sendAccessInCookie } from '../answers/pair.js';
import { deviceOf } from '../intake/device.js';
import { turnAwayWithoutRoom } from '../intake/room.js';
import { describe } from '../openapi/openapi.js';
import { reauthenticateBody } from '../openapi/schemas.js';

export const reauthenticateRoute: FastifyPluginCallbackZod<{ gatehouse: Gatehouse }> = (
  app,
  { gatehouse },
  done,
) => {
  turnAwayWithoutRoom(app, gatehouse);

  app.post(
    '/reauthenticate',
    { schema: { ...describe.reauthenticate, body: reauthenticateBody } },
    async (request, reply) => {
      const { body } = request;
      const token = await gatehouse.reauthenticate(request.token, body.password, deviceOf(request));
      if (!request.isByCookie) return sendAccess(reply, token);
      return sendAccessInCookie(reply, token, gatehouse.rules.reissueGraceSeconds);
    },
  );
  done();
};
