/** POST /revoke (RFC 7009): a refresh token ends its session, an access token its own lineage. */
import type { FastifyReply } from 'fastify';
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import type { Gatehouse } from '../../domain/gatehouse.js';
import { describe } from '../openapi/openapi.js';
import { trailOf } from '../log/trail.js';
import { tokenForm } from '../openapi/schemas.js';

export const revokeRoute: FastifyPluginCallbackZod<{ gatehouse: Gatehouse }> = (app, { gatehouse }, done) => {
  app.post(
    '/revoke',
    { schema: { ...describe.revoke, body: tokenForm }, config: { errors: 'oauth', permission: 'revoke' } },
    async (request, reply) => {
      const { client, judgement } = request;
      // RFC 7009 section 2.2: a token that means nothing to us is as revoked as it can be.
      await gatehouse.revoke(judgement.token, client, trailOf(request));
      // Empty, where null would be written out as JSON.
      return (reply as FastifyReply).code(200).send();
    },
  );
  done();
};
