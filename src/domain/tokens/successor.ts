/** Which token follows an access token near its end: pure rules, with the primary's clock as an argument. */
import { windowSeconds } from '@gatehouse/protocol';

import { parseJti, type AccessClaims, type TokenRules } from './claims.js';

export function isNearEnd(claims: { iat: number; exp: number }, now: number): boolean {
  return claims.exp - windowSeconds(claims) <= now;
}

/** `exp` is exclusive: at `exp` the token is expired (RFC 7519 section 4.1.4). */
export function isExpired(claims: { exp: number }, now: number): boolean {
  return now >= claims.exp;
}

/**
 * What a live token, or one in its grace, is reissued as at `now`; null when it is not due, or when only `/refresh`
 * helps. It is a function of the parent alone, so every replica and every parallel request finds the same claims.
 */
export function reissue(claims: AccessClaims, now: number, rules: TokenRules): AccessClaims | null {
  if (now >= claims.exp + rules.reissueGraceSeconds) return null;
  let latest = claims;
  while (isNearEnd(latest, now)) {
    const next = successor(latest, rules.reissueMax);
    if (next === null) break;
    latest = next;
  }
  return latest === claims || isExpired(latest, now) ? null : latest;
}

/** The next generation of the same lineage; null at the end of the session or of the lineage. */
function successor(parent: AccessClaims, reissueMax: number): AccessClaims | null {
  const { lineage, generation } = parseJti(parent.jti);
  const iat = parent.exp - windowSeconds(parent);
  const exp = Math.min(iat + (parent.exp - parent.iat), parent.session_exp);
  if (generation >= reissueMax || exp <= parent.exp) return null;
  return { ...parent, jti: `${lineage}.${generation + 1}`, iat, exp };
}
