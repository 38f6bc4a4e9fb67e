/** POST /password/reset: a code becomes a password. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import { AuthError } from '../../domain/errors.js';
import type { Gatehouse } from '../../domain/gatehouse.js';
import { turnAwayWithoutRoom } from '../intake/room.js';
import { describe } from '../openapi/openapi.js';
import { trailOf } from '../log/trail.js';
import { resetBody } from '../openapi/schemas.js';

export const passwordResetRoute: FastifyPluginCallbackZod<{ gatehouse: Gatehouse }> = (
  app,
  { gatehouse },
  done,
) => {
  turnAwayWithoutRoom(app, gatehouse);

  app.post(
    '/password/reset',
    { schema: { ...describe.resetPassword, body: resetBody } },
    async (request, reply) => {
      const { code, new_password: next } = request.body;
      const { problem } = await gatehouse.resetPassword(
        { code, next },
        request.address,
        () => !reply.sent,
        trailOf(request),
      );
      if (problem === null) return reply.code(204).send(null);
      throw new AuthError('invalid_request', {
        issues: [{ path: 'body/new_password', message: problem }],
      });
    },
  );
  done();
};
