/** /admin/events: who did what, when and from where. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import type { Operators } from '../../../domain/operators/operators.js';
import { showEvent } from '../../../domain/operators/shown.js';
import { describeAdmin } from '../../openapi/admin.js';
import { eventFilter } from '../../openapi/admin-schemas.js';
import { pageOrder, toDate } from './wire.js';

export const adminEventsRoute: FastifyPluginCallbackZod<{ operators: Operators }> = (
  app,
  { operators },
  done,
) => {
  app.get(
    '/admin/events',
    { schema: { ...describeAdmin.events, querystring: eventFilter }, config: { permission: 'events:read' } },
    async ({ query }) => {
      const filter = {
        userId: query.user_id ?? null,
        actor: query.actor ?? null,
        type: query.type ?? null,
        since: toDate(query.since),
        until: toDate(query.until),
      };
      const { rows, next } = await operators.findEvents(filter, pageOrder(query));
      return { events: rows.map(showEvent), next };
    },
  );
  done();
};
