/** A password that somebody sets with a code: tested before anything is hashed, and counted like a login. */
import type { Database } from '../../database/prisma.js';
import { AuthError, Reason } from '../errors.js';
import { refundUnlessWrong, type Throttle } from '../guessing/throttle.js';
import { networkOf } from '../networks.js';
import { told, type Trail } from '../reports/told.js';
import { actorOfUser } from '../sessions/actors.js';
import { assertAwaited, JUDGED_WITHIN_MS } from './change.js';
import { findCode, useCode } from './codes.js';
import type { PasswordHasher } from './hasher.js';
import { refusePassword, type PasswordRules } from './policy.js';

export interface Reset {
  code: string;
  /** The new password. */
  next: string;
}

const WRONG_CODE = new Reason('wrong_code');

/** One answer for every kind of wrong. */
function wrongCode(): AuthError {
  const detail = 'The code is wrong, was used before, has been replaced by another one, or counts no more.';
  return new AuthError('invalid_credentials', { detail, cause: WRONG_CODE });
}

/** The verb that sets a password with a code; the facade says what it promises. */
export function createPasswordReset(parts: {
  database: Database;
  hasher: PasswordHasher;
  throttle: Throttle;
  rules: PasswordRules;
}) {
  const { database, hasher, throttle, rules } = parts;

  async function find(code: string): Promise<{ id: string; username: string }> {
    const user = await findCode(database, code);
    if (user === null) throw wrongCode();
    return user;
  }

  return async (
    { code, next }: Reset,
    ip: string,
    isAwaited: () => boolean,
    trail: Trail = {},
  ): Promise<{ problem: string | null }> => {
    const network = networkOf(ip);
    const attempt = await throttle.takeOfNetwork(ip, trail);
    const problem = await refundUnlessWrong(attempt, async () => {
      const { id, username } = await find(code);
      trail.user = id;
      // Judging takes many times as long as a hash, so no permit is held meanwhile.
      const { passwordMinLength } = rules;
      const refused = await refusePassword(next, { username, passwordMinLength, withinMs: JUDGED_WITHIN_MS });
      if (refused !== null) return refused;
      await hasher.admit(network, async () => {
        assertAwaited(isAwaited);
        const passwordHash = await hasher.hash(next);
        assertAwaited(isAwaited);
        if (!(await useCode(database, code, { id, username, passwordHash }, trail))) throw wrongCode();
      });
      told.end.tell({ ended: 'user', reason: 'password_changed', actor: actorOfUser(id) }, trail);
      throttle.forgetRefusals();
      return null;
    });
    // It is done, or nothing was wrong but the new password: what cannot be written down now must not deny it.
    await attempt.refund().catch(() => undefined);
    return { problem };
  };
}
