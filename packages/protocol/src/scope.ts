/** The grammar of scopes: words of printable ASCII between single spaces (RFC 6749 section 3.3). */

const SCOPE = /^[!#-[\]-~]+(?: [!#-[\]-~]+)*$/;

/** Whether the text is one scope or several. The empty text is none: claims leave it out. */
export function isScope(text: unknown): text is string {
  return typeof text === 'string' && SCOPE.test(text);
}
