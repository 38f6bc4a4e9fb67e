/** A client's id and secret in `Authorization`. */
import { LRUCache } from 'lru-cache';

import type { ClientCredentials } from '../../domain/clients.js';
import { AuthError } from '../../domain/errors.js';

/** What was read of the headers that clients send all day; longer ones are no client's of ours. */
const known = new LRUCache<string, ClientCredentials>({ max: 1000 });
const LONGEST_KNOWN = 512;

/** The same object again for the same header, so that whoever checks it can remember it too. */
export function readBasic(authorization: string): ClientCredentials {
  const read = known.get(authorization);
  if (read !== undefined) return read;
  const credentials = parseBasic(authorization);
  if (authorization.length <= LONGEST_KNOWN) known.set(authorization, credentials);
  return credentials;
}

/** What comes with a token has taken this for a door of users. */
const OTHER_SCHEME =
  'The Authorization header is not Basic. Authenticate with a client id and a client secret: a Bearer token opens nothing here.';

/** RFC 7617, with id and secret percent-encoded as in a form (RFC 6749 section 2.3.1). */
function parseBasic(authorization: string): ClientCredentials {
  if (!/^Basic\b/i.test(authorization)) throw new AuthError('invalid_client', { detail: OTHER_SCHEME });
  const encoded = /^Basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization)?.[1];
  const pair = encoded === undefined ? '' : Buffer.from(encoded, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  if (colon < 1) throw new AuthError('invalid_client');
  try {
    return {
      id: decodeFormComponent(pair.slice(0, colon)),
      secret: decodeFormComponent(pair.slice(colon + 1)),
    };
  } catch (cause) {
    throw new AuthError('invalid_client', { cause });
  }
}

function decodeFormComponent(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '));
}
