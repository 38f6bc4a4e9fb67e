/** What a backend may ask for: a program that has proved by itself who its users are, and has the permission `sessions:open`. */
import type { Database } from '../../database/prisma.js';
import type { Client } from '../clients.js';
import { AuthError } from '../errors.js';
import { noteSession, type Trail } from '../reports/told.js';
import { actorOfClient } from '../sessions/actors.js';
import { endSession, type Ended } from '../sessions/endings.js';
import type { Pairs, SingleToken, TokenPair } from '../sessions/pairs.js';
import type { SessionRules } from '../sessions/sessions.js';
import { isUuid, type TokenRules } from '../tokens/claims.js';
import { writeClaims, type SessionClaims } from '../tokens/session-claims.js';
import { changeOfClient, findOfClient, type ClaimsPatch, type ClientSession } from './changing.js';
import { endAllOfClient } from './ending.js';
import { openForClient } from './opening.js';
import { assertMayBeSaid, assertOwnAudiences } from './said.js';

/** A session to be opened. */
export interface WantedSession {
  externalId: string;
  /** Without audiences the session is for `AUDIENCE`. */
  claims: Omit<SessionClaims, 'audience'> & { audience?: string[] | undefined };
  /** No more than the rules say. */
  sessionTtlSeconds?: number | undefined;
  /** Whether there is to be a refresh token. */
  refreshes: boolean;
  ip: string | null;
  userAgent: string | null;
}

export interface Backends {
  /**
   * Opens a session for a user of the client; the user is made by the first one.
   *
   * @returns the tokens; without a refresh token, where none is wanted
   * @throws {AuthError} invalid_request, user_disabled, too_many_sessions, temporarily_unavailable
   */
  openSession: (client: Client, wanted: WantedSession, trail?: Trail) => Promise<TokenPair | SingleToken>;
  /**
   * Changes what is said of a session that the client has opened; access tokens of before are dead from the answer on.
   *
   * @throws {AuthError} not_found, also for a session that has ended; invalid_request
   */
  changeSession: (client: Client, sid: string, patch: ClaimsPatch, trail?: Trail) => Promise<ClientSession>;
  /** Ends a session that the client has opened. @returns whether there is one, ended or not */
  endSession: (client: Client, sid: string, trail?: Trail) => Promise<boolean>;
  /** Ends all sessions of a user of the client, also those that are being opened. */
  endAll: (client: Client, externalId: string, trail?: Trail) => Promise<Ended>;
}

export function createBackends({
  database,
  pairs,
  rules,
}: {
  database: Database;
  pairs: Pairs;
  rules: SessionRules & TokenRules;
}): Backends {
  return {
    openSession: async (client, wanted, trail) => {
      const { externalId, ip, userAgent, sessionTtlSeconds = rules.sessionTtlSeconds } = wanted;
      const claims = { ...wanted.claims, audience: wanted.claims.audience ?? [rules.audience] };
      assertOwnAudiences(client, claims.audience, rules.audience);
      assertMayBeSaid(client, externalId, claims, rules);
      await pairs.assertSigns();
      const opening = { externalId, ip, userAgent, sessionTtlSeconds, provedAt: claims.auth_time ?? null };
      const kept = { ...opening, claims: writeClaims(claims) };
      const opened = await openForClient(database, client, kept, rules, trail);
      noteSession(trail, opened.session.userId, opened.session.id);
      return await (wanted.refreshes ? pairs.signOpened(opened) : pairs.signSingle(opened));
    },

    changeSession: async (client, sid, patch, trail) => {
      if (!isUuid(sid)) throw new AuthError('not_found');
      return await changeOfClient(database, client, sid, patch, rules, trail);
    },

    endSession: async (client, sid, trail) => {
      const found = isUuid(sid) ? await findOfClient(database, client, sid) : null;
      if (found === null) return false;
      const { userId } = found;
      const ending = { reason: 'session_ended', actor: actorOfClient(client) } as const;
      const { isKnown } = await endSession(database, { sid, userId }, ending, null, trail);
      if (isKnown) noteSession(trail, userId, sid);
      return isKnown;
    },

    endAll: (client, externalId, trail) => endAllOfClient(database, client, externalId, trail),
  };
}
