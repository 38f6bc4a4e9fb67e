/** What the primary is asked about a token. */
import { parseJti, type AccessClaims, type RefreshClaims } from './claims.js';
import { userIdOf } from './subjects.js';

/** What a token is asked by: whose session, which session, which lineage, and which version of claims. */
export interface Asked {
  /** The user's row. */
  userId: string;
  sid: string;
  lineage: string;
  /** Null for a refresh token. */
  ver: number | null;
}

export function askedOf(claims: Pick<AccessClaims, 'client_id' | 'sub' | 'sid' | 'jti' | 'ver'>): Asked {
  return { ...askedOfRefresh(claims), ver: claims.ver ?? 0 };
}

/** A refresh token has no claims that change. */
export function askedOfRefresh(claims: Pick<RefreshClaims, 'client_id' | 'sub' | 'sid' | 'jti'>): Asked {
  const { lineage } = parseJti(claims.jti);
  return { userId: userIdOf(claims), sid: claims.sid, lineage, ver: null };
}
