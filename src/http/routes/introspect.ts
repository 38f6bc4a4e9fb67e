/** POST /introspect (RFC 7662): is this access token alive, and whose is it? */
import type { FastifyReply } from 'fastify';
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import type { Gatehouse } from '../../domain/gatehouse.js';
import type { Judgement } from '../../domain/liveness/liveness.js';
import { describe } from '../openapi/openapi.js';
import { carrySuccessor } from '../answers/reissue.js';
import { tokenForm } from '../openapi/schemas.js';

/**
 * What is said of a token, as JSON. A refresh token is never live here: a resource server must not take it for an access
 * token. Written by hand: the claims are there as JSON already, and writing them once more is a good part of an answer's cost.
 *
 * @param more members, each behind a comma
 */
export function writeIntrospection({ live }: Pick<Judgement, 'live'>, more = ''): string {
  if (live === null) return `{"active":false${more}}`;
  return `{"active":true,${live.json.slice(1, -1)},"token_type":"Bearer"${more}}`;
}

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
      (reply as FastifyReply).type('application/json; charset=utf-8').send(writeIntrospection(judgement));
    },
  );
  done();
};
