/** Origins as browsers write them into `Origin` (RFC 6454 section 6.2): a scheme of any kind, a host, and a port that is not the scheme's own. */

/** Pages of these have no origin (browsers send `null` for them), or are none: what came over ftp or ws is not a page of it. */
const WITHOUT_PAGES = ['about', 'blob', 'data', 'file', 'filesystem', 'ftp', 'javascript', 'ws', 'wss'];

/** Names, `localhost`, addresses, and the ids of extensions. URLs would allow more, which nobody sends: a * for instance. */
const HOST_AND_PORT = /^(?:[\w.-]+|\[[0-9a-f:.]+\])(?::[0-9]+)?$/;

/**
 * What keeps a text from being an origin as a browser writes it, as the end of a sentence; null for nothing.
 *
 * A browser sends its origin in one spelling only, and it is compared letter by letter: any other would never be met.
 */
export function refuseOrigin(text: string): string | null {
  if (text.includes('*')) return 'holds a *, but is no pattern: write down each origin';
  if (text === 'null')
    return 'is null, which all sandboxed pages and files share: no page of yours can be told by it';
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/s.exec(text) ?? [];
  if (scheme === '') return 'does not begin with a scheme in small letters and ://';
  if (WITHOUT_PAGES.includes(scheme)) return 'has a scheme that no page has in its origin';
  if (/[/?#\\]/.test(rest)) return 'goes on after host and port: take the path and its slash away';
  if (rest.includes('@')) return 'holds a user: take it away, with the @';
  // Not `origin`: for all schemes that the platform does not know it is the text `null`.
  const url = URL.parse(text);
  if (url === null || !HOST_AND_PORT.test(url.host))
    return 'has no host, or one that no page can have, or a wrong port';
  if (`${url.protocol}//${url.host}` === text) return null;
  return "is not written as browsers write it: in small letters and punycode (xn--), without the scheme's own port";
}
