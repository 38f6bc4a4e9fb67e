/** In with a password, on with a refresh token, out with either token. */
import type { Database } from '../../database/prisma.js';
import { AuthError, Reason } from '../errors.js';
import type { Liveness } from '../liveness/liveness.js';
import type { ReplicaMemory, Versions } from '../liveness/replica-state.js';
import type { PasswordHasher } from '../passwords/hasher.js';
import type { ClaimsOf } from '../tokens/reader.js';
import { endSession } from './endings.js';
import { networkOf } from '../guessing/networks.js';
import { openSession, rotateSession, type Device, type SessionRules } from './sessions.js';
import { mintAccess, mintRefresh, type Session, type TokenRules } from '../tokens/claims.js';
import { sparing, type Throttle } from '../guessing/throttle.js';
import { authenticate } from '../users/users.js';

/** What the holder of a session carries; lifetimes in seconds from now. */
export interface TokenPair {
  accessToken: string;
  expiresIn: number;
  refreshToken: string;
  refreshExpiresIn: number;
  sessionId: string;
}

export interface Logins {
  /**
   * Whether a login from this address would be let in now, before it has been read.
   *
   * @throws {AuthError} temporarily_unavailable
   */
  assertFree: (ip: string) => void;
  /**
   * @throws {AuthError} too_many_requests, invalid_credentials, temporarily_unavailable
   * @throws {DatabaseUnavailable}
   */
  login: (credentials: { username: string; password: string }, device: Device) => Promise<TokenPair>;
  /**
   * The successor of a refresh token; the same again for a parallel call, a lost answer or a retry.
   *
   * @throws {AuthError} invalid_token, refresh_superseded, refresh_reused (the session has been ended)
   * @throws {DatabaseUnavailable} the same token works when the database is back, as long as the replay window if it was
   * rotated after all
   */
  refresh: (refreshToken: string) => Promise<TokenPair>;
  /**
   * Ends the token's session, whether or not it had ended or the token had expired.
   *
   * @throws {AuthError} invalid_token for a token that we could not have issued as this kind
   * @throws {DatabaseUnavailable} the end may not be durable: call again
   */
  logout: (token: string, kind: keyof ClaimsOf) => Promise<void>;
}

/** Keys would have to change this often within one request before we say that we cannot know. */
const MAX_ATTEMPTS = 5;

const REFUSALS = {
  reused: 'refresh_reused',
  superseded: 'refresh_superseded',
  dead: 'invalid_token',
} as const;

export function createLogins(options: {
  database: Database;
  memory: ReplicaMemory;
  liveness: Liveness;
  hasher: PasswordHasher;
  throttle: Throttle;
  rules: TokenRules & SessionRules;
}): Logins {
  const { database, memory, liveness, hasher, throttle, rules } = options;

  function pairOf(session: Session): TokenPair {
    const { ring } = memory.recall();
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
    if (memory.recall().ring.isReadable) return;
    await liveness.judge(null); // The keys may have been encrypted anew since they were loaded.
    if (memory.recall().ring.isReadable) return;
    const cause = new Reason('AUTH_SECRET does not open the signing keys');
    throw new AuthError('temporarily_unavailable', { cause });
  }

  async function prove(username: string, password: string, device: Device): Promise<Session & Versions> {
    const user = await authenticate(database, hasher, username, password);
    const opened = await openSession(database, user, device, rules);
    if (opened === null) throw new AuthError('invalid_credentials');
    return opened;
  }

  async function logIn(
    { username, password }: { username: string; password: string },
    device: Device,
  ): Promise<TokenPair> {
    await assertSigns();
    const attempt = await throttle.takeAttempt(username, device.ip);
    const opened = await sparing(attempt, prove(username, password, device));
    // The password was right and the session is open: what cannot be written down now must not turn it away.
    await attempt.succeed().catch(() => undefined);
    const { keysVersion, clientsVersion, ...session } = opened;
    if (memory.recall().ring.version !== keysVersion) await memory.catchUp({ keysVersion, clientsVersion });
    return pairOf(session);
  }

  /** Reads a token with keys that were in force when `decide` did its work; `decide` says so by giving a value. */
  async function withToken<T, K extends keyof ClaimsOf>(
    text: string,
    kind: K,
    decide: (claims: ClaimsOf[K], keysVersion: string) => Promise<{ value: T } | { outdated: Versions }>,
  ): Promise<T> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      // A token that cannot be read may be signed by a key that is newer than what we remember.
      if (memory.recall().ring.read(text) === null) await liveness.judge(text);
      const { ring } = memory.recall();
      const token = ring.read(text);
      if (token === null || token.kind !== kind) throw new AuthError('invalid_token');
      const decision = await decide(token.claims as ClaimsOf[K], ring.version);
      if ('value' in decision) return decision.value;
      await memory.catchUp(decision.outdated);
    }
    throw new AuthError('temporarily_unavailable', { cause: new Reason('keys keep changing') });
  }

  return {
    assertFree: (ip) => hasher.assertFree(networkOf(ip)),

    login: (credentials, device) => hasher.admit(networkOf(device.ip), () => logIn(credentials, device)),

    refresh: async (refreshToken) => {
      const rotation = await withToken(refreshToken, 'refresh', async (claims, keysVersion) => {
        await assertSigns();
        const rotation = await rotateSession(database, claims, keysVersion, rules);
        return rotation.verdict === 'outdated' ? { outdated: rotation.seen } : { value: rotation };
      });
      if (rotation.verdict === 'rotated') return pairOf(rotation.session);
      throw new AuthError(REFUSALS[rotation.verdict]);
    },

    logout: async (token, kind) => {
      await withToken(token, kind, async ({ sid, sub }, keysVersion) => {
        const { seen } = await endSession(
          database,
          { sid, sub },
          { reason: 'logout', actor: 'user' },
          keysVersion,
        );
        return seen.keysVersion === keysVersion ? { value: null } : { outdated: seen };
      });
    },
  };
}
