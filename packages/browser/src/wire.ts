/** Where requests go, and where a token may go. */
import type { GatehouseOptions } from './api.js';
import { GatehouseError } from './errors.js';

export interface Wire {
  /** Gatehouse's address, without a slash at its end. */
  root: string;
  fetch: typeof fetch;
  /** A question without a body, that no cache may answer. */
  question: (path: string) => Request;
  request: (path: string, body: object | undefined, method?: string) => Request;
  post: (path: string, body: object | undefined) => Promise<Response>;
  /** Whether an address may see the token: neither a typo nor a link that came with data must give it away. */
  isTrusted: (address: string) => boolean;
}

/** A call that takes longer has failed: well within the time in which the service repeats the answer to a refresh. */
const DEADLINE_MS = 10_000;

export function createWire(options: GatehouseOptions): Wire {
  const { url, transport, origins = [] } = options;
  const { location: page } = globalThis as { location?: Location };
  // A server that renders the page has no address of its own: there a client may be made, but asks for nothing.
  const { href, origin } = new URL(url || '/', page?.href ?? 'http://localhost');
  if (transport === 'cookie' && page && page.origin !== origin)
    throw new TypeError(
      'Cookies are for one origin: where Gatehouse has its own, use the transport "bearer".',
    );
  const root = href.replace(/\/$/, '');
  const trusted = [origin, page?.origin];
  if (transport !== 'cookie') trusted.push(...origins.map((other) => new URL(other).origin));

  // The platform's own wants to be called on the window.
  const send: typeof fetch = (input, init) => (options.fetch ?? fetch)(input, init);

  function addressOf(path: string): string {
    if (!page && !/^https?:/.test(url ?? ''))
      throw new GatehouseError('unreachable', 'Where there is no page, `url` must begin with https.');
    return `${root}/${path}`;
  }

  function request(path: string, body: object | undefined, method = 'POST'): Request {
    return new Request(addressOf(path), {
      method,
      ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      // A person who leaves the page has still logged out, and the cookies of an answer are kept without it.
      keepalive: true,
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
  }

  return {
    root,
    fetch: send,
    question: (path) =>
      new Request(addressOf(path), { cache: 'no-store', signal: AbortSignal.timeout(DEADLINE_MS) }),
    request,
    post: (path, body) => send(request(path, body)),
    isTrusted: (address) => {
      const { origin } = new URL(address);
      // The one text for all addresses without an origin: who has one of them is not the other.
      return origin !== 'null' && trusted.includes(origin);
    },
  };
}
