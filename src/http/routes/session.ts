/** /session: who is this? For frontends, and for gateways that ask about every request that they let through. */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import { describe } from '../openapi.js';

export const sessionRoute: FastifyPluginCallbackZod = (app, _options, done) => {
  // A gateway forwards the method and perhaps the body of a request that is not ours: neither is looked at.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, parsed) => {
    parsed(null);
  });

  for (const url of ['/session', '/session/*']) {
    app.all(
      url,
      { schema: url === '/session' ? describe.session : { hide: true }, config: { reissues: true } },
      (request, reply) => {
        const { claims } = request;
        // All four are always sent, so that a gateway that copies them leaves no room for forged ones.
        return reply
          .headers({
            'x-auth-subject': claims.sub,
            'x-auth-username': encodeURIComponent(claims.username),
            'x-auth-session': claims.sid,
            'x-auth-scope': claims.scope ?? '',
          })
          .send(claims);
      },
    );
  }
  done();
};
