/** Which claims can be ours, and what they are minted from. */
import {
  CLIENT_ID,
  FIRST_PARTY_CLIENT_ID,
  isExternalId,
  isScope,
  type AccessClaims,
  type RefreshClaims,
} from '@gatehouse/protocol';

import {
  explainActing,
  explainAudiences,
  explainContext,
  explainExtension,
  explainMethods,
} from './session-claims.js';

export type { AccessClaims, RefreshClaims };

/** A session as the primary saw it at `now`; all times in seconds since 1970. */
export interface Session {
  id: string;
  userId: string;
  /** The user's; of a backend's user, one that nobody is shown. */
  username: string;
  /** The user's; the session of a backend has its own. */
  scope: string;
  /** The client whose user it is, and what that calls the user; null for users who were made here. */
  clientId: string | null;
  externalId: string | null;
  /** What the client says of the session (session-claims.ts), as it is kept; null where no client has opened it. */
  claims: string | null;
  /** How often the claims of the user and of the session were changed. */
  ver: number;
  /** Generation of its current refresh token. */
  generation: number;
  openedAt: number;
  rotatedAt: number;
  refreshExpiresAt: number;
  expiresAt: number;
  now: number;
}

export interface TokenRules {
  issuer: string;
  audience: string;
  accessTtlSeconds: number;
  reissueGraceSeconds: number;
  /** Highest generation of an access token; 0 switches reissue off. */
  reissueMax: number;
}

/** Splits a `jti` that {@link isAccessClaims} or {@link isRefreshClaims} has accepted. */
export function parseJti(jti: string): { lineage: string; generation: number } {
  const dot = jti.indexOf('.');
  return { lineage: jti.slice(0, dot), generation: Number(jti.slice(dot + 1)) };
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const JTI = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.(?:0|[1-9][0-9]{0,8})$/;
/** The last second that both JavaScript's Date and PostgreSQL know. */
const MAX_DATE = 8_640_000_000_000;

export function isUuid(text: string): boolean {
  return UUID.test(text);
}

export function isJti(text: string): boolean {
  return JTI.test(text);
}

const MEMBERS = ['iss', 'sub', 'aud', 'sid', 'jti', 'iat', 'exp', 'auth_time', 'session_exp'];
const REFRESH_MEMBERS = [...MEMBERS, 'client_id'];
const ACCESS_MEMBERS = [...MEMBERS, 'client_id', 'username', 'scope', 'ver'];
const FOREIGN_MEMBERS = [...ACCESS_MEMBERS, 'ext', 'amr', 'acr', 'act'];

type Claims = Record<string, unknown>;

/**
 * Whether a payload whose signature holds is an access token's, each claim of its type. A user who was made here has tokens for this
 * audience alone; a client's session may have any.
 */
export function isAccessClaims(payload: unknown, rules: TokenRules): payload is AccessClaims {
  return (
    isClaims(payload, FOREIGN_MEMBERS) &&
    payload['iss'] === rules.issuer &&
    (payload['client_id'] === FIRST_PARTY_CLIENT_ID
      ? isClaims(payload, ACCESS_MEMBERS) &&
        payload['aud'] === rules.audience &&
        matches(payload['sub'], UUID)
      : isOfClient(payload) && hasWordsOfClient(payload)) &&
    typeof payload['username'] === 'string' &&
    payload['username'].isWellFormed() &&
    (payload['scope'] === undefined || isScope(payload['scope'])) &&
    (payload['ver'] === undefined || isCount(payload['ver'])) &&
    hasSessionClaims(payload)
  );
}

/** Whether a token is for this audience, perhaps among others. */
export function isMeantFor({ aud }: Pick<AccessClaims, 'aud'>, audience: string): boolean {
  return Array.isArray(aud) ? aud.includes(audience) : aud === audience;
}

/**
 * Whether a client of these audiences may know of a token: any client without audiences, and another one of tokens for one of its own.
 * A refresh token is for the issuer.
 */
export function mayKnow(audiences: readonly string[], claims: Pick<AccessClaims, 'aud'>): boolean {
  return audiences.length === 0 || audiences.some((audience) => isMeantFor(claims, audience));
}

/** Whether a payload whose signature holds is a refresh token's. */
export function isRefreshClaims(payload: unknown, rules: TokenRules): payload is RefreshClaims {
  return (
    isClaims(payload, REFRESH_MEMBERS) &&
    payload['iss'] === rules.issuer &&
    payload['aud'] === rules.issuer &&
    (payload['client_id'] === undefined ? matches(payload['sub'], UUID) : isOfClient(payload)) &&
    hasSessionClaims(payload) &&
    parseJti(payload['jti'] as string).lineage === payload['sid']
  );
}

function isOfClient({ client_id, sub }: Claims): boolean {
  return matches(client_id, CLIENT_ID) && isExternalId(sub);
}

function hasWordsOfClient({ aud, ext, amr, acr, act }: Claims): boolean {
  const audiences = Array.isArray(aud) && aud.length > 1 ? (aud as unknown[]) : [aud];
  const explained = [
    explainAudiences(audiences),
    ext === undefined ? null : explainExtension(ext),
    amr === undefined ? null : explainMethods(amr),
    acr === undefined ? null : explainContext(acr),
    act === undefined ? null : explainActing(act),
  ];
  return explained.every((problem) => problem === null);
}

/** An object with no other members: with `nbf`, or whatever else means something elsewhere, it is not what we issue. */
function isClaims(payload: unknown, members: readonly string[]): payload is Claims {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return false;
  return Object.keys(payload).every((name) => members.includes(name));
}

function matches(value: unknown, pattern: RegExp): value is string {
  return typeof value === 'string' && pattern.test(value);
}

function hasSessionClaims(payload: Claims): boolean {
  const { sid, jti, iat, exp, auth_time, session_exp } = payload;
  if (!matches(sid, UUID) || !matches(jti, JTI)) return false;
  if (!isDate(iat) || !isDate(exp) || !isDate(auth_time) || !isDate(session_exp)) return false;
  // `auth_time` may lie after `iat`: a promoted primary's clock can be behind the one that opened the session.
  return iat < exp && exp <= session_exp && auth_time < session_exp;
}

/** How often something happened, where never is not said. */
function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

function isDate(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= MAX_DATE;
}
