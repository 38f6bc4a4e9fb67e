/** Lifetimes that callers ask for: they can only be shorter than those of the service. */
import { AuthError } from '../../domain/errors.js';

/**
 * @param name of the member
 * @param variable that says the most
 * @throws {AuthError} invalid_request
 */
export function assertNotLonger(
  name: string,
  seconds: number | undefined,
  most: number,
  variable: string,
): void {
  if (seconds === undefined || seconds <= most) return;
  const message = `must be at most ${most}, the ${variable} of the service`;
  throw new AuthError('invalid_request', { issues: [{ path: `body/${name}`, message }] });
}
