/** POST /introspect/batch: which of these access tokens are alive, and whose are they? */
import type { FastifyReply } from 'fastify';
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import type { Gatehouse } from '../../domain/gatehouse.js';
import { mapInPortions } from '../../domain/scheduling/portions.js';
import { markAsCarrier } from '../answers/carry.js';
import { assertMayAsk } from '../doors/client.js';
import { describe } from '../openapi/openapi.js';
import type { Rates } from '../doors/rates.js';
import { tokenBatch } from '../openapi/schemas.js';
import { LIMITS } from '../server/server.js';
import { writeIntrospection } from './introspect.js';

interface BatchOptions {
  gatehouse: Gatehouse;
  takeTokens: Rates['takeTokens'];
}

export const introspectBatchRoute: FastifyPluginCallbackZod<BatchOptions> = (
  app,
  { gatehouse, takeTokens },
  done,
) => {
  app.post(
    '/introspect/batch',
    {
      bodyLimit: LIMITS.batchBytes,
      schema: { ...describe.introspectBatch, body: tokenBatch },
      config: { permission: 'introspect' },
    },
    async (request, reply) => {
      const { client, credentials } = request;
      const { tokens } = request.body;
      // Before anything is asked about them.
      takeTokens(client.id, tokens.length);
      const judgements = await gatehouse.judgeMany(tokens, credentials);
      assertMayAsk(judgements[0]?.client ?? null, request);
      // Each may take a signature.
      const results = await mapInPortions(judgements, (judgement) => {
        const successor = gatehouse.findSuccessor(judgement);
        if (successor === null) return writeIntrospection(judgement);
        return writeIntrospection(judgement, `,"refreshed_token":"${successor.token}"`);
      });
      markAsCarrier(reply);
      return (reply as FastifyReply)
        .type('application/json; charset=utf-8')
        .send(`{"results":[${results.join()}]}`);
    },
  );
  done();
};
