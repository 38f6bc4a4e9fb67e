/** POST /introspect (RFC 7662): is this access token alive, and whose is it? */
import type { FastifyReply } from 'fastify';
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import type { Gatehouse } from '../../domain/gatehouse.js';
import { isExpired } from '../../domain/tokens/claims.js';
import { describe } from '../openapi.js';
import { carrySuccessor } from '../reissue.js';
import { tokenForm } from '../schemas.js';

/** Written by hand: the claims are there as JSON already, and writing them once more is a good part of an answer's cost. */
const INACTIVE = '{"active":false}';

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
      const isActive = token?.kind === 'access' && stands && !isExpired(token.claims, now);
      (reply as FastifyReply)
        .type('application/json; charset=utf-8')
        .send(isActive ? `{"active":true,${token.json.slice(1, -1)},"token_type":"Bearer"}` : INACTIVE);
    },
  );
  done();
};
