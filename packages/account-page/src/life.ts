/** The life of an access token as the contract tells it (section 2): what happens when, from its claims alone. */
import { windowSeconds, type AccessClaims } from '@gatehouse/protocol';

/** Claims as `GET /session` answers them; times are seconds since 1970. */
export type Claims = AccessClaims;

/** What the service was started with, and claims do not tell. */
export interface Rules {
  graceSeconds: number;
  reissueMax: number;
}

/** One access token of a lineage. */
export interface Life {
  lineage: string;
  generation: number;
  issuedAt: number;
  /** From here on an answer brings its successor. */
  windowAt: number;
  expiresAt: number;
  /** Until here an expired token still earns its successor; equal to `expiresAt` when there is none to earn. */
  graceEndsAt: number;
  sessionEndsAt: number;
}

export type Phase = 'fresh' | 'renewing' | 'last' | 'grace' | 'over';

export function lifeOf({ jti, iat, exp, session_exp }: Claims, rules: Rules): Life {
  const dot = jti.lastIndexOf('.');
  return createLife(
    {
      lineage: jti.slice(0, dot),
      generation: Number(jti.slice(dot + 1)),
      issuedAt: iat,
      expiresAt: exp,
      sessionEndsAt: session_exp,
    },
    rules,
  );
}

/** The next generation, which follows from its parent alone; null at the end of the lineage or of the session. */
export function successorOf(parent: Life, rules: Rules): Life | null {
  const { lineage, generation, windowAt, expiresAt, graceEndsAt, issuedAt, sessionEndsAt } = parent;
  const exp = Math.min(windowAt + (expiresAt - issuedAt), sessionEndsAt);
  // A life of one second has no window, and without a grace nobody can ask in time.
  if (generation >= rules.reissueMax || exp <= expiresAt || windowAt >= graceEndsAt) return null;
  return createLife(
    { lineage, generation: generation + 1, issuedAt: windowAt, expiresAt: exp, sessionEndsAt },
    rules,
  );
}

export function phaseAt(life: Life, now: number, rules: Rules): Phase {
  if (now >= life.graceEndsAt) return 'over';
  if (now >= life.expiresAt) return 'grace';
  if (successorOf(life, rules) === null) return 'last';
  return now >= life.windowAt ? 'renewing' : 'fresh';
}

function createLife(own: Omit<Life, 'windowAt' | 'graceEndsAt'>, rules: Rules): Life {
  const windowAt = own.expiresAt - windowSeconds({ iat: own.issuedAt, exp: own.expiresAt });
  const isRenewable = own.generation < rules.reissueMax && own.expiresAt < own.sessionEndsAt;
  return {
    ...own,
    windowAt,
    graceEndsAt: isRenewable ? own.expiresAt + rules.graceSeconds : own.expiresAt,
  };
}
