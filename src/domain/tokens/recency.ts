/** Whether a user has given the password lately (RFC 9470). */
import type { Judgement } from '../liveness/liveness.js';

/** By the primary's clock, which has set `auth_time` as well; of a token that is not live nobody can say it. */
export function isRecentlyProved(
  { live, now }: Pick<Judgement, 'live' | 'now'>,
  maxAgeSeconds: number,
): boolean {
  return live !== null && now - live.claims.auth_time <= maxAgeSeconds;
}
