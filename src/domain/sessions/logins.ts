/** In with a password, on with a refresh token, out with either token. */
import type { Database } from '../../database/prisma.js';
import { AuthError, Reason } from '../errors.js';
import type { createFailedLogins } from '../events/failed-logins.js';
import { networkOf } from '../networks.js';
import { refundUnlessWrong, type Throttle } from '../guessing/throttle.js';
import type { Judge } from '../liveness/liveness.js';
import type { ReplicaState, Versions } from '../liveness/replica-state.js';
import type { PasswordHasher } from '../passwords/hasher.js';
import { noteSession, told, type Trail } from '../reports/told.js';
import type { ClaimsOf, ReadToken } from '../tokens/reader.js';
import { authenticate } from '../users/authenticate.js';
import { actorOfUser, GATEHOUSE } from './actors.js';
import { endSession } from './endings.js';
import type { Pairs, TokenPair } from './pairs.js';
import { openSession, rotateSession, type Device, type SessionRules } from './sessions.js';

/** Keys would have to change this often within one request before we say that we cannot know. */
const MAX_ATTEMPTS = 5;

const REFUSALS = {
  reused: 'refresh_reused',
  superseded: 'refresh_superseded',
  dead: 'invalid_token',
} as const;

export interface Login {
  username: string;
  password: string;
  /** How long the session lives, where less is asked for than the rules give. */
  sessionTtlSeconds?: number | undefined;
}

/** The verbs of a session's holder; the facade says what each of them promises. */
export function createLogins(parts: {
  database: Database;
  state: ReplicaState;
  judge: Judge;
  hasher: PasswordHasher;
  throttle: Throttle;
  pairs: Pairs;
  rules: SessionRules;
  tellFailure: ReturnType<typeof createFailedLogins>;
}) {
  const { database, state, judge, hasher, throttle, pairs, rules, tellFailure } = parts;

  /** Reads a token with keys that were in force when `decide` did its work; `decide` says so by giving a value. */
  async function withToken<T, K extends keyof ClaimsOf>(
    { text, kind, trail }: { text: string; kind: K; trail: Trail | undefined },
    decide: (
      token: Extract<ReadToken, { kind: K }>,
      keysVersion: string,
    ) => Promise<{ value: T } | { outdated: Versions }>,
  ): Promise<T> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      // A token that cannot be read may be signed by a key that is newer than those that this replica has loaded.
      if (state.current().ring.read(text) === null) await judge(text);
      const { ring } = state.current();
      const token = ring.read(text);
      if (token === null || token.kind !== kind) throw new AuthError('invalid_token');
      noteSession(trail, token.question.userId, token.question.sid);
      const decision = await decide(token as Extract<ReadToken, { kind: K }>, ring.version);
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
      { username, password, sessionTtlSeconds = rules.sessionTtlSeconds }: Login,
      device: Device,
      trail: Trail = {},
    ): Promise<TokenPair> {
      return await hasher.admit(networkOf(device.ip), async () => {
        await pairs.assertSigns();
        const attempt = await throttle.takeAttempt(username, device.ip, trail);
        const opened = await refundUnlessWrong(attempt, async () => {
          const user = await authenticate(database, hasher, username, password, trail);
          const ttl = Math.min(sessionTtlSeconds, rules.sessionTtlSeconds);
          return await openSession(database, user, device, { ...rules, sessionTtlSeconds: ttl }, trail);
        }).catch(async (error: unknown) => {
          await tellFailure(error, username, trail);
          throw error;
        });
        noteSession(trail, opened.session.userId, opened.session.id);
        // The password was right and the session is open: what cannot be written down now must not turn it away.
        await attempt.succeed().catch(() => undefined);
        return await pairs.signOpened(opened);
      });
    },

    async refresh(refreshToken: string, trail?: Trail): Promise<TokenPair> {
      const read = { text: refreshToken, kind: 'refresh', trail } as const;
      const rotation = await withToken(read, async (token, keysVersion) => {
        await pairs.assertSigns();
        const rotation = await rotateSession(database, token, keysVersion, rules, trail);
        return rotation.verdict === 'outdated' ? { outdated: rotation.seen } : { value: rotation };
      }).catch((error: unknown) => {
        // Nothing that this service could have issued as a refresh token.
        if (error instanceof AuthError && error.code === 'invalid_token')
          told.refresh.tell({ verdict: 'dead' }, trail);
        throw error;
      });
      if (rotation.verdict === 'rotated') {
        told.refresh.tell({ verdict: rotation.isReplay ? 'replayed' : 'rotated' }, trail);
        return pairs.sign(rotation.session);
      }
      // Its client may be an honest one, whose first attempt fell into the outage: told that it was superseded, it would take
      // its own token for spent.
      if (rotation.verdict === 'undecided')
        throw new AuthError('temporarily_unavailable', { cause: new Reason('an outage has just ended') });
      told.refresh.tell({ verdict: rotation.verdict }, trail);
      if (rotation.verdict === 'reused')
        told.end.tell({ ended: 'session', reason: 'refresh_reused', actor: GATEHOUSE }, trail);
      throw new AuthError(REFUSALS[rotation.verdict]);
    },

    async logout(text: string, kind: keyof ClaimsOf, trail?: Trail): Promise<void> {
      await withToken({ text, kind, trail }, async ({ question }, keysVersion) => {
        const ending = { reason: 'logout', actor: actorOfUser(question.userId) } as const;
        const { seen } = await endSession(database, question, ending, keysVersion, trail);
        return seen.keysVersion === keysVersion ? { value: null } : { outdated: seen };
      });
    },
  };
}
