/** DATABASE_URL: whether it can be read in one way only, and what may be told of it. */
import { readUrl } from './read-url.js';
import { StartError } from './start-error.js';
import { findWrongParameter, trustsAnyServer } from './url-parameters.js';

/**
 * What is not to be seen: control and format characters, white space, the characters that Unicode lets vanish (zero-width
 * ones, byte-order marks, soft hyphens, direction marks, fillers), and the empty Braille pattern.
 */
export const UNSEEN = /[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]/u;

const PARTS = /^postgres(?:ql)?:\/\/(?<authority>[^/?#]*)(?<path>[^?#]*)(?<rest>.*)$/i;

/** Empty, a name or an IPv4 address, an IPv6 address, or the directory of a socket; then perhaps a port. */
const HOST = /^(?:[\p{L}\p{N}._-]*|\[[\da-f:.]+\]|(?:%2f[\p{L}\p{N}._-]*)+)(?::\d*)?$/iu;

const FORM = 'must be a URL such as postgresql://user@host:5432/name';

const REMEDY =
  'in user, password and name write % as %25, @ as %40, / as %2F, ? as %3F and # as %23, ' +
  'or put the password into a file and set DATABASE_PASSWORD_FILE to it';

/**
 * Why this is no URL that can be read in one way only; undefined when it is one.
 *
 * A parser cuts `u:4711/Se@host/name` at the slash: the host is then `u`, and a piece of the password becomes the name of
 * the database, which PostgreSQL and every message about it repeat. Nothing of the text is in what is returned.
 */
export function findDoubt(url: string): string | undefined {
  if (UNSEEN.test(url))
    return 'holds white space or an invisible character: take it away, or percent-encode it';
  const { authority, path, rest } = PARTS.exec(url)?.groups ?? {};
  if (authority === undefined || path === undefined || rest === undefined) return FORM;
  if (!isDecodable(url)) return `holds a % that begins no percent-encoded character: ${REMEDY}`;
  const [host = '', , ...more] = authority.split('@').reverse();
  if (more.length > 0 || `${path}${rest}`.includes('@'))
    return `holds an @ that does not stand between user and host: ${REMEDY}`;
  if (rest.includes('#')) return `holds a #: ${REMEDY}`;
  if (path.lastIndexOf('/') > 0) return `holds a / in the name of the database: ${REMEDY}`;
  if (!HOST.test(host)) return `holds a character that no host has, where the host stands: ${REMEDY}`;
  return path.length > 1 && URL.canParse(url) ? findWrongParameter(new URL(url)) : FORM;
}

/** Why the files that this URL names cannot be used, as a whole sentence; undefined where they can. The URL has no doubt in it. */
export function findUnusableFile(url: string): string | undefined {
  try {
    readUrl(url);
    return undefined;
  } catch (error) {
    if (error instanceof StartError) return error.message;
    throw error;
  }
}

/** A warning where what this URL says is allowed, but probably not meant. The URL has no doubt in it. */
export function warnAboutUrl(url: string): string[] {
  if (!trustsAnyServer(new URL(url))) return [];
  return [
    'DATABASE_URL: sslmode=require encrypts, and takes any server for the right one; sslmode=verify-full does not (docs/database-tls.md)',
  ];
}

/** A character that is encoded as bytes that are none, and an encoded NUL, which ends a text for PostgreSQL, are no better. */
function isDecodable(url: string): boolean {
  try {
    return !decodeURIComponent(url).includes('\0');
  } catch {
    return false;
  }
}

/**
 * The database at this URL, for a message: its name, host and port, but only where these can be nothing else. Where no user
 * is named, what we would quote may be a password all the same; and a query may name another host.
 */
export function describeDatabase(url: string): string {
  const unnamed = 'The database in DATABASE_URL';
  if (findDoubt(url) !== undefined) return unnamed;
  const { username, hostname, port, pathname, searchParams } = new URL(url);
  if (username === '' || searchParams.has('host') || searchParams.has('port')) return unnamed;
  return `The database ${decodeURI(pathname.slice(1))} at ${decodeURIComponent(hostname)}:${port || '5432'}`;
}
