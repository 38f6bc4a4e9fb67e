/** What a token claims: how claims are minted for a session, and which claims can be ours. */
import { isScope, type AccessClaims, type RefreshClaims } from '@gatehouse/protocol';
import { v7 as uuidv7 } from 'uuid';

export type { AccessClaims, RefreshClaims };

/** A session as the primary saw it at `now`; all times in seconds since 1970. */
export interface Session {
  id: string;
  userId: string;
  username: string;
  scope: string;
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

/** For first-party logins there is no OAuth client; RFC 9068 section 2.2 wants one all the same. */
export const FIRST_PARTY_CLIENT_ID = 'gatehouse';

/**
 * A new lineage of access tokens for a session, at generation 0.
 *
 * @param authTime when the user gave the password last, for this lineage alone
 */
export function mintAccess(
  session: Session,
  rules: TokenRules,
  authTime: number = session.openedAt,
): AccessClaims {
  const iat = Math.floor(session.now);
  return {
    iss: rules.issuer,
    sub: session.userId,
    aud: rules.audience,
    client_id: FIRST_PARTY_CLIENT_ID,
    username: session.username,
    ...(session.scope === '' ? {} : { scope: session.scope }),
    sid: session.id,
    jti: `${uuidv7()}.0`,
    iat,
    exp: Math.min(iat + rules.accessTtlSeconds, session.expiresAt),
    auth_time: authTime,
    session_exp: session.expiresAt,
    ...(session.ver === 0 ? {} : { ver: session.ver }),
  };
}

/** The current refresh token of a session. It depends on nothing but the session's row, so asking twice gives equal claims. */
export function mintRefresh(session: Session, rules: TokenRules): RefreshClaims {
  return {
    iss: rules.issuer,
    sub: session.userId,
    aud: rules.issuer,
    sid: session.id,
    jti: `${session.id}.${session.generation}`,
    iat: Math.floor(session.rotatedAt),
    exp: session.refreshExpiresAt,
    auth_time: session.openedAt,
    session_exp: session.expiresAt,
  };
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

const REFRESH_MEMBERS = ['iss', 'sub', 'aud', 'sid', 'jti', 'iat', 'exp', 'auth_time', 'session_exp'];
const ACCESS_MEMBERS = [...REFRESH_MEMBERS, 'client_id', 'username', 'scope', 'ver'];

type Claims = Record<string, unknown>;

/** Whether a payload whose signature holds is an access token's, each claim of its type and for this audience. */
export function isAccessClaims(payload: unknown, rules: TokenRules): payload is AccessClaims {
  return (
    isClaims(payload, ACCESS_MEMBERS) &&
    payload['iss'] === rules.issuer &&
    payload['aud'] === rules.audience &&
    typeof payload['client_id'] === 'string' &&
    typeof payload['username'] === 'string' &&
    payload['username'].isWellFormed() &&
    (payload['scope'] === undefined || isScope(payload['scope'])) &&
    (payload['ver'] === undefined || isCount(payload['ver'])) &&
    hasSessionClaims(payload)
  );
}

/** Whether a payload whose signature holds is a refresh token's. */
export function isRefreshClaims(payload: unknown, rules: TokenRules): payload is RefreshClaims {
  return (
    isClaims(payload, REFRESH_MEMBERS) &&
    payload['iss'] === rules.issuer &&
    payload['aud'] === rules.issuer &&
    hasSessionClaims(payload) &&
    parseJti(payload['jti'] as string).lineage === payload['sid']
  );
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
  const { sub, sid, jti, iat, exp, auth_time, session_exp } = payload;
  if (!matches(sub, UUID) || !matches(sid, UUID) || !matches(jti, JTI)) return false;
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
