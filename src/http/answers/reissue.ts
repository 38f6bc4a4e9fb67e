/** The successor of a token near its end rides back on the answer. */
import type { FastifyReply } from 'fastify';

import type { Gatehouse } from '../../domain/gatehouse.js';
import type { Judgement } from '../../domain/liveness/liveness.js';
import { markAsCarrier } from './carry.js';
import { setAccessCookie } from '../doors/cookies.js';

export const REFRESHED_TOKEN_HEADER = 'refreshed-api-token';

/**
 * Adds the header where a successor is due, also in the grace after the token's `exp`. Which successor is the domain's
 * decision; here it is delivered. A token that came in a cookie is succeeded in the cookie alone: in a header, scripts could
 * read it.
 */
export function carrySuccessor(
  reply: FastifyReply,
  judgement: Judgement,
  { findSuccessor, rules }: Pick<Gatehouse, 'findSuccessor' | 'rules'>,
): void {
  const successor = findSuccessor(judgement);
  if (successor === null) return;
  const { token, expiresInSeconds } = successor;
  if (reply.request.isByCookie) {
    setAccessCookie(reply, token, expiresInSeconds, rules.reissueGraceSeconds);
    return;
  }
  reply.header(REFRESHED_TOKEN_HEADER, token);
  markAsCarrier(reply);
}
