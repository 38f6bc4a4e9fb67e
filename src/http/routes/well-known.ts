/** /.well-known: the public keys (RFC 7517) and where everything is (RFC 8414). */
import type { FastifyReply } from 'fastify';
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import { AuthError } from '../../domain/errors.js';
import type { Gatehouse } from '../../domain/gatehouse.js';
import { JWKS_MAX_AGE_SECONDS } from '../../domain/keys/keys.js';
import { describe } from '../openapi/openapi.js';

const METADATA = '/.well-known/oauth-authorization-server';
const METADATA_MAX_AGE_SECONDS = 3600;

export const wellKnownRoutes: FastifyPluginCallbackZod<{ gatehouse: Gatehouse }> = (
  app,
  { gatehouse },
  done,
) => {
  const { issuer } = gatehouse.rules;
  const authMethods = ['client_secret_basic', 'client_secret_post'];
  const metadata = {
    issuer,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    introspection_endpoint: `${issuer}/introspect`,
    introspection_endpoint_auth_methods_supported: authMethods,
    revocation_endpoint: `${issuer}/revoke`,
    revocation_endpoint_auth_methods_supported: authMethods,
    // No OAuth flow: tokens come from /login.
    response_types_supported: [],
    grant_types_supported: [],
  };

  app.get('/.well-known/jwks.json', { schema: describe.jwks }, async (_request, reply) => {
    const jwks = await gatehouse.jwks();
    reply.header('cache-control', `public, max-age=${JWKS_MAX_AGE_SECONDS}`).type('application/jwk-set+json');
    return jwks;
  });

  function sendMetadata(reply: FastifyReply): typeof metadata {
    reply.header('cache-control', `public, max-age=${METADATA_MAX_AGE_SECONDS}`);
    return metadata;
  }

  app.get(METADATA, { schema: describe.metadata }, (_request, reply) => sendMetadata(reply));

  // RFC 8414 section 3.1: an issuer's path comes behind ours. Compared as text, since a path may hold what the router takes
  // for its own signs.
  const { pathname } = new URL(issuer);
  if (pathname !== '/') {
    app.get(`${METADATA}/*`, { schema: { hide: true } }, ({ raw }, reply) => {
      if (raw.url?.replace(/\?.*/, '') !== METADATA + pathname) throw new AuthError('not_found');
      return sendMetadata(reply);
    });
  }
  done();
};
