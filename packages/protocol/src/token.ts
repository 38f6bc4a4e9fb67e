/** What can be a token of Gatehouse at all, by its text alone. */

/** The longest token that is ever signed. A request header that carries one stays below the 4 KiB of small proxies. */
export const MAX_TOKEN_CHARACTERS = 3800;

const TOKEN = /^[A-Za-z0-9._-]+$/;

/** Whether the text is one to ask about: three parts of base64url with dots between them are written like this. */
export function isTokenText(text: string): boolean {
  return text.length <= MAX_TOKEN_CHARACTERS && TOKEN.test(text);
}
