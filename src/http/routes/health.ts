/** /health: does the process live? /ready: can it answer truthfully? */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import { AuthError, Reason } from '../../domain/errors.js';
import type { Gatehouse } from '../../domain/gatehouse.js';
import { describe } from '../openapi.js';

export const healthRoutes: FastifyPluginCallbackZod<{ gatehouse: Gatehouse; isLeaving: () => boolean }> = (
  app,
  { gatehouse, isLeaving },
  done,
) => {
  app.get('/health', { schema: describe.health }, () => ({ status: 'alive' }));

  app.get('/ready', { schema: describe.ready }, async () => {
    if (isLeaving()) throw unready('This replica is shutting down.');
    if (!(await gatehouse.canSign())) {
      throw unready(
        'AUTH_SECRET of this replica does not open the signing keys: give it the secret of the others.',
      );
    }
    return { status: 'ready' };
  });
  done();
};

function unready(detail: string): AuthError {
  return new AuthError('temporarily_unavailable', { detail, cause: new Reason(detail) });
}
