/** What a resource server says about itself and its Gatehouse: checked whole, every mistake named at once. */
import { basicOf, isText, readUrl } from '@gatehouse/protocol';

/** `undefined` is allowed, because environment variables may hold nothing: the check says what is missing. */
export interface GatehouseOptions {
  /** Where Gatehouse is, as this server reaches it: `http://localhost:3000`, `https://auth.example.com/prefix`. */
  url: string | URL | undefined;
  /** From `gatehouse clients add ID`: a client with the permission `introspect`. */
  clientId: string | undefined;
  clientSecret: string | undefined;
  /** What `iss` of every token must be. Gatehouse has checked its own; this tells one Gatehouse from another. */
  issuer?: string | undefined;
  /**
   * What `aud` of every token must be, or hold where it is a list. Without it a live token for any other server is good here, too: a client
   * may open sessions for several audiences.
   */
  audience?: string | undefined;
  /** How long a caller waits for Gatehouse at most, a second attempt included. Default 3000. */
  timeoutMs?: number | undefined;
  /** How long a logout may go unnoticed here. Default 0: every request asks. */
  cacheSeconds?: number | undefined;
}

export interface Settings {
  origin: string;
  /** What stands before the routes: empty, or `/prefix`. */
  path: string;
  /** The whole `Authorization` header of this client. */
  authorization: string;
  issuer: string | undefined;
  audience: string | undefined;
  timeoutMs: number;
  cacheSeconds: number;
}

/** Gatehouse itself says 503 within 2.5 s: a little longer, and its word arrives before we give up. */
const DEFAULT_TIMEOUT_MS = 3000;
const MAX_TIMEOUT_MS = 60_000;

/** Whoever can wait longer for a logout can as well verify signatures, and ask nobody. */
const MAX_CACHE_SECONDS = 300;

const NAMES = ['url', 'clientId', 'clientSecret', 'issuer', 'audience', 'timeoutMs', 'cacheSeconds'];

/** @throws {TypeError} that names every mistake, and repeats no value */
export function readOptions(options: GatehouseOptions): Settings {
  const { clientId, clientSecret, issuer, audience } = options;
  const { timeoutMs = DEFAULT_TIMEOUT_MS, cacheSeconds = 0 } = options;
  const mistakes = Object.keys(options)
    .filter((name) => !NAMES.includes(name))
    .map((name) => `${name} is no option; there are ${NAMES.join(', ')}`);
  const url = readUrl(options.url, mistakes);
  if (!isText(clientId)) mistakes.push('clientId is missing');
  if (!isText(clientSecret)) mistakes.push('clientSecret is missing');
  for (const [name, value] of Object.entries({ issuer, audience }))
    if (value !== undefined && !isText(value)) mistakes.push(`${name} is not a text, or empty`);
  if (!isWithin(timeoutMs, 1, MAX_TIMEOUT_MS))
    mistakes.push(`timeoutMs is not a number from 1 to ${MAX_TIMEOUT_MS}`);
  if (!isWithin(cacheSeconds, 0, MAX_CACHE_SECONDS))
    mistakes.push(`cacheSeconds is not a number from 0 to ${MAX_CACHE_SECONDS}`);
  if (url === null || !isText(clientId) || !isText(clientSecret) || mistakes.length > 0)
    throw new TypeError(`gatehouse: ${mistakes.join('; ')}`);
  return {
    origin: url.origin,
    path: url.pathname.replace(/\/+$/, ''),
    authorization: `Basic ${basicOf(clientId, clientSecret)}`,
    issuer,
    audience,
    timeoutMs,
    cacheSeconds,
  };
}

/** Whether it is a number between the two, or one of them. */
export function isWithin(value: unknown, least: number, most: number): boolean {
  return typeof value === 'number' && value >= least && value <= most;
}
