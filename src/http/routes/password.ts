/** POST /password: a new password, the end of every session, and one for the user who asks. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import { AuthError } from '../../domain/errors.js';
import type { Gatehouse } from '../../domain/gatehouse.js';
import { judgeCaller } from '../doors/bearer.js';
import { deviceOf } from '../intake/device.js';
import { turnAwayWithoutRoom } from '../intake/room.js';
import { describe } from '../openapi/openapi.js';
import { sendPair, sendPairInCookies } from '../answers/pair.js';
import { trailOf } from '../log/trail.js';
import { passwordBody } from '../openapi/schemas.js';

export const passwordRoute: FastifyPluginCallbackZod<{ gatehouse: Gatehouse }> = (
  app,
  { gatehouse },
  done,
) => {
  turnAwayWithoutRoom(app, gatehouse);

  app.post('/password', { schema: { ...describe.password, body: passwordBody } }, async (request, reply) => {
    const { current_password: current, new_password: next } = request.body;
    const judgement = await judgeCaller(request, gatehouse);
    const change = await gatehouse.changePassword(
      judgement,
      { current, next },
      deviceOf(request),
      () => !reply.sent,
      trailOf(request),
    );
    if ('problem' in change) {
      const issues = [{ path: 'body/new_password', message: change.problem }];
      throw new AuthError('invalid_request', { issues });
    }
    if (!request.isByCookie) return sendPair(reply, change.pair);
    return sendPairInCookies(reply, change.pair, gatehouse.rules.reissueGraceSeconds);
  });
  done();
};
