/** What a backend says about itself and its Gatehouse: checked whole, every mistake named at once. */
import { basicOf, isText, readUrl } from '@gatehouse/protocol';

/** `undefined` is allowed, because environment variables may hold nothing: the check says what is missing. */
export interface BackendOptions {
  /** Where Gatehouse is, as this program reaches it: `http://localhost:3000`, `https://auth.example.com/prefix`. */
  url: string | URL | undefined;
  /** From `gatehouse clients add ID --permission sessions:open`. */
  clientId: string | undefined;
  clientSecret: string | undefined;
  /** What requests are made with; the platform's by default. */
  fetch?: typeof fetch | undefined;
  /** How long a call waits for Gatehouse at most. Default 3000: Gatehouse itself answers within 2.5 s. */
  timeoutMs?: number | undefined;
}

export interface Settings {
  /** Without a slash at its end; the paths of the service follow it. */
  base: string;
  /** The whole `Authorization` header of this client. */
  authorization: string;
  /** What no message may hold. */
  secrets: readonly string[];
  fetch: typeof fetch;
  timeoutMs: number;
}

const DEFAULT_TIMEOUT_MS = 3000;
const MAX_TIMEOUT_MS = 60_000;

const NAMES = ['url', 'clientId', 'clientSecret', 'fetch', 'timeoutMs'];

/** @throws {TypeError} that names every mistake, and repeats no value */
export function readOptions(options: BackendOptions): Settings {
  const { clientId, clientSecret, fetch: ask, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const mistakes = Object.keys(options)
    .filter((name) => !NAMES.includes(name))
    .map((name) => `${name} is no option; there are ${NAMES.join(', ')}`);
  const url = readUrl(options.url, mistakes);
  if (!isText(clientId)) mistakes.push('clientId is missing');
  if (!isText(clientSecret)) mistakes.push('clientSecret is missing');
  if (ask !== undefined && typeof ask !== 'function') mistakes.push('fetch is not a function');
  if (!(typeof timeoutMs === 'number' && timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS))
    mistakes.push(`timeoutMs is not a number from 1 to ${MAX_TIMEOUT_MS}`);
  if (url === null || !isText(clientId) || !isText(clientSecret) || mistakes.length > 0)
    throw new TypeError(`gatehouse: ${mistakes.join('; ')}`);
  const basic = basicOf(clientId, clientSecret);
  return {
    base: `${url.origin}${url.pathname.replace(/\/+$/, '')}`,
    authorization: `Basic ${basic}`,
    secrets: [clientSecret, basic],
    // Looked up at each call: what traces requests may take its place later.
    fetch: ask ?? ((...request) => globalThis.fetch(...request)),
    timeoutMs,
  };
}
