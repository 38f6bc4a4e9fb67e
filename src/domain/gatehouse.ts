/** Every verb of the domain on one page, and what one replica's domain is made of. */
import type { Database } from '../database/prisma.js';
import { loadClients, type Client, type ClientCredentials } from './clients.js';
import { AuthError, WrongSecret } from './errors.js';
import { createThrottle } from './guessing/throttle.js';
import { type JwtAlgorithm } from './keys/keys.js';
import { createFirstKey } from './keys/lifecycle.js';
import { loadRing, type CreateTokenCodec, type PublicJwk } from './keys/ring.js';
import { createJudge, findSuccessor, type Judgement, type Successor } from './liveness/liveness.js';
import { createReplicaState } from './liveness/replica-state.js';
import { createPasswordChange } from './passwords/change.js';
import type { PasswordHasher } from './passwords/hasher.js';
import { endAllSessions, endSession } from './sessions/endings.js';
import { createLogins, type TokenPair } from './sessions/logins.js';
import { revokeToken } from './sessions/revocations.js';
import { listSessions, type ListedSession } from './sessions/listed.js';
import type { Device, SessionRules } from './sessions/sessions.js';
import { isUuid, type AccessClaims, type TokenRules } from './tokens/claims.js';
import type { ClaimsOf, ReadToken } from './tokens/reader.js';

/**
 * What may be asked of the domain. A verb that says no more than a type says rejects with {@link DatabaseUnavailable} when the
 * primary cannot be asked: then nobody knows the answer, nor whether anything has changed.
 */
export interface Gatehouse {
  readonly rules: TokenRules & SessionRules;

  /**
   * Whether a login from this address would be let in now, before it has been read.
   *
   * @throws {AuthError} temporarily_unavailable
   */
  assertFree: (ip: string) => void;

  /**
   * Opens a session for a user name and a password.
   *
   * @throws {AuthError} too_many_requests, invalid_credentials, temporarily_unavailable
   */
  login: (credentials: { username: string; password: string }, device: Device) => Promise<TokenPair>;

  /**
   * The successor of a refresh token; the same again for a parallel call, a lost answer or a retry. After a
   * {@link DatabaseUnavailable} the same token works when the database is back. If it was rotated after all, it works as long
   * as the replay window.
   *
   * @throws {AuthError} invalid_token, refresh_superseded, refresh_reused (the session has been ended)
   */
  refresh: (refreshToken: string) => Promise<TokenPair>;

  /**
   * Ends the token's session, also when it had ended or the token had expired.
   *
   * @throws {AuthError} invalid_token for a token that we could not have issued as this kind
   */
  logout: (token: string, kind: keyof ClaimsOf) => Promise<void>;

  /**
   * Ends all sessions of the user whose live access token asks for it, or all but the asking one.
   *
   * @returns how many sessions ended
   * @throws {AuthError} invalid_token when the asking session has ended meanwhile
   */
  logoutAll: (
    claims: Pick<AccessClaims, 'sub' | 'sid' | 'jti' | 'ver'>,
    options: { exceptCurrent: boolean },
  ) => Promise<number>;

  /**
   * Whether a token is live, and who the client is that asks, if it has credentials; both decided in one statement.
   *
   * @throws {AuthError} temporarily_unavailable when keys or clients keep changing
   */
  judge: (token: string | null, credentials?: ClientCredentials) => Promise<Judgement>;

  /** The token that takes the place of a judged one which is near its end, or in its grace; null when none is due. */
  findSuccessor: (judgement: Judgement) => Successor | null;

  /** Revokes a token for a client: of an access token its lineage, of a refresh token the session; of null nothing. */
  revoke: (token: ReadToken | null, client: Client) => Promise<void>;

  /** The sessions of a user that stand, latest opened first. */
  listSessions: (claims: Pick<AccessClaims, 'sub'>) => Promise<ListedSession[]>;

  /**
   * Ends one session of the user who asks, if it has not ended yet.
   *
   * @returns whether the user has such a session, ended or not
   */
  endSession: (claims: Pick<AccessClaims, 'sub'>, sid: string) => Promise<boolean>;

  /**
   * Sets a new password, and ends all sessions of the user but the asking one.
   *
   * @param claims of the live access token that asks
   * @param isAwaited whether nobody has been answered yet: afterwards nothing is changed
   * @returns null when it is done; otherwise why the new password may not be set, as the end of a sentence
   * @throws {AuthError} too_many_requests, invalid_credentials (the current password is wrong), invalid_token (the session
   * has ended meanwhile), temporarily_unavailable
   */
  changePassword: (
    claims: Pick<AccessClaims, 'sub' | 'sid' | 'jti' | 'username' | 'ver'>,
    passwords: { current: string; next: string },
    ip: string,
    isAwaited: () => boolean,
  ) => Promise<string | null>;

  /** The public keys of all tokens that may be alive (RFC 7517). */
  jwks: () => Promise<{ keys: PublicJwk[] }>;

  /** Whether AUTH_SECRET opens the signing keys that are in force now: if not, this replica can read but not sign. */
  canSign: () => Promise<boolean>;
}

export interface GatehouseOptions {
  database: Database;
  /** Connections for liveness, keys and clients alone, which no login or commit can hold; by default those of `database`. */
  reader?: Database;
  hasher: PasswordHasher;
  createCodec: CreateTokenCodec;
  rules: TokenRules & SessionRules;
  jwtAlgorithm: JwtAlgorithm;
  /** AUTH_SECRET, then AUTH_SECRET_PREVIOUS if there is one. */
  secrets: readonly [string, ...string[]];
}

/**
 * Makes the first signing key if there is none, and loads keys and clients.
 *
 * @throws {WrongSecret}
 * @throws {DatabaseUnavailable}
 */
export async function createGatehouse(options: GatehouseOptions): Promise<Gatehouse> {
  const { database, reader = database, hasher, createCodec, rules, jwtAlgorithm, secrets } = options;
  await createFirstKey(database, jwtAlgorithm, secrets[0]);
  const state = await createReplicaState({
    ring: () => loadRing(reader, secrets, rules, createCodec),
    clients: () => loadClients(reader),
  });
  if (!state.current().ring.isReadable) throw new WrongSecret('AUTH_SECRET does not open the signing keys');
  const judge = createJudge(reader, state);
  const throttle = createThrottle(database);

  return {
    rules,
    judge,
    ...createLogins({ database, state, judge, hasher, throttle, rules }),
    changePassword: createPasswordChange({ database, hasher, throttle }),
    findSuccessor: (judgement) => findSuccessor(judgement, rules),

    logoutAll: async (claims, which) => {
      const ended = await endAllSessions(database, claims, which);
      if (ended === null) throw new AuthError('invalid_token');
      return ended;
    },

    revoke: async (token, client) => {
      const ending = { reason: 'revoked', actor: `client:${client.id}` } as const;
      if (token?.kind === 'access') await revokeToken(database, token.claims, ending);
      if (token?.kind === 'refresh') await endSession(database, token.claims, ending, null);
    },

    listSessions: ({ sub }) => listSessions(database, sub),

    endSession: async ({ sub }, sid) => {
      if (!isUuid(sid)) return false;
      const ending = { reason: 'session_ended', actor: 'user' } as const;
      return (await endSession(database, { sid, sub }, ending, null)).isKnown;
    },

    // Asked with no token, the primary still tells whether a key came or went.
    jwks: async () => (await judge(null)).snapshot.ring.jwks,
    canSign: async () => (await judge(null)).snapshot.ring.isReadable,
  };
}
