/** The two cookies of cookie mode: the one place that reads, sets and clears them. */
import type { FastifyReply, FastifyRequest } from 'fastify';

import { AuthError } from '../../domain/errors.js';
import type { TokenPair } from '../../domain/sessions/pairs.js';
import { markAsCarrier } from '../answers/carry.js';
import { assertOwnPage } from './csrf.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whether the token of this request came in a cookie: then whatever follows it goes back in one. */
    isByCookie: boolean;
  }
}

/** `__Host-`: a browser takes these from this very host alone, over TLS or on localhost; no neighbour can plant one. */
export const ACCESS_COOKIE = '__Host-gatehouse-access';
export const REFRESH_COOKIE = '__Host-gatehouse-refresh';
type CookieName = typeof ACCESS_COOKIE | typeof REFRESH_COOKIE;

/** `Lax`, not `Strict`: who follows a link from elsewhere to a page of ours is still logged in there. */
const ATTRIBUTES = 'Path=/; Secure; HttpOnly; SameSite=Lax';

/** Of one origin, so all of it: `Vary` names what an answer with a cookie depends on. */
const DEPENDS_ON = 'Authorization, Cookie';

/**
 * The token in one of our cookies; null when there is none. Call it only where neither header nor body carries a token.
 *
 * @param origin of the issuer
 * @throws {AuthError} invalid_request for a cookie that is there twice, csrf_rejected
 */
export function takeCookie(request: FastifyRequest, name: CookieName, origin: string): string | null {
  const token = findCookie(request.headers.cookie, name);
  if (token === null) return null;
  assertOwnPage(request, origin);
  request.carriesToken = true;
  request.isByCookie = true;
  return token;
}

/**
 * Reads the header to the letter: names are equal or they are others, values are taken as they stand. Readers that trim
 * more than a space, or decode, find our name in cookies whose names are none of ours to the browser, and which it
 * therefore took from a neighbour.
 */
function findCookie(header: string | undefined, name: CookieName): string | null {
  if (header === undefined) return null;
  const found = header
    .split(';')
    .map((pair) => pair.replace(/^[ \t]+/, ''))
    .filter((pair) => pair.startsWith(`${name}=`));
  // RFC 6265 section 4.2.2 gives their order no meaning: which of two is ours cannot be told.
  if (found.length > 1)
    throw new AuthError('invalid_request', { detail: `The cookie ${name} was sent more than once.` });
  return found[0]?.slice(name.length + 1) || null;
}

/** Hands over both tokens; they outlive no use that they could still be of. */
export function setCookies(reply: FastifyReply, pair: TokenPair, graceSeconds: number): void {
  setAccessCookie(reply, pair.accessToken, pair.expiresIn, graceSeconds);
  reply.header('set-cookie', write(REFRESH_COOKIE, pair.refreshToken, pair.refreshExpiresIn));
}

/** @param expiresIn seconds; the browser keeps it for the grace as well, in which it is still good for its successor */
export function setAccessCookie(
  reply: FastifyReply,
  token: string,
  expiresIn: number,
  graceSeconds: number,
): void {
  reply.header('set-cookie', write(ACCESS_COOKIE, token, expiresIn + graceSeconds));
  markAsCarrier(reply, DEPENDS_ON);
}

/**
 * Has the browser forget both cookies of the session that has ended; does nothing where no cookie was read. Without
 * Clear-Site-Data: `"cookies"` would take those of all neighbours under the same domain along, and for `"cache"` Chrome walks
 * through all that it keeps of all sites, and holds the answer back meanwhile.
 */
export function clearCookies(reply: FastifyReply): void {
  if (!reply.request.isByCookie) return;
  reply.header('set-cookie', [write(ACCESS_COOKIE, '', 0), write(REFRESH_COOKIE, '', 0)]);
}

/**
 * Waits for work with the token of a cookie, and clears the cookies when it says that the session is over. A lost race
 * (`refresh_superseded`) is not the end: another tab has set newer cookies by then.
 */
export async function clearWhenOver<Result>(reply: FastifyReply, work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    const isOver = error instanceof AuthError && ['invalid_token', 'refresh_reused'].includes(error.code);
    if (isOver) clearCookies(reply);
    throw error;
  }
}

/** Takes back what an answer was about to tell the browser to keep or forget. */
export function withdrawCookies(reply: FastifyReply): void {
  reply.removeHeader('set-cookie');
}

/** Tokens are base64url and dots: nothing in them needs an escape. */
function write(name: CookieName, value: string, maxAgeSeconds: number): string {
  return `${name}=${value}; Max-Age=${maxAgeSeconds}; ${ATTRIBUTES}`;
}
