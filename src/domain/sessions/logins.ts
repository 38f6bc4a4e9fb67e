/** In with a password, on with a refresh token, out with either token. */
import type { Database } from '../../database/prisma.js';
import { AuthError, Reason } from '../errors.js';
import { networkOf } from '../networks.js';
import { refundUnlessWrong, type Throttle } from '../guessing/throttle.js';
import type { Judge } from '../liveness/liveness.js';
import type { ReplicaState, Versions } from '../liveness/replica-state.js';
import type { PasswordHasher } from '../passwords/hasher.js';
import { mintAccess, mintRefresh, type Session, type TokenRules } from '../tokens/claims.js';
import type { ClaimsOf } from '../tokens/reader.js';
import { authenticate } from '../users/authenticate.js';
import { endSession } from './endings.js';
import { openSession, rotateSession, type Device, type SessionRules } from './sessions.js';

/** What the holder of a session carries; lifetimes in seconds from now. */
export interface TokenPair {
  accessToken: string;
  expiresIn: number;
  refreshToken: string;
  refreshExpiresIn: number;
  sessionId: string;
}

/** Keys would have to change this often within one request before we say that we cannot know. */
const MAX_ATTEMPTS = 5;

const REFUSALS = {
  reused: 'refresh_reused',
  superseded: 'refresh_superseded',
  dead: 'invalid_token',
} as const;

/** The verbs of a session's holder; the facade says what each of them promises. */
export function createLogins(parts: {
  database: Database;
  state: ReplicaState;
  judge: Judge;
  hasher: PasswordHasher;
  throttle: Throttle;
  rules: TokenRules & SessionRules;
}) {
  const { database, state, judge, hasher, throttle, rules } = parts;

  function pairOf(session: Session): TokenPair {
    const { ring } = state.current();
    const access = mintAccess(session, rules);
    const refresh = mintRefresh(session, rules);
    return {
      accessToken: ring.signAccess(access),
      expiresIn: access.exp - Math.floor(session.now),
      refreshToken: ring.signRefresh(refresh),
      refreshExpiresIn: refresh.exp - Math.floor(session.now),
      sessionId: session.id,
    };
  }

  /** Nothing is opened or spent whose tokens could not be signed: a token that was spent for nothing returns as theft. */
  async function assertSigns(): Promise<void> {
    if (state.current().ring.isReadable) return;
    await judge(null); // The keys may have been encrypted anew since they were loaded.
    if (state.current().ring.isReadable) return;
    const cause = new Reason('AUTH_SECRET does not open the signing keys');
    throw new AuthError('temporarily_unavailable', { cause });
  }

  /** Reads a token with keys that were in force when `decide` did its work; `decide` says so by giving a value. */
  async function withToken<T, K extends keyof ClaimsOf>(
    text: string,
    kind: K,
    decide: (claims: ClaimsOf[K], keysVersion: string) => Promise<{ value: T } | { outdated: Versions }>,
  ): Promise<T> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      // A token that cannot be read may be signed by a key that is newer than those that this replica has loaded.
      if (state.current().ring.read(text) === null) await judge(text);
      const { ring } = state.current();
      const token = ring.read(text);
      if (token === null || token.kind !== kind) throw new AuthError('invalid_token');
      const decision = await decide(token.claims as ClaimsOf[K], ring.version);
      if ('value' in decision) return decision.value;
      await state.catchUp(decision.outdated);
    }
    throw new AuthError('temporarily_unavailable', { cause: new Reason('keys keep changing') });
  }

  return {
    assertFree(ip: string): void {
      hasher.assertFree(networkOf(ip));
    },

    async login(
      { username, password }: { username: string; password: string },
      device: Device,
    ): Promise<TokenPair> {
      return await hasher.admit(networkOf(device.ip), async () => {
        await assertSigns();
        const attempt = await throttle.takeAttempt(username, device.ip);
        const opened = await refundUnlessWrong(attempt, async () => {
          const user = await authenticate(database, hasher, username, password);
          return await openSession(database, user, device, rules);
        });
        // The password was right and the session is open: what cannot be written down now must not turn it away.
        await attempt.succeed().catch(() => undefined);
        if (state.current().ring.version !== opened.versions.keysVersion)
          await state.catchUp(opened.versions);
        return pairOf(opened.session);
      });
    },

    async refresh(refreshToken: string): Promise<TokenPair> {
      const rotation = await withToken(refreshToken, 'refresh', async (claims, keysVersion) => {
        await assertSigns();
        const rotation = await rotateSession(database, claims, keysVersion, rules);
        return rotation.verdict === 'outdated' ? { outdated: rotation.seen } : { value: rotation };
      });
      if (rotation.verdict === 'rotated') return pairOf(rotation.session);
      throw new AuthError(REFUSALS[rotation.verdict]);
    },

    async logout(token: string, kind: keyof ClaimsOf): Promise<void> {
      await withToken(token, kind, async ({ sid, sub }, keysVersion) => {
        const ending = { reason: 'logout', actor: 'user' } as const;
        const { seen } = await endSession(database, { sid, sub }, ending, keysVersion);
        return seen.keysVersion === keysVersion ? { value: null } : { outdated: seen };
      });
    },
  };
}
