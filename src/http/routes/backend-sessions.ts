/** /sessions for backends: programs that say who their users are, and that open, change and end sessions for them. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import { AuthError } from '../../domain/errors.js';
import type { Gatehouse } from '../../domain/gatehouse.js';
import type { ClientSession } from '../../domain/backends/changing.js';
import { readClaims } from '../../domain/tokens/session-claims.js';
import { readAddress } from '../../domain/networks.js';
import { tellEnded } from '../answers/ended.js';
import { sendOpened } from '../answers/pair.js';
import { USER_AGENT_CHARACTERS } from '../intake/device.js';
import { assertNotLonger } from '../intake/lifetimes.js';
import { trailOf } from '../log/trail.js';
import { backendLogoutAllBody, newSession, sessionPatch } from '../openapi/backend-schemas.js';
import { describe } from '../openapi/openapi.js';
import { sessionParams } from '../openapi/schemas.js';

const config = { permission: 'sessions:open', exactNumbers: true } as const;

/** Of two routes at one address, this is the one of clients. */
const OF_CLIENTS = { constraints: { door: 'clients' } } as const;

export const backendSessionsRoute: FastifyPluginCallbackZod<{ gatehouse: Gatehouse }> = (
  app,
  { gatehouse },
  done,
) => {
  const { backends, rules } = gatehouse;

  app.post(
    '/sessions',
    { schema: { ...describe.openSession, body: newSession }, config },
    async (request, reply) => {
      const { external_id, session_ttl, refresh, ip, user_agent, ...claims } = request.body;
      assertNotLonger('session_ttl', session_ttl, rules.sessionTtlSeconds, 'SESSION_TTL');
      assertNotLonger(
        'access_token_ttl',
        claims.access_token_ttl,
        rules.accessTtlSeconds,
        'ACCESS_TOKEN_TTL',
      );
      const wanted = {
        externalId: external_id,
        claims: withoutEmptyScope(claims),
        sessionTtlSeconds: session_ttl,
        refreshes: refresh !== false,
        ip: ip === undefined ? null : readAddress(ip),
        userAgent: user_agent?.slice(0, USER_AGENT_CHARACTERS) ?? null,
      };
      const opened = await backends.openSession(request.client, wanted, trailOf(request));
      return sendOpened(reply.code(201).header('location', `/sessions/${opened.sessionId}`), opened);
    },
  );

  app.patch(
    '/sessions/:id',
    { schema: { ...describe.changeSession, params: sessionParams, body: sessionPatch }, config },
    async (request) => {
      const { id } = request.params;
      const patch = request.body.scope === '' ? { ...request.body, scope: null } : request.body;
      return show(await backends.changeSession(request.client, id, patch, trailOf(request)));
    },
  );

  // Described with the route of users: the same address, and the same answer.
  app.delete(
    '/sessions/:id',
    { ...OF_CLIENTS, schema: { hide: true, params: sessionParams }, config },
    async (request, reply) => {
      const isKnown = await backends.endSession(request.client, request.params.id, trailOf(request));
      if (!isKnown) throw new AuthError('not_found');
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/logout-all',
    { ...OF_CLIENTS, schema: { hide: true, body: backendLogoutAllBody }, config },
    async (request) => {
      const ended = await backends.endAll(request.client, request.body.external_id, trailOf(request));
      return tellEnded(ended);
    },
  );
  done();
};

function withoutEmptyScope<Claims extends { scope?: string | undefined }>({ scope, ...claims }: Claims) {
  return scope === undefined || scope === '' ? claims : { ...claims, scope };
}

/** A session as its client sees it. */
function show({ id, externalId, claims, openedAt, expiresAt }: ClientSession) {
  const { username, scope, audience, auth_time, ext, amr, acr, act } = readClaims(claims);
  return {
    id,
    external_id: externalId,
    username: username ?? externalId,
    scope: scope ?? '',
    audience,
    auth_time: auth_time ?? Math.floor(openedAt.getTime() / 1000),
    ext: ext ?? {},
    amr: amr ?? [],
    acr: acr ?? null,
    act: act ?? null,
    created_at: openedAt.toISOString(),
    expires_at: expiresAt.toISOString(),
  };
}
