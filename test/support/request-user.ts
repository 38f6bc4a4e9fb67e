// Two plugins declare `request.user`, each for its own servers: where a program has both, as the tests do, they must agree.
import type { User } from '../../packages/resource-server/src/introspector.js';

declare module '@fastify/jwt' {
  interface FastifyJWT {
    user: User;
  }
}
