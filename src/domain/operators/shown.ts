/** How operators are shown users, clients, keys, sessions, revocations and events, over HTTP and by the command line: names as on the wire, instants as RFC 3339. */
import type { FoundClient, ListedSecret } from '../clients.js';
import type { ListedKey } from '../keys/keys.js';
import type { EndingOutcome, Foreseen } from './endings.js';
import type { UserExport } from './export.js';
import type { FoundEvent } from './events.js';
import type { Imported } from './import.js';
import type { FoundRevocation } from './found-revocations.js';
import type { FoundSession } from './found-sessions.js';
import { readClaims } from '../tokens/session-claims.js';
import type { FoundUser } from '../users/found.js';

export function showUser(user: FoundUser) {
  const { id, username, scope, clientId, externalId, createdAt, disabledAt, hasPassword, lockedUntil } = user;
  return {
    id,
    username: externalId ?? username,
    scope,
    client_id: clientId,
    external_id: externalId,
    created_at: createdAt.toISOString(),
    disabled_at: disabledAt?.toISOString() ?? null,
    has_password: hasPassword,
    locked_until: lockedUntil?.toISOString() ?? null,
  };
}

export function showImported({ created, refused }: Imported) {
  return {
    created,
    refused: refused.map(({ line, error, member, message }) => ({ line, error, member, message })),
  };
}

/** One part of all that is kept about a user. */
export function showExport({
  user,
  attempts,
  knownNetworks,
  codeExpiresAt,
  sessions,
  revocations,
  events,
  next,
}: UserExport) {
  return {
    user: showUser(user),
    attempts: attempts.map(({ limit, attempts: counted, until }) => ({
      limit: limit.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      attempts: counted,
      until: until.toISOString(),
    })),
    known_networks: knownNetworks.map((until) => ({ until: until.toISOString() })),
    code_expires_at: codeExpiresAt?.toISOString() ?? null,
    sessions: sessions.map(showSession),
    revocations: revocations.map(showRevocation),
    events: events.map(showEvent),
    next,
  };
}

export function showClient({ id, permissions, audiences, createdAt, secrets }: FoundClient) {
  return {
    id,
    permissions,
    audiences,
    created_at: createdAt.toISOString(),
    secrets: secrets.map(showSecret),
  };
}

/** A client's secret, without what is secret in it. */
export function showSecret({ id, createdAt }: ListedSecret) {
  return { id, created_at: createdAt.toISOString() };
}

export function showKey({ kid, algorithm, state, createdAt, signsAt, retiredAt }: ListedKey) {
  return {
    kid,
    algorithm,
    state,
    created_at: showTime(createdAt),
    signs_at: showTime(signsAt),
    retired_at: retiredAt === null ? null : showTime(retiredAt),
  };
}

/** @param seconds since 1970 */
export function showTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}

export function showSession(session: FoundSession) {
  const { clientId, externalId } = session;
  // Of a user who was deleted the row has lost its client, and what that has said of the session goes with the session's row.
  const claims = clientId === null || session.claims === null ? null : readClaims(session.claims);
  return {
    id: session.id,
    user_id: session.userId,
    username: claims?.username ?? externalId ?? session.username,
    client_id: clientId,
    external_id: externalId,
    claims,
    live: session.isLive,
    created_at: session.openedAt.toISOString(),
    last_used_at: session.rotatedAt.toISOString(),
    expires_at: session.expiresAt.toISOString(),
    ended_at: session.endedAt?.toISOString() ?? null,
    ip: session.ip,
    user_agent: session.userAgent,
  };
}

export function showRevocation(revocation: FoundRevocation) {
  return {
    id: revocation.id,
    ending_id: revocation.endingId,
    kind: revocation.kind,
    target: revocation.target,
    user_id: revocation.userId,
    opened_before: revocation.openedBefore?.toISOString() ?? null,
    reason: revocation.reason,
    note: revocation.note,
    actor: revocation.actor,
    revoked_at: revocation.revokedAt.toISOString(),
    kept_until: revocation.keptUntil.toISOString(),
    liftable: revocation.isLiftable,
    lifted_at: revocation.liftedAt?.toISOString() ?? null,
    lifted_by: revocation.liftedBy,
    lift_note: revocation.liftNote,
  };
}

export function showEvent(event: FoundEvent) {
  return {
    id: event.id,
    at: event.at.toISOString(),
    type: event.type,
    outcome: event.outcome,
    actor: event.actor,
    user_id: event.userId,
    session_id: event.sessionId,
    client_id: event.clientId,
    ip: event.ip,
    user_agent: event.userAgent,
    request_id: event.requestId,
    reason: event.reason,
    note: event.note,
    detail: event.detail,
  };
}

/** What has ended. */
export function showEnding({ endingId, sessions, isLiftable, effectiveAt, ...outcome }: EndingOutcome) {
  return {
    ending_id: endingId,
    sessions_ended: sessions,
    ...showCounts(outcome),
    liftable: isLiftable,
    effective_at: effectiveAt.toISOString(),
  };
}

/** What would end. */
export function showForeseen({ sessions, sample, users, tokens, isMore }: Foreseen) {
  return {
    sessions,
    ...showCounts({ users, tokens, isMore }),
    sample: sample.map(({ id, userId, openedAt, ip }) => ({
      id,
      user_id: userId,
      created_at: openedAt.toISOString(),
      ip,
    })),
  };
}

function showCounts({ users, tokens, isMore }: Pick<EndingOutcome, 'users' | 'tokens' | 'isMore'>) {
  return { users, tokens, ...(isMore && { more: true as const }) };
}
