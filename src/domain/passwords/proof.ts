/** The password that is in force, typed once more by a user who is logged in. */
import { AuthError, Reason } from '../errors.js';
import type { PasswordHasher } from './hasher.js';

const WRONG_PASSWORD = new Reason('wrong_password');

/**
 * @param passwordHash null for a user without a password, who learns it after the same time
 * @param detail for the caller, where the password is wrong
 * @returns the hash, which was verified
 * @throws {AuthError} invalid_credentials; temporarily_unavailable: no room to hash
 */
export async function provePassword(
  hasher: PasswordHasher,
  passwordHash: string | null,
  typed: string,
  detail: string,
): Promise<string> {
  if (passwordHash === null) await hasher.burn(typed);
  else if (await hasher.verify(passwordHash, typed)) return passwordHash;
  throw new AuthError('invalid_credentials', { detail, cause: WRONG_PASSWORD });
}
