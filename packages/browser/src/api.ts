/** What a page gives and gets: the options, the verbs, who is signed in, and what changes. */
import type { AccessClaims } from '@gatehouse/protocol';

/** What `localStorage` can do, as far as it is needed. */
export interface TokenStorage {
  getItem: (name: string) => string | null;
  setItem: (name: string, value: string) => void;
  removeItem: (name: string) => void;
}

export interface GatehouseOptions {
  /** Where Gatehouse is, with a path if it has one; the page's own origin by default. */
  url?: string;
  /**
   * `cookie`: the tokens are in cookies that no script can read. Needs one origin for the page and Gatehouse.
   * `bearer` (the default): the page carries the tokens, to any origin that you name.
   */
  transport?: 'bearer' | 'cookie';
  /** `bearer`: other origins that get the token with `fetch`, like `https://api.example.com`. */
  origins?: string[];
  /**
   * `bearer`: where the tokens lie. `localStorage` by default; null keeps them in memory, until the tab is reloaded.
   * Not `sessionStorage`: browsers copy it into a duplicated tab, and a refresh token that two hold counts as stolen.
   */
  storage?: TokenStorage | null;
  /** What requests are made with; the platform's by default. */
  fetch?: typeof fetch;
}

/** Who is signed in: the claims of the access token. Dates are in seconds since 1970, by the clock of the service. */
export type Session = AccessClaims;

export interface Change {
  type: 'signed-in' | 'renewed' | 'signed-out';
  /** `ended`: the service said that it is over. `other-tab`: another tab of this browser did it. */
  why: 'login' | 'refresh' | 'reissue' | 'logout' | 'ended' | 'other-tab';
  /** Empty where a page has ended a session by cookie before it had asked which one it is. */
  sessionId: string;
}

export interface Gatehouse {
  /**
   * @throws {GatehouseError} `invalid_credentials`, `too_many_requests` (with `retryAfterSeconds`), `unreachable`, …
   */
  login: (credentials: { username: string; password: string }) => Promise<Session>;
  /**
   * Ends this session everywhere and tells the other tabs. Rejects when that cannot be known to have happened, offline
   * above all: then the page is still signed in. Call it again.
   */
  logout: () => Promise<void>;
  /** Ends all sessions of the user, or all others; resolves with how many. */
  logoutAll: (options?: { exceptCurrent?: boolean }) => Promise<number>;
  /** Who is signed in, asked of the service; null for nobody. Rejects when it cannot be known. */
  session: () => Promise<Session | null>;
  /**
   * The platform's `fetch`, with the token for origins that may have it. A 401 is answered by one renewal and one
   * repetition. When the renewal cannot be made, its answer (429, 503) or error takes the place of the 401.
   */
  fetch: typeof globalThis.fetch;
  /** Calls back after each change, also of other tabs; returns a function that stops it. */
  onChange: (listener: (change: Change) => void) => () => void;
  /** Stops listening to other tabs. */
  close: () => void;
}
