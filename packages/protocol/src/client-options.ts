/** What programs that ask Gatehouse as a client say of it and of themselves. */

/**
 * Where Gatehouse is.
 *
 * @param mistakes takes what is wrong with it; no value is repeated
 */
export function readUrl(given: unknown, mistakes: string[]): URL | null {
  if (given === undefined) mistakes.push('url is missing');
  if (given === undefined) return null;
  const url = typeof given === 'string' && URL.canParse(given) ? new URL(given) : given;
  if (url instanceof URL && isPlain(url)) return url;
  mistakes.push('url is not an http or https address without credentials, query and fragment');
  return null;
}

function isPlain({ protocol, username, password, search, hash }: URL): boolean {
  return /^https?:$/.test(protocol) && `${username}${password}${search}${hash}` === '';
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

/**
 * What stands behind `Basic ` in `Authorization`. RFC 6749 section 2.3.1: each half is written as in a form before RFC 7617 joins and
 * encodes them.
 */
export function basicOf(id: string, secret: string): string {
  const pair = [id, secret].map((half) => new URLSearchParams({ half }).toString().slice('half='.length));
  return btoa(pair.join(':'));
}
