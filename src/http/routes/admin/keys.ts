/** /admin/keys: what each signing key does, the next one, and the end of one that has leaked. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import type { Operators } from '../../../domain/operators/operators.js';
import { showForeseen, showKey } from '../../../domain/operators/shown.js';
import { describeAdmin } from '../../openapi/admin.js';
import { byKid, noMembers, pageOfAll, retirement } from '../../openapi/admin-schemas.js';
import { byClient, pageOrder } from './wire.js';

const WRITE = { permission: 'keys:write' } as const;

export const adminKeysRoute: FastifyPluginCallbackZod<{ operators: Operators }> = (
  app,
  { operators },
  done,
) => {
  app.get(
    '/admin/keys',
    { schema: { ...describeAdmin.keys, querystring: pageOfAll }, config: { permission: 'keys:read' } },
    async ({ query }) => {
      const { rows, next } = await operators.findKeys(pageOrder(query));
      return { keys: rows.map(showKey), next };
    },
  );

  app.post(
    '/admin/keys/rotate',
    { schema: { ...describeAdmin.rotateKeys, body: noMembers }, config: WRITE },
    async (request) => showKey(await operators.rotateKeys(...byClient(request))),
  );

  app.post(
    '/admin/keys/:kid/retire',
    { schema: { ...describeAdmin.retireKey, params: byKid, body: retirement }, config: WRITE },
    async (request) => {
      const { kid } = request.params;
      if (request.body?.dry_run === true) return showForeseen(await operators.foreseeRetirement(kid));
      const { retired, signing } = await operators.retireKey(kid, ...byClient(request));
      return { retired: showKey(retired), signing: showKey(signing) };
    },
  );
  done();
};
