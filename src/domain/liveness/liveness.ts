/** Which access tokens are live, and what a token near its end is reissued as: decided here, and nowhere else. */
import { MAX_TOKEN_CHARACTERS } from '@gatehouse/protocol';

import type { Database } from '../../database/prisma.js';
import type { Client, ClientCredentials } from '../clients.js';
import { AuthError, Reason } from '../errors.js';
import { mayKnow, type TokenRules } from '../tokens/claims.js';
import type { AccessToken, ReadToken } from '../tokens/reader.js';
import { isExpired, reissue } from '../tokens/successor.js';
import { mapInPortions } from '../scheduling/portions.js';
import { createQuestions, type AskTogether } from './questions.js';
import { isCurrent, type ReplicaState, type Snapshot } from './replica-state.js';

/** A token as the primary knows it at the time of the request. */
export interface Judgement {
  /** The token, if it is an access token that may be let in now; null otherwise. */
  live: AccessToken | null;
  /** What was read, live or not; null for a text that we have not issued, or not under a key that still counts, or not for the client. */
  token: ReadToken | null;
  /** Who asked, where credentials were given; null when they are wrong. */
  client: Client | null;
  /** Whether nothing has ended the token. It may have expired: then it may still earn its successor, and nothing else. */
  stands: boolean;
  /** The primary's time, seconds since 1970. */
  now: number;
  /** The keys and clients that were used, confirmed by the same statement. */
  snapshot: Snapshot;
}

/** A token that takes the place of another. */
export interface Successor {
  token: string;
  expiresInSeconds: number;
}

export interface Judges {
  /** Reads a token, and a client's credentials if there are any, and asks the primary about both. */
  judge: (token: string | null, credentials?: ClientCredentials) => Promise<Judgement>;
  /** The same for many tokens, at most {@link MOST_JUDGED_TOGETHER}, in their order: one statement decides about all. */
  judgeMany: (tokens: readonly string[], credentials: ClientCredentials) => Promise<Judgement[]>;
}

export type Judge = Judges['judge'];

/** As many tokens as one request may ask about. A batch is never split: a statement must hold them. */
export const MOST_JUDGED_TOGETHER = 256;

/** Keys or clients would have to change this often within one request before we say that we cannot know. */
const MAX_ATTEMPTS = 5;

export function createJudges(database: Database, state: ReplicaState): Judges {
  const { ask, askMany } = createQuestions(database);

  async function judgeTogether(
    texts: readonly (string | null)[],
    credentials: ClientCredentials | undefined,
    askTogether: AskTogether,
  ): Promise<Judgement[]> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const snapshot = state.current();
      const client = credentials === undefined ? null : snapshot.clients.authenticate(credentials);
      const tokens = await mapInPortions(texts, (text) => read(text, snapshot, client));
      const answers = await askTogether(tokens.map((token) => token?.question ?? null));
      if (isCurrent(snapshot, answers)) {
        const { now } = answers;
        return tokens.map((token, place) => {
          const stands = answers.stands[place] === true;
          return { live: findLive(token, stands, now), token, client, stands, now, snapshot };
        });
      }
      await state.catchUp(answers);
    }
    throw new AuthError('temporarily_unavailable', { cause: new Reason('keys or clients keep changing') });
  }

  return {
    judge: async (text, credentials) => {
      const [judgement] = (await judgeTogether([text], credentials, ask)) as [Judgement];
      return judgement;
    },
    judgeMany: (texts, credentials) => judgeTogether(texts, credentials, askMany),
  };
}

/** Of a token that is not for the client that asks, nothing is known to it, neither that it is live nor its successor. */
function read(text: string | null, { ring }: Snapshot, client: Client | null): ReadToken | null {
  const token = text === null ? null : ring.read(text);
  return token === null || mayKnow(client?.audiences ?? [], token.claims) ? token : null;
}

/** Grace is not life: a token is live until its `exp`, by the primary's clock, and no longer. */
function findLive(token: ReadToken | null, stands: boolean, now: number): AccessToken | null {
  return token?.kind === 'access' && stands && !isExpired(token.claims, now) ? token : null;
}

/**
 * The successor of an access token that stands and is near its end, or in its grace after it; null when none is due. Nothing
 * is asked or written, so nothing can fail after the answer is known.
 */
export function findSuccessor(
  { token, stands, now, snapshot: { ring } }: Judgement,
  rules: TokenRules,
): Successor | null {
  if (!stands || token?.kind !== 'access') return null;
  // A replica whose secret no longer opens the keys reads as well as any other: its answer is not spoilt.
  if (!ring.isReadable) return null;
  const claims = reissue(token.claims, now, rules);
  if (claims === null) return null;
  const successor = ring.signAccess(claims);
  // Signed by a key of another algorithm it may be longer than its parent, and longer than anybody takes.
  if (successor.length > MAX_TOKEN_CHARACTERS) return null;
  return { token: successor, expiresInSeconds: claims.exp - Math.floor(now) };
}
