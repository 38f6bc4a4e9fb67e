/** POST /introspect (RFC 7662): is this access token alive, and whose is it? */
import type { FastifyReply } from 'fastify';
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import type { Gatehouse } from '../../domain/gatehouse.js';
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
      const { judgement } = request;
      carrySuccessor(reply, judgement, gatehouse);
      // A refresh token is never live here: a resource server must not take it for an access token.
      const { live } = judgement;
      (reply as FastifyReply)
        .type('application/json; charset=utf-8')
        .send(live === null ? INACTIVE : `{"active":true,${live.json.slice(1, -1)},"token_type":"Bearer"}`);
    },
  );
  done();
};
