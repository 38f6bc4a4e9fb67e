/** How the two tokens of a session are handed to their holder. */
import type { FastifyReply } from 'fastify';

import type { TokenPair } from '../domain/logins.js';
import { markAsCarrier } from './carry.js';

export function sendPair(reply: FastifyReply, pair: TokenPair): FastifyReply {
  markAsCarrier(reply);
  return reply.send({
    access_token: pair.accessToken,
    token_type: 'Bearer',
    expires_in: pair.expiresIn,
    refresh_token: pair.refreshToken,
    refresh_expires_in: pair.refreshExpiresIn,
    session_id: pair.sessionId,
  });
}
