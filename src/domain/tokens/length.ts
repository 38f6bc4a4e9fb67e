/** How long a token can become, and that none becomes longer than bodies, headers and columns of others hold. */
import { MAX_TOKEN_CHARACTERS } from '@gatehouse/protocol';

import { MAX_CHARACTERS } from '../users/name-length.js';
import type { Session, TokenRules } from './claims.js';
import { mintAccess, mintRefresh } from './minting.js';

/** Of RS256 with 2048 bits, which has the longest signature of all that may sign. */
const SIGNATURE_BYTES = 256;

const UUID = '00000000-0000-7000-8000-000000000000';

/** Numbers of as many digits as they can get. */
const LATEST = 9_999_999_999;
const GENERATION = 999_999_999;
const LONGEST: Omit<Session, 'username' | 'scope'> = {
  id: UUID,
  userId: UUID,
  clientId: null,
  externalId: null,
  claims: null,
  ver: Number.MAX_SAFE_INTEGER,
  generation: GENERATION,
  openedAt: LATEST,
  rotatedAt: LATEST,
  refreshExpiresAt: LATEST,
  expiresAt: LATEST,
  now: LATEST,
};

const HEADER = { alg: 'RS256', typ: 'at+jwt', kid: '0'.repeat(16) };

/** Whose tokens they are; of a client's session, with what that says of it. */
type Named = Pick<Session, 'username' | 'scope'> &
  Partial<Pick<Session, 'clientId' | 'externalId' | 'claims'>>;
type Names = Pick<TokenRules, 'issuer' | 'audience'>;

/** In characters, the longest token that this user can get. */
function longestToken(user: Named, { issuer, audience }: Names): number {
  const rules = { issuer, audience, accessTtlSeconds: 0, reissueGraceSeconds: 0, reissueMax: 0 };
  const session = { ...LONGEST, ...user };
  const access = { ...mintAccess(session, rules), iat: LATEST, jti: `${UUID}.${GENERATION}` };
  const claims = [access, mintRefresh(session, rules)].map(jsonBytes);
  const parts = [jsonBytes(HEADER), Math.max(...claims), SIGNATURE_BYTES];
  return parts.reduce((sum, bytes) => sum + Math.ceil((bytes * 4) / 3), parts.length - 1);
}

function jsonBytes(value: object): number {
  return Buffer.byteLength(JSON.stringify(value));
}

/** Whether no token of this user can become longer than {@link MAX_TOKEN_CHARACTERS}. */
export function fitsIntoTokens(user: Named, names: Names): boolean {
  return longestToken(user, names) <= MAX_TOKEN_CHARACTERS;
}

/** Of the longest user name, each of whose characters may be written as four. */
const LONGEST_NAME_BYTES = 4 * MAX_CHARACTERS;

/** Whether a user of any name, without a scope, can have tokens: otherwise ISSUER and AUDIENCE are too long. */
export function leavesRoomForNames(names: Names): boolean {
  return fitsIntoTokens({ username: 'x'.repeat(LONGEST_NAME_BYTES), scope: '' }, names);
}

/** So many bytes of a name and a scope fit in any case, of which a letter may be written as two. */
export function bytesThatFit(names: Names): number {
  const spare = MAX_TOKEN_CHARACTERS - longestToken({ username: '', scope: 'x' }, names);
  return Math.floor((spare * 3) / 4 - 1);
}
