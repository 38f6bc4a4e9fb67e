/** /admin/clients: programs with secrets, what they may ask, and how a new secret takes the place of an old one. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import type { Operators } from '../../../domain/operators/operators.js';
import { showClient, showSecret } from '../../../domain/operators/shown.js';
import { isUuid } from '../../../domain/tokens/claims.js';
import { describeAdmin } from '../../openapi/admin.js';
import {
  byId,
  bySecretId,
  clientChange,
  newClient,
  noMembers,
  pageOfAll,
} from '../../openapi/admin-schemas.js';
import { byClient, pageOrder } from './wire.js';

const READ = { permission: 'clients:read' } as const;
const WRITE = { permission: 'clients:write' } as const;

export const adminClientsRoute: FastifyPluginCallbackZod<{ operators: Operators }> = (
  app,
  { operators },
  done,
) => {
  app.get(
    '/admin/clients',
    { schema: { ...describeAdmin.clients, querystring: pageOfAll }, config: READ },
    async ({ query }) => {
      const { rows, next } = await operators.findClients(pageOrder(query));
      return { clients: rows.map(showClient), next };
    },
  );

  app.get(
    '/admin/clients/:id',
    { schema: { ...describeAdmin.client, params: byId }, config: READ },
    async ({ params: { id } }) => showClient(await operators.findClient(id)),
  );

  app.post(
    '/admin/clients',
    { schema: { ...describeAdmin.addClient, body: newClient }, config: WRITE },
    async (request, reply) => {
      const { id, permissions, audiences = [] } = request.body;
      const asked = { id, permissions, audiences };
      const { secret, ...added } = await operators.addClient(asked, ...byClient(request));
      return reply
        .code(201)
        .header('location', `/admin/clients/${id}`)
        .send({ ...showClient(added), secret });
    },
  );

  app.patch(
    '/admin/clients/:id',
    { schema: { ...describeAdmin.changeClient, params: byId, body: clientChange }, config: WRITE },
    async (request) => {
      const { params, body } = request;
      return showClient(await operators.changeClient(params.id, body, ...byClient(request)));
    },
  );

  app.delete(
    '/admin/clients/:id',
    { schema: { ...describeAdmin.removeClient, params: byId }, config: WRITE },
    async (request, reply) => {
      await operators.removeClient(request.params.id, ...byClient(request));
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/admin/clients/:id/secrets',
    { schema: { ...describeAdmin.addSecret, params: byId, body: noMembers }, config: WRITE },
    async (request, reply) => {
      const { id } = request.params;
      const { secret, ...added } = await operators.addSecret(id, ...byClient(request));
      return reply
        .code(201)
        .header('location', `/admin/clients/${id}/secrets/${added.id}`)
        .send({ ...showSecret(added), secret });
    },
  );

  app.delete(
    '/admin/clients/:id/secrets/:secretId',
    { schema: { ...describeAdmin.removeSecret, params: bySecretId }, config: WRITE },
    async (request, reply) => {
      const { id, secretId } = request.params;
      if (isUuid(secretId)) await operators.removeSecret(id, secretId, ...byClient(request));
      return reply.code(204).send(null);
    },
  );
  done();
};
