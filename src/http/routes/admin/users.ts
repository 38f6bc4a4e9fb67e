/** /admin/users: who may log in, under which name and scope. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import { AuthError } from '../../../domain/errors.js';
import type { Operators } from '../../../domain/operators/operators.js';
import { showExport, showUser } from '../../../domain/operators/shown.js';
import { isUuid } from '../../../domain/tokens/claims.js';
import { canonicalUsername } from '../../../domain/users/usernames.js';
import { describeAdmin } from '../../openapi/admin.js';
import {
  byId,
  codeOrder,
  exportFilter,
  newUser,
  noMembers,
  userChange,
  userFilter,
} from '../../openapi/admin-schemas.js';
import { trailOf } from '../../log/trail.js';
import { byClient, pageOrder } from './wire.js';

export const adminUsersRoute: FastifyPluginCallbackZod<{ operators: Operators }> = (
  app,
  { operators },
  done,
) => {
  app.get(
    '/admin/users',
    { schema: { ...describeAdmin.users, querystring: userFilter }, config: { permission: 'users:read' } },
    async ({ query }) => {
      const isDisabled = query.disabled === undefined ? null : query.disabled === 'true';
      const filter = {
        username: query.username === undefined ? null : canonical(query.username),
        isDisabled,
        ofClient:
          query.client_id === undefined
            ? null
            : { clientId: query.client_id, externalId: query.external_id ?? null },
      };
      const { rows, next } = await operators.findUsers(filter, pageOrder(query));
      return { users: rows.map(showUser), next };
    },
  );

  app.get(
    '/admin/users/:id',
    { schema: { ...describeAdmin.user, params: byId }, config: { permission: 'users:read' } },
    async ({ params: { id } }) => {
      if (!isUuid(id)) throw new AuthError('not_found');
      return showUser(await operators.findUser(id));
    },
  );

  app.post(
    '/admin/users',
    { schema: { ...describeAdmin.createUser, body: newUser }, config: { permission: 'users:write' } },
    async (request, reply) => {
      const { username, scope = '', password, generate_password: isGenerated } = request.body;
      const given = password === undefined ? null : { text: password };
      const created = await operators.createUser(
        { username: canonical(username), scope },
        isGenerated === true ? { isGenerated } : given,
        ...byClient(request),
      );
      const shown = created.password === undefined ? {} : { password: created.password };
      return reply.code(201).send({ ...showUser(created), ...shown });
    },
  );

  app.patch(
    '/admin/users/:id',
    {
      schema: { ...describeAdmin.changeUser, params: byId, body: userChange },
      config: { permission: 'users:write' },
    },
    async (request) => {
      const { params, body } = request;
      const { id } = params;
      const { username, scope, disabled, password } = body;
      if (!isUuid(id)) throw new AuthError('not_found');
      const change = {
        username: username === undefined ? undefined : canonical(username),
        scope,
        isDisabled: disabled,
        password,
      };
      return showUser(await operators.changeUser(id, change, ...byClient(request)));
    },
  );

  app.post(
    '/admin/users/:id/unlock',
    {
      schema: { ...describeAdmin.unlockUser, params: byId, body: noMembers },
      config: { permission: 'users:write' },
    },
    async (request, reply) => {
      const { id } = request.params;
      if (!isUuid(id)) throw new AuthError('not_found');
      await operators.unlockUser(id, ...byClient(request));
      trailOf(request).user = id;
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/admin/users/:id/password-reset',
    {
      schema: { ...describeAdmin.issueCode, params: byId, body: codeOrder },
      config: { permission: 'users:write' },
    },
    async (request) => {
      const { id } = request.params;
      if (!isUuid(id)) throw new AuthError('not_found');
      const expiresIn = request.body?.expires_in;
      const { code, expiresInSeconds } = await operators.issueCode(id, expiresIn, ...byClient(request));
      trailOf(request).user = id;
      return { code, expires_in: expiresInSeconds };
    },
  );

  app.get(
    '/admin/users/:id/export',
    {
      schema: { ...describeAdmin.exportUser, params: byId, querystring: exportFilter },
      config: { permission: 'users:read' },
    },
    async ({ params: { id }, query: { after = null } }) => {
      if (!isUuid(id)) throw new AuthError('not_found');
      return showExport(await operators.exportUser(id, after));
    },
  );

  app.delete(
    '/admin/users/:id',
    { schema: { ...describeAdmin.deleteUser, params: byId }, config: { permission: 'users:write' } },
    async (request, reply) => {
      const { id } = request.params;
      // Nobody has another id.
      if (isUuid(id)) await operators.deleteUser(id, ...byClient(request));
      return reply.code(204).send(null);
    },
  );
  done();
};

/** A name that can be nobody's is found as it stands: nowhere. */
function canonical(typed: string): string {
  return canonicalUsername(typed) ?? typed;
}
