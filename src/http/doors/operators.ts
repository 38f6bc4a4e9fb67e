/** The operators' door: a client's id and secret in Basic, and the permission that the route names, before anything else is read. */
import fastifyPlugin from 'fastify-plugin';
import type { FastifyRequest } from 'fastify';

import { admitAgain, admitBeforeBody, type DoorOptions } from './client.js';
import { assertOwnPage } from './csrf.js';
import { nameDoor } from './refusals.js';

/**
 * Puts every route of the enclosing scope behind the operators' door. The primary is asked who the client is when the body has arrived,
 * which may have taken its time: one that was removed, or whose permission was taken, does nothing more.
 *
 * @param options.origin of the issuer: a page of another one may change nothing, also with credentials
 */
export const operatorsDoor = fastifyPlugin<DoorOptions & { origin: string }>(
  (app, { origin, ...options }, done) => {
    nameDoor(app, 'operators');
    const admitClient = admitBeforeBody(app, options);
    app.addHook('onRequest', async (request) => {
      if (isFromPage(request)) assertOwnPage(request, origin);
      await admitClient(request);
    });
    app.addHook('preValidation', (request) => admitAgain(request, options.gatehouse));
    done();
  },
  { name: 'operators-door' },
);

/** Browsers send one of these with all that changes anything. */
function isFromPage({ headers }: FastifyRequest): boolean {
  return headers.origin !== undefined || headers['sec-fetch-site'] !== undefined;
}
