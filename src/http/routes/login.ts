/** POST /login: a password becomes a session. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import type { Gatehouse } from '../../domain/gatehouse.js';
import { assertOwnLogin } from '../doors/csrf.js';
import { deviceOf } from '../intake/device.js';
import { assertNotLonger } from '../intake/lifetimes.js';
import { turnAwayWithoutRoom } from '../intake/room.js';
import { sendPair, sendPairInCookies } from '../answers/pair.js';
import { trailOf } from '../log/trail.js';
import { loginBody } from '../openapi/schemas.js';
import { describe } from '../openapi/openapi.js';

export const loginRoute: FastifyPluginCallbackZod<{ gatehouse: Gatehouse }> = (app, { gatehouse }, done) => {
  const { issuer, reissueGraceSeconds, sessionTtlSeconds: sessionTtl } = gatehouse.rules;
  const { origin } = new URL(issuer);

  turnAwayWithoutRoom(app, gatehouse);

  app.post('/login', { schema: { ...describe.login, body: loginBody } }, async (request, reply) => {
    const device = deviceOf(request);
    const { transport, session_ttl: sessionTtlSeconds, ...credentials } = request.body;
    assertNotLonger('session_ttl', sessionTtlSeconds, sessionTtl, 'SESSION_TTL');
    const wish = { ...credentials, sessionTtlSeconds };
    const logIn = () => gatehouse.login(wish, device, trailOf(request));
    if (transport !== 'cookie') return sendPair(reply, await logIn());
    assertOwnLogin(request, origin);
    return sendPairInCookies(reply, await logIn(), reissueGraceSeconds);
  });
  done();
};
