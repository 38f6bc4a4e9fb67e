/** A user's own change of password: proved by the current one, it ends all sessions and opens one for the user who asks. */
import type { Database } from '../../database/prisma.js';
import { AuthError, Reason } from '../errors.js';
import { refundUnlessWrong, type Throttle } from '../guessing/throttle.js';
import type { Judgement } from '../liveness/liveness.js';
import { networkOf } from '../networks.js';
import { actorOfUser } from '../sessions/actors.js';
import { endSession } from '../sessions/endings.js';
import type { Pairs, TokenPair } from '../sessions/pairs.js';
import type { Device, Opened, SessionRules } from '../sessions/sessions.js';
import { noteSession, told, type Trail } from '../reports/told.js';
import { accountOf } from '../tokens/subjects.js';
import type { PasswordHasher } from './hasher.js';
import { refusePassword, type PasswordRules } from './policy.js';
import { provePassword } from './proof.js';
import {
  askingOf,
  findAsking,
  findReplacement,
  isReplacedAlone,
  replaceSessions,
  type Asking,
  type Found,
} from './replacement.js';

export interface Passwords {
  current: string;
  next: string;
}

/** The tokens of the new session; or why the new password may not be set, as the end of a sentence. */
export type PasswordChange = { pair: TokenPair } | { problem: string };

/** The hash would have to be replaced this often within one request before we say that we cannot know. */
const MAX_ATTEMPTS = 3;

const ACTS_FOR_ANOTHER = 'This session acts in the place of the user, and cannot change the password.';

/** Shorter than anybody waits for the whole. */
export const JUDGED_WITHIN_MS = 2000;

/** What was found of a user whose password was right. */
type Proved = Found & { passwordHash: string };

/** The verb that changes a password; the facade says what it promises. */
export function createPasswordChange(parts: {
  database: Database;
  hasher: PasswordHasher;
  throttle: Throttle;
  pairs: Pairs;
  rules: SessionRules & PasswordRules;
}) {
  const { database, hasher, throttle, pairs, rules } = parts;

  /** What the token may ask for, once the password that this takes was compared: the current one, or the one just set. */
  async function prove(asked: Asking, { current, next }: Passwords): Promise<Proved> {
    const found = await findAsking(database, asked, rules);
    if (found === null) throw new AuthError('invalid_token');
    const { passwordHash, isReplaced } = found;
    const [typed, detail] = isReplaced
      ? [next, 'The password was changed a moment ago, and not to this one.']
      : [current, 'The current password is wrong.'];
    return { passwordHash: await provePassword(hasher, passwordHash, typed, detail), isReplaced };
  }

  async function replace(
    asked: Asking,
    passwords: Passwords,
    device: Device,
    { proved, isAwaited, trail }: { proved: Proved; isAwaited: () => boolean; trail: Trail | undefined },
  ): Promise<Opened> {
    let found = proved;
    let fresh: string | undefined;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      if (found.isReplaced) {
        const opened = await findReplacement(database, asked, rules);
        if (opened === null) throw new AuthError('invalid_token');
        return opened;
      }
      assertAwaited(isAwaited);
      fresh ??= await hasher.hash(passwords.next);
      assertAwaited(isAwaited);
      const hashes = { verified: found.passwordHash, fresh };
      const opened = await replaceSessions(database, asked, hashes, device, rules, trail);
      if (opened !== null) {
        if (!(await isReplacedAlone(database, asked))) {
          const ending = { reason: 'password_changed', actor: actorOfUser(asked.userId) } as const;
          const itself = { sid: opened.session.id, userId: asked.userId };
          await endSession(database, itself, ending, null, { origin: trail?.origin });
          throw new AuthError('invalid_token');
        }
        told.end.tell({ ended: 'user', reason: 'password_changed', actor: actorOfUser(asked.userId) }, trail);
        return opened;
      }
      // The session has ended, or another change was first, perhaps this very one in another request, or a login has hashed
      // the same password anew: the rows tell.
      found = await prove(asked, passwords);
    }
    throw new AuthError('temporarily_unavailable', { cause: new Reason('the password keeps changing') });
  }

  return async (
    { live, token }: Pick<Judgement, 'live' | 'token'>,
    passwords: Passwords,
    device: Device,
    isAwaited: () => boolean,
    trail?: Trail,
  ): Promise<PasswordChange> => {
    if (token?.kind !== 'access') throw new AuthError('invalid_token');
    // A program or a person that acts in the user's place was not given the password.
    if (token.claims.act !== undefined)
      throw new AuthError('insufficient_scope', { detail: ACTS_FOR_ANOTHER });
    const asked = askingOf(token);
    const account = accountOf(token.claims);
    // Of dead tokens only one can be of use: that of a session which has just been replaced. The others cost nobody an attempt.
    if (live === null && (await findAsking(database, asked, rules))?.isReplaced !== true)
      throw new AuthError('invalid_token');
    await pairs.assertSigns();
    const network = networkOf(device.ip);
    const { attempt, proved } = await hasher.admit(network, async () => {
      const taken = await throttle.takeAttempt(account, device.ip);
      return {
        attempt: taken,
        proved: await refundUnlessWrong(taken, () => prove(asked, passwords)),
      };
    });
    const done = await refundUnlessWrong(attempt, async () => {
      // Judging takes many times as long as a hash, so no permit is held meanwhile.
      const { passwordMinLength } = rules;
      const rule = { username: account, passwordMinLength, withinMs: JUDGED_WITHIN_MS };
      const problem = proved.isReplaced ? null : await refusePassword(passwords.next, rule);
      if (problem !== null) return { problem };
      return await hasher.admit(network, () =>
        replace(asked, passwords, device, { proved, isAwaited, trail }),
      );
    });
    if ('problem' in done) {
      await attempt.refund();
      return done;
    }
    noteSession(trail, done.session.userId, done.session.id);
    // It is done: what cannot be written down now must not deny it.
    await attempt.succeed().catch(() => undefined);
    return { pair: await pairs.signOpened(done) };
  };
}

/** A user who was told that it failed may have logged in with the old password since, which a late change would end. */
export function assertAwaited(isAwaited: () => boolean): void {
  if (!isAwaited())
    throw new AuthError('temporarily_unavailable', {
      cause: new Reason('a password took too long', 'deadline'),
    });
}
