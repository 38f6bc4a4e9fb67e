/** How the tokens of a session are handed to their holder. */
import type { FastifyReply } from 'fastify';

import type { SingleToken, TokenPair } from '../../domain/sessions/pairs.js';
import { markAsCarrier } from './carry.js';
import { setAccessCookie, setCookies } from '../doors/cookies.js';

/** In the body, for whoever sends them in `Authorization`. */
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

/** A session that a backend has opened: in the body, with a refresh token where there is one. */
export function sendOpened(reply: FastifyReply, opened: TokenPair | SingleToken): FastifyReply {
  if ('refreshToken' in opened) return sendPair(reply, opened);
  markAsCarrier(reply);
  const { accessToken, expiresIn, sessionId } = opened;
  return reply.send({
    access_token: accessToken,
    token_type: 'Bearer',
    expires_in: expiresIn,
    session_id: sessionId,
  });
}

/** In cookies, which no script can read; the body has what a page needs to know all the same. */
export function sendPairInCookies(reply: FastifyReply, pair: TokenPair, graceSeconds: number): FastifyReply {
  setCookies(reply, pair, graceSeconds);
  return reply.send({ expires_in: pair.expiresIn, session_id: pair.sessionId });
}

/** An access token alone; the refresh token beside it stays what it is. */
export function sendAccess(reply: FastifyReply, token: SingleToken): FastifyReply {
  markAsCarrier(reply);
  return reply.send({ access_token: token.accessToken, token_type: 'Bearer', expires_in: token.expiresIn });
}

export function sendAccessInCookie(
  reply: FastifyReply,
  token: SingleToken,
  graceSeconds: number,
): FastifyReply {
  setAccessCookie(reply, token.accessToken, token.expiresIn, graceSeconds);
  return reply.send({ expires_in: token.expiresIn, session_id: token.sessionId });
}
