/** The two tokens of a session, signed for its holder. */
import { AuthError, Reason } from '../errors.js';
import type { Judge } from '../liveness/liveness.js';
import type { ReplicaState } from '../liveness/replica-state.js';
import type { Session, TokenRules } from '../tokens/claims.js';
import { mintAccess, mintRefresh } from '../tokens/minting.js';
import type { Opened } from './sessions.js';

/** What the holder of a session carries; lifetimes in seconds from now. */
export interface TokenPair {
  accessToken: string;
  expiresIn: number;
  refreshToken: string;
  refreshExpiresIn: number;
  sessionId: string;
}

/** An access token without a refresh token beside it; its lifetime in seconds from now. */
export type SingleToken = Pick<TokenPair, 'accessToken' | 'expiresIn' | 'sessionId'>;

export interface Pairs {
  /**
   * Nothing is opened or spent whose tokens could not be signed: a token that was spent for nothing returns as theft.
   *
   * @throws {AuthError} temporarily_unavailable when AUTH_SECRET does not open the signing keys
   */
  assertSigns: () => Promise<void>;
  /** With the keys that this replica has. */
  sign: (session: Session) => TokenPair;
  /** With the keys that were in force when the session was opened or found. */
  signOpened: (opened: Opened) => Promise<TokenPair>;
  /**
   * The same without a refresh token, which is not signed either.
   *
   * @param authTime when the user gave the password last, for this access token and its successors alone
   */
  signSingle: (opened: Opened, authTime?: number) => Promise<SingleToken>;
}

export function createPairs({
  state,
  judge,
  rules,
}: {
  state: ReplicaState;
  judge: Judge;
  rules: TokenRules;
}): Pairs {
  function signAccess(session: Session, authTime?: number): SingleToken {
    const access = mintAccess(session, rules, authTime);
    return {
      accessToken: state.current().ring.signAccess(access),
      expiresIn: access.exp - Math.floor(session.now),
      sessionId: session.id,
    };
  }

  function sign(session: Session): TokenPair {
    const refresh = mintRefresh(session, rules);
    return {
      ...signAccess(session),
      refreshToken: state.current().ring.signRefresh(refresh),
      refreshExpiresIn: refresh.exp - Math.floor(session.now),
    };
  }

  async function loadKeysOf({ versions }: Opened): Promise<void> {
    if (state.current().ring.version !== versions.keysVersion) await state.catchUp(versions);
  }

  return {
    sign,

    assertSigns: async () => {
      if (state.current().ring.isReadable) return;
      await judge(null); // The keys may have been encrypted anew since they were loaded.
      if (state.current().ring.isReadable) return;
      const cause = new Reason('AUTH_SECRET does not open the signing keys');
      throw new AuthError('temporarily_unavailable', { cause });
    },

    signOpened: async (opened) => {
      await loadKeysOf(opened);
      return sign(opened.session);
    },

    signSingle: async (opened, authTime) => {
      await loadKeysOf(opened);
      return signAccess(opened.session, authTime);
    },
  };
}
