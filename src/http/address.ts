/** Whose address a request comes from. */
import { isIP } from 'node:net';
import type { FastifyRequest } from 'fastify';

/** The caller's. A trusted proxy may forward what is none: then the proxy's own is all that we know. */
export function addressOf({ ip, socket }: FastifyRequest): string {
  if (isIP(ip) !== 0 && !ip.includes('%')) return ip;
  const candidates = [ip, socket.remoteAddress ?? ''].map((text) => text.replace(/%.*$/, '')); // no zone (RFC 4007)
  return candidates.find((text) => isIP(text) !== 0) ?? '::';
}
