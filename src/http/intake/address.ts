/** From which address a request comes, and for which host: the one place that reads what proxies say of both. */
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';

import { createRangeTest, readAddress } from '../../domain/networks.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The caller's address, as far as proxies that we believe tell it. `ip` and `ips` are the connection's alone. */
    readonly address: string;
    /** The host that the caller typed, with its port, as it was sent; a proxy that we believe may tell it instead. */
    readonly askedHost: string | undefined;
    /** Whether a proxy that we believe has sent it. */
    readonly isByProxy: boolean;
  }
}

/** Who is at the other end of a connection; that never changes. */
interface Peer {
  address: string;
  isTrusted: boolean;
}

/**
 * How many proxies one after the other are believed; no real path has as many. A longer list is a caller inside the trusted ranges who
 * makes one up, and reading all 1,500 that a header holds takes 10 ms each time.
 */
export const HOPS = 32;

/** What may follow an address: a port, or a name that hides it (RFC 7239 section 6.2). */
const PORT = /:(?:\d{1,5}|_[\w.-]+)$/;

/** The authority of a target in absolute form, which counts more than `Host` (RFC 9112 section 3.2.2). */
const AUTHORITY = /^[a-z][\w+.-]*:\/\/([^/?#]*)/i;

/**
 * Lets each request say its address and its host.
 *
 * @param trustProxy addresses and CIDR ranges of the proxies that are believed
 */
export function readProxies(app: FastifyInstance, trustProxy: readonly string[]): void {
  const isTrusted = createRangeTest(trustProxy);
  const peers = new WeakMap<Socket, Peer>();
  const sayUnbelieved = once((address) =>
    app.log.warn(
      `X-Forwarded-For from ${address} is not believed: if that is your proxy, name it in TRUST_PROXY`,
    ),
  );
  const sayUnreadable = once((address) =>
    app.log.warn(
      `X-Forwarded-For from ${address} has no address for some callers, who share the limits of one: set that proxy to send addresses`,
    ),
  );

  function peerOf({ raw: { socket } }: FastifyRequest): Peer {
    const known = peers.get(socket);
    if (known !== undefined) return known;
    const { remoteAddress = '' } = socket;
    // A connection that is gone has no address any more.
    const peer = { address: readAddress(remoteAddress) ?? '::', isTrusted: isTrusted(remoteAddress) };
    peers.set(socket, peer);
    return peer;
  }

  app.decorateRequest('address', {
    getter() {
      const peer = peerOf(this);
      if (!peer.isTrusted) return peer.address;
      // Each proxy adds at the end who asked it. So the last member is the word of the proxy that asks us, and every other is the
      // word of the proxy that follows it in the list.
      let { address } = peer;
      for (const member of membersOf(this.headers['x-forwarded-for']).slice(-HOPS).reverse()) {
        const next = readMember(member);
        // That proxy does not know who asked it, or does not tell: then its own address is all that we know. What stands before may
        // be the caller's own words.
        if (next === null) {
          sayUnreadable(peer.address);
          return address;
        }
        address = next;
        if (!isTrusted(address)) return address;
      }
      return address;
    },
  });

  app.decorateRequest('askedHost', {
    getter() {
      const { headers, url = '' } = this.raw;
      const told = peerOf(this).isTrusted ? membersOf(headers['x-forwarded-host']).at(-1) : undefined;
      return told ?? AUTHORITY.exec(url)?.[1] ?? headers.host;
    },
  });

  app.decorateRequest('isByProxy', {
    getter() {
      return peerOf(this).isTrusted;
    },
  });

  app.addHook('onRequest', (request, _reply, next) => {
    if (request.raw.headers['x-forwarded-for'] !== undefined) {
      const { address, isTrusted: isBelieved } = peerOf(request);
      if (!isBelieved) sayUnbelieved(address);
    }
    next();
  });
}

/** Lines of a header are one list (RFC 9110 section 5.3), whose empty members count for nothing (section 5.6.1.2). */
function membersOf(header: string | string[] | undefined): string[] {
  if (header === undefined) return [];
  return String(header)
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '');
}

/**
 * A node as proxies write it (RFC 7239 section 6): an address, perhaps with a port, an IPv6 address perhaps in brackets, all of it perhaps
 * in quotes.
 *
 * @returns null for `unknown`, for a name that hides the address, and for anything else
 */
function readMember(member: string): string | null {
  const node = member.replace(/^"(.*)"$/, '$1');
  // First as it stands: without brackets nobody can tell the last group of an IPv6 address from a port.
  return readAddress(node) ?? readAddress(node.replace(PORT, '').replace(/^\[(.*)\]$/, '$1'));
}

/** A warning that is worth a line, but not one for each request. */
function once(say: (address: string) => void): (address: string) => void {
  let isSaid = false;
  return (address) => {
    if (!isSaid) say(address);
    isSaid = true;
  };
}
