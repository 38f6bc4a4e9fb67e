/** POST /password: a new password, and the end of every other session. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import { AuthError } from '../../domain/errors.js';
import type { Gatehouse } from '../../domain/gatehouse.js';
import { describe } from '../openapi.js';
import { passwordBody } from '../schemas.js';

export const passwordRoute: FastifyPluginCallbackZod<{ gatehouse: Gatehouse }> = (
  app,
  { gatehouse },
  done,
) => {
  app.addHook('onRequest', (request, _reply, next) => {
    // Hashes like a login, so it is turned away as early.
    gatehouse.assertFree(request.address);
    next();
  });

  app.post('/password', { schema: { ...describe.password, body: passwordBody } }, async (request, reply) => {
    const { current_password: current, new_password: next } = request.body;
    const isAwaited = () => !reply.sent;
    const { address } = request;
    const problem = await gatehouse.changePassword(request.claims, { current, next }, address, isAwaited);
    if (problem !== null) {
      const issues = [{ path: 'body/new_password', message: problem }];
      throw new AuthError('invalid_request', { issues });
    }
    return reply.code(204).send(null);
  });
  done();
};
