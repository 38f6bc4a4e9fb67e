/** POST /admin/users/import: users of another system, with the hashes that it has made. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import type { Operators } from '../../../domain/operators/operators.js';
import { splitLines } from '../../../domain/operators/import-lines.js';
import { showImported } from '../../../domain/operators/shown.js';
import { takeLines } from '../../intake/forms.js';
import { describeAdmin } from '../../openapi/admin.js';
import { importLines } from '../../openapi/admin-schemas.js';
import { LIMITS } from '../../server/server.js';
import { byClient } from './wire.js';

export const adminUsersImportRoute: FastifyPluginCallbackZod<{ operators: Operators }> = (
  app,
  { operators },
  done,
) => {
  takeLines(app);
  app.post(
    '/admin/users/import',
    {
      bodyLimit: LIMITS.importBytes,
      schema: { ...describeAdmin.importUsers, body: importLines },
      config: { permission: 'users:write' },
    },
    async (request) =>
      showImported(await operators.importUsers(splitLines(request.body), ...byClient(request))),
  );
  done();
};
