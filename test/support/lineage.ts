// Every token that a lineage can ever have, as its holder would collect them one after the other.
import { windowSeconds } from '@gatehouse/protocol';

import type { AccessClaims, TokenRules } from '../../src/domain/tokens/claims.js';
import { reissue } from '../../src/domain/tokens/successor.js';
import { claimsOf, type Replica } from './house.js';

export interface LineageToken {
  text: string;
  claims: AccessClaims;
}

/** The token and all that it is reissued as until its session ends for good, signed by the replica's present keys. */
export async function lineageOf({ gatehouse }: Replica, access: string): Promise<LineageToken[]> {
  const { ring } = (await gatehouse.judge(null)).snapshot;
  const generations = collect(claimsOf(access), gatehouse.rules);
  return generations.map((claims) => ({ text: ring.signAccess(claims), claims }));
}

function collect(claims: AccessClaims, rules: TokenRules): AccessClaims[] {
  const next = reissue(claims, claims.exp - windowSeconds(claims), rules);
  return next === null ? [claims] : [claims, ...collect(next, rules)];
}
