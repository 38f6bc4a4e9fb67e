/** When an access token is near its end. */

/**
 * Length of the time before `exp` in which a token is near its end, in whole seconds: a fifth of its own life, 30 s at
 * least, half of its life at most.
 */
export function windowSeconds({ iat, exp }: Readonly<{ iat: number; exp: number }>): number {
  const life = exp - iat;
  return Math.floor(Math.min(Math.max(0.2 * life, 30), 0.5 * life));
}
