/** Whether a cookie counts: a browser sends it along whoever made it ask, so it must also say that a page of ours did. */
import type { FastifyRequest } from 'fastify';

import { AuthError } from '../../domain/errors.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether gateways ask here about requests of which ours has neither the method nor the body. */
    isForGateways?: boolean;
  }
}

/** RFC 9110 section 9.2.1; TRACE, which is safe too, no browser sends. */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** RFC 9110 section 5.6.2: what a method is made of. Of a header that is repeated Node makes a list with commas. */
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;

const OWN = 'only pages of the origin of Gatehouse may ask for this.';

/**
 * Refuses a request with a cookie of ours that a page of another origin may have made, and one for another host. Reading is
 * harmless: such a page cannot see the answer. Not so a WebSocket, which begins with a GET, and which any page may open and
 * then read.
 *
 * @param origin of the issuer, which is that of all pages in cookie mode
 * @throws {AuthError} csrf_rejected, with the header that was missing or wrong; misdirected_request
 */
export function assertOwnPage(request: FastifyRequest, origin: string): void {
  const isForGateways = request.routeOptions.config.isForGateways === true;
  const method = isForGateways ? findForwardedMethod(request) : request.method;
  if (method === null) assertReadable(request, origin);
  const isSocket = isForGateways && request.headers['sec-websocket-key'] !== undefined;
  if (isSocket || !SAFE_METHODS.has(method ?? request.method)) assertSameOrigin(request, origin);
}

/**
 * Refuses a login into cookies that a page of another origin may have made: its own user would then be the one who is
 * logged in. Without either header it is no browser. A login for another host is refused in any case: the cookies would be that host's.
 *
 * @throws {AuthError} csrf_rejected, misdirected_request
 */
export function assertOwnLogin(request: FastifyRequest, origin: string): void {
  request.assertOwnHost();
  const { origin: sentOrigin, 'sec-fetch-site': site } = request.headers;
  if (site !== undefined || sentOrigin !== undefined) assertSameOrigin(request, origin);
}

/** `Sec-Fetch-Site`, which scripts cannot set, decides; older browsers send `Origin` with whatever is not GET or HEAD. */
function assertSameOrigin(request: FastifyRequest, origin: string): void {
  request.assertOwnHost();
  const { origin: sentOrigin, 'sec-fetch-site': site } = request.headers;
  if (site === 'same-origin') return;
  if (site !== undefined) throw rejected(`Sec-Fetch-Site is not same-origin: ${OWN}`);
  if (sentOrigin === undefined) throw rejected(`Sec-Fetch-Site is missing, and so is Origin: ${OWN}`);
  if (sentOrigin !== origin) throw rejected(`Origin is another one: ${OWN}`);
}

/**
 * For a gateway that does not tell the method, which may thus be any: whatever another page, or one of another host, can have
 * made is refused. A link from elsewhere is among it; it works when the gateway forwards the method.
 */
function assertReadable(request: FastifyRequest, origin: string): void {
  const { origin: sentOrigin, 'sec-fetch-site': site } = request.headers;
  if (sentOrigin !== undefined || site !== undefined) request.assertOwnHost();
  if (site === 'same-origin' || site === 'none') return;
  const untold =
    'and neither X-Forwarded-Method nor X-Original-Method says that nothing but reading is asked for.';
  if (site !== undefined) throw rejected(`Sec-Fetch-Site is neither same-origin nor none, ${untold}`);
  if (sentOrigin !== undefined && sentOrigin !== origin) throw rejected(`Origin is another one, ${untold}`);
}

/**
 * The method of the request that a gateway asks about; null where it does not say. A page elsewhere cannot set these
 * headers without a preflight, which nothing here answers; whoever is no browser deceives but himself.
 */
function findForwardedMethod({ headers }: FastifyRequest): string | null {
  const { 'x-forwarded-method': forwarded, 'x-original-method': original } = headers;
  const methods = [forwarded, original].filter((method) => method !== undefined);
  if (!methods.every((method) => typeof method === 'string' && TOKEN.test(method)))
    throw rejected('X-Forwarded-Method or X-Original-Method is repeated, or names no method.');
  const [method = null, other = method] = methods as string[];
  if (method !== other) throw rejected('X-Forwarded-Method and X-Original-Method name different methods.');
  return method;
}

function rejected(detail: string): AuthError {
  return new AuthError('csrf_rejected', { detail });
}
