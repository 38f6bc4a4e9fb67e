/** /health: does the process live? /ready: can it answer truthfully? */
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';

import { SHARED_CONNECTIONS } from '../../database/pooler.js';
import { AuthError, Reason } from '../../domain/errors.js';
import type { Gatehouse } from '../../domain/gatehouse.js';
import type { Hindrance } from '../../domain/service/readiness.js';
import { describe } from '../openapi/openapi.js';

const WHAT_TO_DO: Record<Hindrance, string> = {
  shared_connections: `The database ${SHARED_CONNECTIONS}`,
  wrong_secret:
    'AUTH_SECRET of this replica does not open the signing keys: give it the secret of the others.',
  disk_full:
    'The disk of the database is full: tokens are judged, but nobody can log in, refresh or log out. Make room there.',
  read_only:
    'The database is read-only: tokens are judged, but nobody can log in, refresh or log out. Make room if its disk is full, or set default_transaction_read_only to off.',
};

export const healthRoutes: FastifyPluginCallbackZod<{ gatehouse: Gatehouse; isLeaving: () => boolean }> = (
  app,
  { gatehouse, isLeaving },
  done,
) => {
  app.get('/health', { schema: describe.health }, () => ({ status: 'alive' }));

  app.get('/ready', { schema: describe.ready }, async () => {
    if (isLeaving()) throw unready('This replica is shutting down.');
    const { hindrance, doCommitsWait, isFenced } = await gatehouse.findReadiness();
    if (hindrance !== null) throw unready(WHAT_TO_DO[hindrance]);
    return {
      status: 'ready',
      ...(doCommitsWait && { commits: 'waiting' as const }),
      ...(!isFenced && { fence: 'off' as const }),
    };
  });
  done();
};

function unready(detail: string): AuthError {
  return new AuthError('temporarily_unavailable', { detail, cause: new Reason(detail, 'not_ready') });
}
