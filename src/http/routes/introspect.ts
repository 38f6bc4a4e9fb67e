/** POST /introspect (RFC 7662): is this access token alive, and whose is it? */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import type { Gatehouse } from '../../domain/gatehouse.js';
import { isExpired } from '../../domain/tokens.js';
import { describe } from '../openapi.js';
import { carrySuccessor } from '../reissue.js';
import { tokenForm } from '../schemas.js';

const INACTIVE = { active: false } as const;

export const introspectRoute: FastifyPluginCallbackZod<{ gatehouse: Gatehouse }> = (
  app,
  { gatehouse },
  done,
) => {
  app.post(
    '/introspect',
    {
      schema: { ...describe.introspect, body: tokenForm },
      config: { errors: 'oauth', permission: 'introspect' },
    },
    (request, reply) => {
      const { token, stands, now } = request.judgement;
      carrySuccessor(reply, request.judgement, gatehouse.rules);
      // A refresh token is no less genuine, but a resource server must not take it for an access token.
      if (token?.kind !== 'access' || !stands || isExpired(token.claims, now)) return INACTIVE;
      return { active: true as const, ...token.claims, token_type: 'Bearer' as const };
    },
  );
  done();
};
