/** What every answer that carries a token says to caches. */
import type { FastifyReply } from 'fastify';

/**
 * Marks an answer as one caller's own (RFC 6749 section 5.1); `no-store` is on every answer that may carry one already.
 *
 * @param dependsOn the headers that a token was, or could have been, read from
 */
export function markAsCarrier(reply: FastifyReply, dependsOn = 'Authorization'): void {
  reply.header('vary', [reply.getHeader('vary') ?? [], dependsOn].flat().join(', '));
}
