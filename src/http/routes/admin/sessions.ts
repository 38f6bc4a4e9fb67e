/** /admin/sessions: where everybody is logged in, and was. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import { AuthError } from '../../../domain/errors.js';
import type { Operators } from '../../../domain/operators/operators.js';
import { showSession } from '../../../domain/operators/shown.js';
import { readNetwork } from '../../../domain/networks.js';
import { isUuid } from '../../../domain/tokens/claims.js';
import { describeAdmin } from '../../openapi/admin.js';
import { byId, sessionFilter } from '../../openapi/admin-schemas.js';
import { pageOrder, toDate } from './wire.js';

export const adminSessionsRoute: FastifyPluginCallbackZod<{ operators: Operators }> = (
  app,
  { operators },
  done,
) => {
  app.get(
    '/admin/sessions',
    {
      schema: { ...describeAdmin.sessions, querystring: sessionFilter },
      config: { permission: 'sessions:read' },
    },
    async ({ query }) => {
      const filter = {
        userId: query.user_id ?? null,
        networks: query.ip === undefined ? null : readNetwork(query.ip),
        since: toDate(query.since),
        until: toDate(query.until),
      };
      const { rows, next } = await operators.findSessions(filter, pageOrder(query));
      return { sessions: rows.map(showSession), next };
    },
  );

  app.get(
    '/admin/sessions/:id',
    { schema: { ...describeAdmin.session, params: byId }, config: { permission: 'sessions:read' } },
    async ({ params: { id } }) => {
      if (!isUuid(id)) throw new AuthError('not_found');
      return showSession(await operators.findSession(id));
    },
  );
  done();
};
