/** The successor of a token near its end rides back on the answer. */
import type { FastifyReply } from 'fastify';

import type { Judgement } from '../domain/liveness/liveness.js';
import { reissue, type TokenRules } from '../domain/tokens/claims.js';
import { markAsCarrier } from './carry.js';
import { setAccessCookie } from './cookies.js';

export const REFRESHED_TOKEN_HEADER = 'refreshed-api-token';

/**
 * Adds the header where the token stands and is due, also in the grace after its `exp`: deciding is the domain's,
 * delivering is done here. No question is asked, so nothing can fail after the answer is known. A token that came in a
 * cookie is succeeded in the cookie alone: in a header, scripts could read it.
 */
export function carrySuccessor(
  reply: FastifyReply,
  { token, stands, now, memory }: Judgement,
  rules: TokenRules,
): void {
  if (!stands || token?.kind !== 'access') return;
  // A replica whose secret no longer opens the keys reads as well as any other: its answer is not spoilt.
  if (!memory.ring.isReadable) return;
  const successor = reissue(token.claims, now, rules);
  if (successor === null) return;
  const signed = memory.ring.signAccess(successor);
  if (reply.request.isByCookie) {
    setAccessCookie(reply, signed, successor.exp - Math.floor(now), rules.reissueGraceSeconds);
    return;
  }
  reply.header(REFRESHED_TOKEN_HEADER, signed);
  markAsCarrier(reply);
}
