/** POST /login: a password becomes a session. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import type { Gatehouse } from '../../domain/gatehouse.js';
import { assertOwnLogin } from '../csrf.js';
import { sendPair, sendPairInCookies } from '../pair.js';
import { loginBody } from '../schemas.js';
import { describe } from '../openapi.js';

/** As much of a User-Agent as helps a person to recognise the device. */
const USER_AGENT_CHARACTERS = 512;

export const loginRoute: FastifyPluginCallbackZod<{ gatehouse: Gatehouse }> = (app, { gatehouse }, done) => {
  const { issuer, reissueGraceSeconds } = gatehouse.rules;
  const { origin } = new URL(issuer);

  app.addHook('onRequest', (request, _reply, next) => {
    // In a storm of logins, most are turned away here: it is what keeps the storm away from everybody else.
    gatehouse.assertFree(request.address);
    next();
  });

  app.post('/login', { schema: { ...describe.login, body: loginBody } }, async (request, reply) => {
    const device = {
      ip: request.address,
      userAgent: request.headers['user-agent']?.slice(0, USER_AGENT_CHARACTERS) ?? null,
    };
    const { transport, ...credentials } = request.body;
    if (transport === 'bearer') return sendPair(reply, await gatehouse.login(credentials, device));
    assertOwnLogin(request, origin);
    return sendPairInCookies(reply, await gatehouse.login(credentials, device), reissueGraceSeconds);
  });
  done();
};
