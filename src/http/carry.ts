/** What every answer that carries a token says to caches. */
import type { FastifyReply } from 'fastify';

/** Marks an answer as one caller's own (RFC 6749 section 5.1); `no-store` is on every answer that may carry one already. */
export function markAsCarrier(reply: FastifyReply): void {
  const vary = reply.getHeader('vary');
  reply.header('vary', vary === undefined ? 'Authorization' : `${[vary].flat().join(', ')}, Authorization`);
}
