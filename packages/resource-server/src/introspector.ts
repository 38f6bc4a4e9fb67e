/** Whose request is this? One function for any framework: it asks Gatehouse, every time, and lets nobody in on its own. */
import { isTokenText } from '@gatehouse/protocol';

import { createCache } from './cache.js';
import { readOptions, type GatehouseOptions, type Settings } from './options.js';
import { createQuestions } from './questions.js';
import { checkMaxAge, createRecency } from './recency.js';
import {
  insufficientAuthentication,
  insufficientScope,
  invalidToken,
  noToken,
  Refusal,
  unavailable,
} from './refusal.js';
import { checkScope, hasScope } from './scope.js';
import { Unanswered } from './unanswered.js';
import { createUpstream } from './upstream.js';
import type { User, Verdict } from './verdict.js';

export { hasScope, Refusal, type GatehouseOptions, type User };
export type { Problem, RefusalCode } from './refusal.js';

export interface Admission {
  user: Readonly<User>;
  /** The successor of a token near its end; undefined otherwise. */
  refreshedToken: string | undefined;
  /** What the answer to the caller must carry, unless it is a 5xx: the successor, and what caches must know of it. */
  headers: Readonly<Record<string, string>>;
}

export interface Needs {
  /** What the token must be good for; several, separated by spaces, are all needed. */
  scope?: string | undefined;
  /** How many seconds ago the user may have given the password at most (`auth_time`, RFC 9470). */
  maxAge?: number | undefined;
}

export interface Introspector {
  /**
   * @param authorization the request's `Authorization` header
   * @throws {Refusal} 401 for anything but a live access token, and where the password was given too long ago; 403 without the scope;
   * 503 when Gatehouse cannot be asked
   */
  (authorization: string | null | undefined, needs?: Needs): Promise<Admission>;
  /** Closes the connections, after the answers under way. */
  close: () => Promise<void>;
}

const BEARER = /^Bearer +(\S+)$/i;

/** @throws {TypeError} that names every mistake in the options */
export function createIntrospector(options: GatehouseOptions): Introspector {
  const settings = readOptions(options);
  const upstream = createUpstream(settings);
  const questions = createQuestions(upstream.ask, settings.timeoutMs);
  const cache = createCache(settings.cacheSeconds);
  const recency = createRecency();

  async function judge(token: string): Promise<Pick<Verdict, 'user' | 'refreshedToken'>> {
    const known = cache.find(token);
    if (known !== undefined) return { user: known, refreshedToken: null };
    const askedAtMs = performance.now();
    const verdict = await questions.ask(token);
    recency.hear(verdict);
    cache.keep(token, verdict, askedAtMs);
    return verdict;
  }

  async function introspect(
    authorization: string | null | undefined,
    { scope = '', maxAge }: Needs = {},
  ): Promise<Admission> {
    checkScope(scope);
    checkMaxAge(maxAge);
    if (!/^Bearer\b/i.test(authorization ?? '')) throw noToken();
    const token = BEARER.exec(authorization ?? '')?.[1];
    if (token === undefined || !isTokenText(token)) throw invalidToken();
    const { user, refreshedToken } = await judge(token).catch((error: unknown) => {
      throw error instanceof Unanswered ? unavailable(error) : error;
    });
    const headers = carry(refreshedToken);
    if (user === null) throw invalidToken({ headers });
    const foreign = foreignTo(user, settings);
    if (foreign !== null) throw invalidToken({ cause: new Error(foreign) });
    if (!hasScope(user, scope)) throw insufficientScope(scope, headers);
    if (maxAge !== undefined && !isRecent(user, maxAge)) throw insufficientAuthentication(maxAge, headers);
    return { user, refreshedToken: refreshedToken ?? undefined, headers };
  }

  function isRecent(user: User, maxAge: number): boolean {
    try {
      return recency.isRecent(user, maxAge);
    } catch (error) {
      throw error instanceof Unanswered ? unavailable(error) : error;
    }
  }

  async function close(): Promise<void> {
    questions.flush();
    await upstream.close();
  }

  return Object.assign(introspect, { close });
}

/** Gatehouse stands by this token, but it is not the Gatehouse, or not the audience, that this server was told to believe. */
function foreignTo({ iss, aud }: User, { issuer, audience }: Settings): string | null {
  if (issuer !== undefined && iss !== issuer)
    return 'A live token was refused: its `iss` is not the option `issuer`.';
  if (audience !== undefined && ![aud].flat().includes(audience))
    return 'A live token was refused: its `aud` does not hold the option `audience`.';
  return null;
}

function carry(refreshedToken: string | null): Record<string, string> {
  if (refreshedToken === null) return {};
  return { 'refreshed-api-token': refreshedToken, 'cache-control': 'no-store', vary: 'Authorization' };
}
