/** /sessions: where the user is logged in, and how to end one of them. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import { AuthError } from '../../domain/errors.js';
import type { Gatehouse } from '../../domain/gatehouse.js';
import { clearCookies } from '../doors/cookies.js';
import { describe } from '../openapi/openapi.js';
import { trailOf } from '../log/trail.js';
import { sessionParams } from '../openapi/schemas.js';

export const sessionsRoute: FastifyPluginCallbackZod<{ gatehouse: Gatehouse }> = (
  app,
  { gatehouse },
  done,
) => {
  app.get(
    '/sessions',
    { schema: describe.sessions, config: { reissues: true } },
    async ({ token: { question } }) => {
      const sessions = await gatehouse.listSessions(question);
      return {
        sessions: sessions.map(({ id, openedAt, lastUsedOn, expiresAt, ip, userAgent }) => ({
          id,
          current: id === question.sid,
          created_at: openedAt.toISOString(),
          last_used_on: lastUsedOn,
          expires_at: expiresAt.toISOString(),
          ip,
          user_agent: userAgent,
        })),
      };
    },
  );

  app.delete(
    '/sessions/:id',
    { schema: { ...describe.endSession, params: sessionParams } },
    async (request, reply) => {
      const { id: sid } = request.params;
      const isKnown = await gatehouse.endSession(request.token.question, sid, trailOf(request));
      if (!isKnown) throw new AuthError('not_found');
      if (sid === request.token.question.sid) clearCookies(reply);
      return reply.code(204).send(null);
    },
  );
  done();
};
