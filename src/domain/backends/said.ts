/** What a client may not say of a session: more than a token holds, or of an audience that is not its own. */
import { MAX_TOKEN_CHARACTERS } from '@gatehouse/protocol';

import type { Client } from '../clients.js';
import { AuthError } from '../errors.js';
import type { TokenRules } from '../tokens/claims.js';
import { fitsIntoTokens } from '../tokens/length.js';
import { explainExtension, writeClaims, type SessionClaims } from '../tokens/session-claims.js';

/** @throws {AuthError} invalid_request where tokens would be too long, or `ext` too large once it was merged */
export function assertMayBeSaid(
  client: Pick<Client, 'id'>,
  externalId: string,
  claims: SessionClaims,
  rules: Pick<TokenRules, 'issuer' | 'audience'>,
): void {
  const problem = claims.ext === undefined ? null : explainExtension(claims.ext);
  if (problem !== null) throw refused('ext', problem);
  const user = { username: '', scope: '', clientId: client.id, externalId, claims: writeClaims(claims) };
  if (fitsIntoTokens(user, rules)) return;
  const detail = `Tokens of this session would be longer than ${MAX_TOKEN_CHARACTERS} characters: say less of it.`;
  throw new AuthError('invalid_request', { detail });
}

/**
 * @param audience of the service
 * @throws {AuthError} invalid_request where the client may not open sessions for one of these
 */
export function assertOwnAudiences(
  { audiences }: Pick<Client, 'audiences'>,
  wanted: readonly string[],
  audience: string,
): void {
  const own = audiences.length === 0 ? [audience] : audiences;
  if (wanted.every((each) => own.includes(each))) return;
  throw refused('audience', `must be among those of the client: ${own.join(', ')}`);
}

export function refusedTime(): AuthError {
  return refused('auth_time', 'is later than the clock of the database');
}

function refused(member: string, message: string): AuthError {
  return new AuthError('invalid_request', { detail: `The member ${member} ${message}.` });
}
