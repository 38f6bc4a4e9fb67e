/** GET /: where everything is, for the one who only knows the address. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import { describe } from '../openapi/openapi.js';

interface RootOptions {
  issuer: string;
  /** What can be switched off. */
  accountPage: boolean;
  docs: boolean;
}

export const rootRoute: FastifyPluginCallbackZod<RootOptions> = (
  app,
  { issuer, accountPage, docs },
  done,
) => {
  // Relative to where the browser is: a proxy may put a path in front.
  const page = accountPage ? 'account' : docs ? 'docs' : undefined;
  const addresses = {
    name: 'gatehouse',
    issuer,
    ...(accountPage && { account: `${issuer}/account` }),
    ...(docs && { docs: `${issuer}/docs`, openapi: `${issuer}/openapi.json` }),
    metadata: `${issuer}/.well-known/oauth-authorization-server`,
    jwks: `${issuer}/.well-known/jwks.json`,
    health: `${issuer}/health`,
    ready: `${issuer}/ready`,
  };

  app.get('/', { schema: describe.root }, (request, reply) => {
    reply.header('vary', 'Accept');
    if (page !== undefined && isBrowser(request.headers.accept)) void reply.redirect(page, 302);
    else void reply.send(addresses);
  });
  done();
};

/** Browsers name HTML when they open an address; programs name JSON, or anything. */
function isBrowser(accept = ''): boolean {
  return accept.includes('text/html') && !accept.includes('application/json');
}
