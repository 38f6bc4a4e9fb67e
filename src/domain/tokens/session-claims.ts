/** What a backend says of a session that it has opened: which words it may use, and how they are kept. */
import type { Acting, Extension, Json } from '@gatehouse/protocol';

import { explainScope } from '../users/scopes.js';

/** As they are kept with the session, as JSON. Times in seconds. */
export interface SessionClaims {
  /** Absent where it is the external id. */
  username?: string | undefined;
  /** Absent for none. */
  scope?: string | undefined;
  /** One to five. */
  audience: string[];
  /** Absent where it is the time of the opening. */
  auth_time?: number | undefined;
  ext?: Extension | undefined;
  amr?: string[] | undefined;
  acr?: string | undefined;
  act?: Acting | undefined;
  /** Absent where it is that of the service. */
  access_token_ttl?: number | undefined;
}

/** What can be changed of them later. */
export type ChangeableClaim = 'scope' | 'ext' | 'auth_time' | 'amr' | 'acr';

export const MOST_AUDIENCES = 5;
/** Of one client. */
export const MOST_CLIENT_AUDIENCES = 20;
const MOST_METHODS = 16;

const PRINTABLE = /^[!-~]{1,255}$/;
const METHOD = /^[!-~]{1,64}$/;
// As many characters as a name has that is typed.
const USERNAME = /^[^\p{Cc}\p{Cs}]{1,254}$/u;

/** In bytes of JSON. */
const MAX_EXTENSION_BYTES = 1024;
const MAX_LEVELS = 5;
const EXTENSION_NAME = /^[A-Za-z_][A-Za-z0-9_.:/-]{0,63}$/;
/** Where a reader copies members from one object to another, these change what the object is. */
const FORBIDDEN_NAMES = new Set(['__proto__', 'constructor', 'prototype']);

/** Why this is none, as the end of a sentence that begins with the member's name; null if it is one. Here and below. */
export function explainShownName(value: unknown): string | null {
  return typeof value === 'string' && USERNAME.test(value)
    ? null
    : 'must be 1 to 254 characters, and none of them a control character';
}

/** A scope of a session: at least one word. */
export function explainSessionScope(value: unknown): string | null {
  if (typeof value !== 'string') return 'must be text';
  return value === '' ? 'must not be empty: leave it out' : explainScope(value);
}

const NAMES = 'different names of 1 to 255 printable ASCII characters without spaces';

export function explainAudiences(value: unknown): string | null {
  return isListOf(value, PRINTABLE, MOST_AUDIENCES) ? null : `must be 1 to ${MOST_AUDIENCES} ${NAMES}`;
}

/** The audiences of a client, of which none is no limit. */
export function explainClientAudiences(value: unknown): string | null {
  const isEmpty = Array.isArray(value) && value.length === 0;
  return isEmpty || isListOf(value, PRINTABLE, MOST_CLIENT_AUDIENCES)
    ? null
    : `must be at most ${MOST_CLIENT_AUDIENCES} ${NAMES}`;
}

export function explainMethods(value: unknown): string | null {
  return isListOf(value, METHOD, MOST_METHODS)
    ? null
    : `must be 1 to ${MOST_METHODS} different words of 1 to 64 printable ASCII characters without spaces (RFC 8176)`;
}

export function explainContext(value: unknown): string | null {
  return matches(value, PRINTABLE)
    ? null
    : 'must be 1 to 255 printable ASCII characters without spaces (RFC 9470)';
}

export function explainActing(value: unknown): string | null {
  return isActing(value, MAX_LEVELS)
    ? null
    : `must be an object with sub, and if need be iss, client_id and act, which are printable ASCII without spaces, ${MAX_LEVELS} levels deep at most (RFC 8693 section 4.1)`;
}

export function explainExtension(value: unknown): string | null {
  if (!isObject(value)) return 'must be an object';
  const problem = explainJson(value, MAX_LEVELS);
  if (problem !== null) return problem;
  const bytes = Buffer.byteLength(JSON.stringify(value));
  return bytes <= MAX_EXTENSION_BYTES ? null : `is ${bytes} bytes of JSON, and may be ${MAX_EXTENSION_BYTES}`;
}

function explainJson(value: unknown, levels: number): string | null {
  if (value === null || typeof value === 'boolean') return null;
  if (typeof value === 'string') return value.isWellFormed() ? null : 'contains a lone surrogate';
  if (typeof value === 'number') return explainNumber(value);
  if (typeof value !== 'object') return 'must be JSON';
  if (levels === 0) return `is more than ${MAX_LEVELS} levels deep`;
  for (const [name, inner] of Object.entries(value)) {
    const problem = (Array.isArray(value) ? null : explainName(name)) ?? explainJson(inner, levels - 1);
    if (problem !== null) return problem;
  }
  return null;
}

function explainNumber(value: number): string | null {
  const isExact = Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
  return isExact ? null : 'contains a number that not every reader reads alike: write it as text';
}

function explainName(name: string): string | null {
  return EXTENSION_NAME.test(name) && !FORBIDDEN_NAMES.has(name)
    ? null
    : 'contains a name that is not allowed: names are a letter or _, and then up to 63 of A-Z a-z 0-9 _ . : / -';
}

function isActing(value: unknown, levels: number): value is Acting {
  if (levels === 0 || !isObject(value)) return false;
  const { sub, iss, client_id, act, ...others } = value;
  return (
    Object.keys(others).length === 0 &&
    matches(sub, PRINTABLE) &&
    [iss, client_id].every((text) => text === undefined || matches(text, PRINTABLE)) &&
    (act === undefined || isActing(act, levels - 1))
  );
}

function isListOf(value: unknown, pattern: RegExp, most: number): boolean {
  if (!Array.isArray(value) || value.length === 0 || value.length > most) return false;
  return value.every((one) => matches(one, pattern)) && new Set(value).size === value.length;
}

function matches(value: unknown, pattern: RegExp): value is string {
  return typeof value === 'string' && pattern.test(value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Changes JSON by a merge patch (RFC 7396): null takes a member away, an object is merged, and all else takes the place of what was there. */
export function mergePatch(before: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const kept: Record<string, Json> = isObject(before) ? before : {};
  const changed = Object.entries(patch).map(([name, value]): [string, Json] => [
    name,
    value === null ? null : mergePatch(kept[name], value),
  ]);
  const merged = Object.entries({ ...kept, ...Object.fromEntries(changed) });
  return Object.fromEntries(merged.filter(([name]) => patch[name] !== null));
}

/** Writes them as they are kept: members in one order, and nothing that says nothing. */
export function writeClaims(claims: SessionClaims): string {
  const { username, scope, audience, auth_time, ext, amr, acr, act, access_token_ttl } = claims;
  const said = ext === undefined || Object.keys(ext).length === 0 ? undefined : ext;
  return JSON.stringify({
    username,
    scope,
    audience,
    auth_time,
    ext: said,
    amr,
    acr,
    act,
    access_token_ttl,
  });
}

/** Reads what {@link writeClaims} has written. */
export function readClaims(kept: string): SessionClaims {
  return JSON.parse(kept) as SessionClaims;
}
