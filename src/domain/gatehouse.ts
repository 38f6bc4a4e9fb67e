/** Every verb of the domain on one page, and what one replica's domain is made of. */
import type { Database } from '../database/prisma.js';
import type { Client, ClientCredentials } from './clients.js';
import { createBackends, type Backends } from './backends/backends.js';
import { claimCluster } from './service/cluster.js';
import { AuthError, WrongSecret } from './errors.js';
import { createFailedLogins } from './events/failed-logins.js';
import { createThrottle } from './guessing/throttle.js';
import { type JwtAlgorithm } from './keys/keys.js';
import { createFirstKey } from './keys/lifecycle.js';
import { loadRing, type CreateTokenCodec, type PublicJwk } from './keys/ring.js';
import { judgeAloud, tellSuccessor } from './liveness/aloud.js';
import { loadClients } from './liveness/client-list.js';
import { createJudges, findSuccessor, type Judgement, type Successor } from './liveness/liveness.js';
import { createOperators, type Operators } from './operators/operators.js';
import { createReplicaState } from './liveness/replica-state.js';
import { shareWork } from './liveness/shared.js';
import { createPasswordChange, type PasswordChange, type Passwords } from './passwords/change.js';
import { createPasswordReset, type Reset } from './passwords/reset.js';
import type { PasswordHasher } from './passwords/hasher.js';
import { createReauthentication } from './passwords/reauthentication.js';
import type { PasswordRules } from './passwords/policy.js';
import { findReadiness, type Readiness } from './service/readiness.js';
import { actorOfClient, actorOfUser } from './sessions/actors.js';
import { endAllSessions, endSession, type Ended } from './sessions/endings.js';
import { createLogins, type Login } from './sessions/logins.js';
import { createPairs, type SingleToken, type TokenPair } from './sessions/pairs.js';
import { revokeToken } from './sessions/revocations.js';
import { listSessions, type ListedSession } from './sessions/listed.js';
import type { Device, SessionRules } from './sessions/sessions.js';
import { noteSession, type Trail } from './reports/told.js';
import type { Asked } from './tokens/asked.js';
import { isUuid, type TokenRules } from './tokens/claims.js';
import type { AccessToken, ClaimsOf, ReadToken } from './tokens/reader.js';

/**
 * What may be asked of the domain. Verbs that open, rotate or end something take the trail of the request last: there they note
 * whom it was about and what came of it, for the log. A verb that says no more than a type says rejects with {@link DatabaseUnavailable} when the
 * primary cannot be asked: then nobody knows the answer, nor whether anything has changed.
 */
export interface Gatehouse {
  readonly rules: TokenRules & SessionRules & PasswordRules;

  /**
   * Whether a login from this address would be let in now, before it has been read.
   *
   * @throws {AuthError} temporarily_unavailable
   */
  assertFree: (ip: string) => void;

  /**
   * Opens a session for a user name and a password; it never lives longer than the rules say.
   *
   * @throws {AuthError} too_many_requests, invalid_credentials, too_many_sessions, temporarily_unavailable
   */
  login: (login: Login, device: Device, trail?: Trail) => Promise<TokenPair>;

  /**
   * The successor of a refresh token; the same again for a parallel call, a lost answer or a retry. After a
   * {@link DatabaseUnavailable} the same token works when the database is back. If it was rotated after all, it works as long
   * as the replay window.
   *
   * @throws {AuthError} invalid_token, refresh_superseded, refresh_reused (the session has been ended)
   */
  refresh: (refreshToken: string, trail?: Trail) => Promise<TokenPair>;

  /**
   * Ends the token's session, also when it had ended or the token had expired.
   *
   * @throws {AuthError} invalid_token for a token that we could not have issued as this kind
   */
  logout: (token: string, kind: keyof ClaimsOf, trail?: Trail) => Promise<void>;

  /**
   * Ends all sessions of the user whose live access token asks for it, or all but the asking one.
   *
   * @returns how many sessions ended, counted up to a thousand
   * @throws {AuthError} invalid_token when the asking session has ended meanwhile
   */
  logoutAll: (asked: Asked, options: { exceptCurrent: boolean }, trail?: Trail) => Promise<Ended>;

  /**
   * Whether a token is live, and who the client is that asks, if it has credentials; both decided in one statement.
   *
   * @throws {AuthError} temporarily_unavailable when keys or clients keep changing
   */
  judge: (token: string | null, credentials?: ClientCredentials) => Promise<Judgement>;

  /** The same about up to 256 tokens, in their order; all is decided in one statement, and others have turns in between. */
  judgeMany: (tokens: readonly string[], credentials: ClientCredentials) => Promise<Judgement[]>;

  /** The client with these credentials, as far as this replica has heard. Nobody is asked: only `judge` says who asks. */
  findKnownClient: (credentials: ClientCredentials) => Client | null;

  /** Hears of the clients that have been added by now; once a second at most, for all who ask. */
  hearOfClients: () => Promise<void>;

  /** The token that takes the place of a judged one which is near its end, or in its grace; null when none is due. */
  findSuccessor: (judgement: Judgement) => Successor | null;

  /** Revokes a token for a client: of an access token its lineage, of a refresh token the session; of null nothing. */
  revoke: (token: ReadToken | null, client: Client, trail?: Trail) => Promise<void>;

  /** The sessions of a user that stand, latest opened first: at most a thousand, the asking one always among them. */
  listSessions: (asked: Asked) => Promise<ListedSession[]>;

  /**
   * Ends one session of the user who asks, if it has not ended yet.
   *
   * @returns whether the user has such a session, ended or not
   */
  endSession: (asked: Asked, sid: string, trail?: Trail) => Promise<boolean>;

  /**
   * Sets a new password, ends all sessions of the user, the asking one included, and opens one for the user who asks. A
   * repetition within the replay window, with a token of the session that the change has ended and the same new password,
   * gets the tokens of the same new session: it decides itself whether such a token, which is dead, is let in.
   *
   * @param judgement of the access token that asks
   * @param isAwaited whether nobody has been answered yet: afterwards nothing is changed
   * @returns the tokens of the new session; otherwise why the new password may not be set
   * @throws {AuthError} too_many_requests, invalid_credentials (the current password is wrong), invalid_token (the token is
   * not live, or the session has ended meanwhile), temporarily_unavailable
   */
  changePassword: (
    judgement: Pick<Judgement, 'live' | 'token'>,
    passwords: Passwords,
    device: Device,
    isAwaited: () => boolean,
    trail?: Trail,
  ) => Promise<PasswordChange>;

  /**
   * The user behind a live access token gives the password once more.
   *
   * @returns an access token of a new lineage of the same session, whose `auth_time` is now; `/refresh` goes on with that of the opening
   * @throws {AuthError} too_many_requests, invalid_credentials, invalid_token (the session has ended meanwhile),
   * temporarily_unavailable
   */
  reauthenticate: (token: AccessToken, password: string, device: Device) => Promise<SingleToken>;

  /**
   * Sets a password with a code, ends all sessions of the user, and unlocks the account. It works once.
   *
   * @param isAwaited whether nobody has been answered yet: afterwards nothing is changed
   * @returns null; otherwise why the new password may not be set, and then the code can be used again
   * @throws {AuthError} too_many_requests, invalid_credentials (one answer for every kind of wrong), temporarily_unavailable
   */
  resetPassword: (
    reset: Reset,
    ip: string,
    isAwaited: () => boolean,
    trail?: Trail,
  ) => Promise<{ problem: string | null }>;

  /** What backends may ask for, whose users are not made here. */
  backends: Backends;

  /** What operators may ask for. */
  operators: Operators;

  /** The public keys of all tokens that may be alive (RFC 7517). */
  jwks: () => Promise<{ keys: PublicJwk[] }>;

  /** Whether this replica can answer truthfully, and what an operator wants to know beside it. */
  findReadiness: () => Promise<Readiness>;
}

export interface GatehouseOptions {
  database: Database;
  /** Connections for liveness, keys and clients alone, which no login or commit can hold; by default those of `database`. */
  reader?: Database;
  hasher: PasswordHasher;
  createCodec: CreateTokenCodec;
  rules: TokenRules & SessionRules & PasswordRules;
  jwtAlgorithm: JwtAlgorithm;
  /** AUTH_SECRET, then AUTH_SECRET_PREVIOUS if there is one. */
  secrets: readonly [string, ...string[]];
}

/** How often a replica asks for clients that were added, for those whose credentials it does not know. */
const HEARD_EVERY_MS = 1000;

/**
 * Makes the first signing key if there is none, and loads keys and clients.
 *
 * @throws {WrongSecret}
 * @throws {DatabaseUnavailable}
 */
export async function createGatehouse(options: GatehouseOptions): Promise<Gatehouse> {
  const { database, reader = database, hasher, createCodec, rules, jwtAlgorithm, secrets } = options;
  await createFirstKey(database, jwtAlgorithm, secrets[0]);
  await claimCluster(database);
  const state = await createReplicaState({
    ring: () => loadRing(reader, secrets, rules, createCodec),
    clients: () => loadClients(reader),
  });
  if (!state.current().ring.isReadable) throw new WrongSecret('AUTH_SECRET does not open the signing keys');
  const { judge, judgeMany } = createJudges(reader, state);
  const throttle = createThrottle(database);
  const tellFailure = createFailedLogins(database, secrets[0]);
  const pairs = createPairs({ state, judge, rules });

  return {
    rules,
    ...judgeAloud({ judge, judgeMany }),
    hearOfClients: shareWork(HEARD_EVERY_MS, () => judge(null)),
    findKnownClient: (credentials) => state.current().clients.authenticate(credentials),
    ...createLogins({ database, state, judge, hasher, throttle, pairs, rules, tellFailure }),
    changePassword: createPasswordChange({ database, hasher, throttle, pairs, rules }),
    reauthenticate: createReauthentication({ database, hasher, throttle, pairs, rules }),
    resetPassword: createPasswordReset({ database, hasher, throttle, rules }),
    findSuccessor: (judgement) => tellSuccessor(findSuccessor(judgement, rules)),

    logoutAll: async (asked, which, trail) => {
      const ended = await endAllSessions(database, asked, which, trail);
      if (ended === null) throw new AuthError('invalid_token');
      return ended;
    },

    revoke: async (token, client, trail) => {
      const ending = { reason: 'revoked', actor: actorOfClient(client) } as const;
      if (token?.kind === 'access') await revokeToken(database, token, ending, trail);
      if (token?.kind === 'refresh') await endSession(database, token.question, ending, null, trail);
    },

    listSessions: ({ userId, sid }) => listSessions(database, userId, sid),

    endSession: async ({ userId }, sid, trail) => {
      if (!isUuid(sid)) return false;
      const ending = { reason: 'session_ended', actor: actorOfUser(userId) } as const;
      const { isKnown } = await endSession(database, { sid, userId }, ending, null, trail);
      if (isKnown) noteSession(trail, userId, sid);
      return isKnown;
    },

    backends: createBackends({ database, pairs, rules }),

    operators: createOperators({
      database,
      judge,
      hasher,
      throttle,
      rules,
      keyRules: { algorithm: jwtAlgorithm, secrets },
    }),

    // Asked with no token, the primary still tells whether a key came or went.
    jwks: async () => (await judge(null)).snapshot.ring.jwks,
    findReadiness: () =>
      findReadiness({ database, reader }, async () => (await judge(null)).snapshot.ring.isReadable),
  };
}
