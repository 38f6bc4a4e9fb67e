/** Room to hash a password, asked for before a request is read. */
import type { FastifyInstance } from 'fastify';

import type { Gatehouse } from '../../domain/gatehouse.js';

/**
 * Turns away the requests of the enclosing scope, whose routes hash, while there is no room to hash. In a storm of logins most are
 * turned away here: it is what keeps the storm away from everybody else.
 */
export function turnAwayWithoutRoom(
  app: Pick<FastifyInstance, 'addHook'>,
  { assertFree }: Pick<Gatehouse, 'assertFree'>,
): void {
  app.addHook('onRequest', (request, _reply, next) => {
    assertFree(request.address);
    next();
  });
}
