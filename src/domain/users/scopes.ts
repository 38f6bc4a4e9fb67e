/** The scope of a user: which words it may have. */
import { isScope } from '@gatehouse/protocol';

/** Scopes travel in every access token, which must stay well below what proxies take for a header. */
const MAX_CHARACTERS = 1024;

/** Why this is no scope of a user, as the end of a sentence that begins with "the scope"; null if it is one. Empty is one. */
export function explainScope(text: string): string | null {
  if (text === '') return null;
  if (!isScope(text))
    return 'is not words of printable ASCII without " and \\, with single spaces between them (RFC 6749 section 3.3)';
  if (text.length > MAX_CHARACTERS) return `is longer than ${MAX_CHARACTERS} characters`;
  const words = text.split(' ');
  return new Set(words).size < words.length ? 'names something twice' : null;
}
