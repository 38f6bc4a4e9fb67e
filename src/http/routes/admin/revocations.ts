/** /admin/revocations: ends what has leaked, shows what was ended, and takes it back. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';
import type { z } from 'zod';

import { AuthError } from '../../../domain/errors.js';
import { DEFAULT_REASON } from '../../../domain/operators/notes.js';
import type { Operators } from '../../../domain/operators/operators.js';
import { showEnding, showForeseen, showRevocation } from '../../../domain/operators/shown.js';
import { readNetwork } from '../../../domain/networks.js';
import { isUuid, parseJti } from '../../../domain/tokens/claims.js';
import { describeAdmin } from '../../openapi/admin.js';
import { byId, ending, lift, revocationFilter } from '../../openapi/admin-schemas.js';
import { LIMITS } from '../../server/server.js';
import { byClient, pageOrder, toDate } from './wire.js';

export const adminRevocationsRoute: FastifyPluginCallbackZod<{ operators: Operators }> = (
  app,
  { operators },
  done,
) => {
  app.get(
    '/admin/revocations',
    {
      schema: { ...describeAdmin.revocations, querystring: revocationFilter },
      config: { permission: 'sessions:read' },
    },
    async ({ query }) => {
      const filter = {
        userId: query.user_id ?? null,
        sessionId: query.session_id ?? null,
        endingId: query.ending_id ?? null,
        actor: query.actor ?? null,
        since: toDate(query.since),
        until: toDate(query.until),
      };
      const { rows, next } = await operators.findRevocations(filter, pageOrder(query));
      return { revocations: rows.map(showRevocation), next };
    },
  );

  app.get(
    '/admin/revocations/:id',
    { schema: { ...describeAdmin.revocation, params: byId }, config: { permission: 'sessions:read' } },
    async ({ params: { id } }) => {
      if (!isUuid(id)) throw new AuthError('not_found');
      return showRevocation(await operators.findRevocation(id));
    },
  );

  app.post(
    '/admin/revocations',
    {
      bodyLimit: LIMITS.operatorsBytes,
      schema: { ...describeAdmin.end, body: ending },
      config: { permission: 'sessions:end' },
    },
    async (request) => {
      const { body } = request;
      const [actor, trail] = byClient(request);
      const order = {
        actor,
        reason: body.reason ?? DEFAULT_REASON,
        note: body.note ?? null,
        maxSessions: body.max_sessions ?? null,
        isDryRun: body.dry_run ?? false,
      };
      const outcome = await operators.end(doomedIn(body), order, trail);
      return body.dry_run === true ? showForeseen(outcome) : showEnding(outcome);
    },
  );

  app.post(
    '/admin/revocations/:id/lift',
    {
      schema: { ...describeAdmin.lift, params: byId, body: lift },
      config: { permission: 'revocations:lift' },
    },
    async (request) => {
      const { id } = request.params;
      if (!isUuid(id)) throw new AuthError('not_found');
      const [by, trail] = byClient(request);
      const { isRestored } = await operators.liftRevocation(id, by, request.body?.note ?? null, trail);
      return { restored: isRestored ? 1 : 0 };
    },
  );
  done();
};

/** The schema has seen to it that there is one of them. */
function doomedIn(body: z.infer<typeof ending>): Parameters<Operators['end']>[0] {
  if (body.session_ids !== undefined) return { sessionIds: body.session_ids };
  if (body.user_ids !== undefined) return { userIds: body.user_ids };
  if (body.token !== undefined) return { text: body.token };
  if (body.jti !== undefined) return { lineage: parseJti(body.jti).lineage };
  const { ip, client_id: clientId, since, until, opened_before: before } = body;
  if (since !== undefined && until !== undefined) {
    const times = { since: new Date(since), until: new Date(until) };
    if (clientId !== undefined) return { clientId, ...times };
    if (ip !== undefined) return { networks: readNetwork(ip) ?? [], ...times };
  }
  if (before === undefined) throw new Error('the schema of an ending lets nothing pass that names nothing');
  return { openedBefore: before === 'now' ? null : new Date(before) };
}
