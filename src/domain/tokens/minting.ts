/** What the tokens of a session claim. */
import { FIRST_PARTY_CLIENT_ID } from '@gatehouse/protocol';
import { v7 as uuidv7 } from 'uuid';

import type { AccessClaims, RefreshClaims, Session, TokenRules } from './claims.js';
import { readClaims, type SessionClaims } from './session-claims.js';

/** What tokens say of the user: by the user's row, or by what a client says of the session. */
type Described = Pick<
  AccessClaims,
  'sub' | 'aud' | 'client_id' | 'username' | 'scope' | 'ext' | 'amr' | 'acr' | 'act'
>;

function describeUser({ userId, username, scope }: Session, { audience }: TokenRules): Described {
  return {
    sub: userId,
    aud: audience,
    // There is no OAuth client; RFC 9068 section 2.2 wants one all the same.
    client_id: FIRST_PARTY_CLIENT_ID,
    username,
    ...(scope === '' ? {} : { scope }),
  };
}

function describeForeign(clientId: string, externalId: string, claims: SessionClaims): Described {
  const { username = externalId, audience, scope, ext, amr, acr, act } = claims;
  const [only] = audience;
  return {
    sub: externalId,
    aud: audience.length === 1 && only !== undefined ? only : audience,
    client_id: clientId,
    username,
    ...(scope === undefined ? {} : { scope }),
    ...(ext === undefined ? {} : { ext }),
    ...(amr === undefined ? {} : { amr }),
    ...(acr === undefined ? {} : { acr }),
    ...(act === undefined ? {} : { act }),
  };
}

/**
 * A new lineage of access tokens for a session, at generation 0.
 *
 * @param authTime when the user gave the password last, for this lineage alone
 */
export function mintAccess(session: Session, rules: TokenRules, authTime?: number): AccessClaims {
  const { clientId, externalId } = session;
  const claims = session.claims === null ? null : readClaims(session.claims);
  const isForeign = clientId !== null && externalId !== null && claims !== null;
  const iat = Math.floor(session.now);
  const ttl = Math.min(rules.accessTtlSeconds, claims?.access_token_ttl ?? Infinity);
  return {
    iss: rules.issuer,
    ...(isForeign ? describeForeign(clientId, externalId, claims) : describeUser(session, rules)),
    sid: session.id,
    jti: `${uuidv7()}.0`,
    iat,
    exp: Math.min(iat + ttl, session.expiresAt),
    auth_time: authTime ?? claims?.auth_time ?? session.openedAt,
    session_exp: session.expiresAt,
    ...(session.ver === 0 ? {} : { ver: session.ver }),
  };
}

/** The current refresh token of a session. It depends on nothing but the session's row, so asking twice gives equal claims. */
export function mintRefresh(session: Session, rules: TokenRules): RefreshClaims {
  return {
    iss: rules.issuer,
    sub: session.externalId ?? session.userId,
    aud: rules.issuer,
    ...(session.clientId === null ? {} : { client_id: session.clientId }),
    sid: session.id,
    jti: `${session.id}.${session.generation}`,
    iat: Math.floor(session.rotatedAt),
    exp: session.refreshExpiresAt,
    auth_time: session.openedAt,
    session_exp: session.expiresAt,
  };
}
