/** What a page gives and gets: the options, the verbs, who is signed in, and what changes. */
import type { AccessClaims } from '@gatehouse/protocol';

/** What `localStorage` can do, as far as it is needed. */
export interface TokenStorage {
  getItem: (name: string) => string | null;
  setItem: (name: string, value: string) => void;
  removeItem: (name: string) => void;
}

export interface GatehouseOptions {
  /** Where Gatehouse is, with a path if it has one; the page's own origin by default. A server has none: name it there. */
  url?: string;
  /**
   * `cookie`: the tokens are in cookies that no script can read. Needs one origin for the page and Gatehouse.
   * `bearer` (the default): the page carries the tokens, to any origin that you name.
   */
  transport?: 'bearer' | 'cookie';
  /** `bearer`: other origins that get the token with `fetch`, like `https://api.example.com`. */
  origins?: string[];
  /**
   * `bearer`: where the tokens lie. `localStorage` by default, memory on a server; null keeps them in memory, until the tab is
   * reloaded.
   * Not `sessionStorage`: browsers copy it into a duplicated tab, and a refresh token that two hold counts as stolen.
   */
  storage?: TokenStorage | null;
  /** What requests are made with; the platform's by default. */
  fetch?: typeof fetch;
  /**
   * Called when a request with `fetch` needs a password that was given so many seconds ago at most (RFC 9470). Ask the user for it, call
   * `reauthenticate`, and resolve with true: then the request is sent once more. With false the page gets the 401. Requests that
   * need it at the same time share one call.
   */
  onReauthenticate?: (maxAge: number) => Promise<boolean>;
}

/** Who is signed in: the claims of the access token. Dates are in seconds since 1970, by the clock of the service. */
export type Session = AccessClaims;

/** A session of the user who is signed in. Dates are ISO 8601, by the clock of the service. */
export interface ListedSession {
  id: string;
  /** Whether it is this one. */
  current: boolean;
  created_at: string;
  /** A day of UTC; today for a use within the last 24 hours. */
  last_used_on: string;
  /** When it ends for good. */
  expires_at: string;
  ip: string | null;
  user_agent: string | null;
}

export interface Credentials {
  username: string;
  password: string;
  /**
   * `bearer`: false keeps the tokens in the memory of this tab. They are gone when it is closed or reloaded, and no other tab has
   * them: those are signed out. With cookies, use `sessionTtl`.
   */
  remember?: boolean;
  /** The session ends after so many seconds for good: fewer than the service would give it. */
  sessionTtl?: number;
}

export interface Change {
  type: 'signed-in' | 'renewed' | 'signed-out';
  /** `ended`: the service said that it is over. `other-tab`: another tab of this browser did it. */
  why: 'login' | 'password' | 'refresh' | 'reissue' | 'logout' | 'ended' | 'other-tab';
  /** Empty where a page has ended a session by cookie before it had asked which one it is. */
  sessionId: string;
}

export interface Gatehouse {
  /**
   * @throws {GatehouseError} `invalid_credentials`, `too_many_requests` (with `retryAfterSeconds`), `unreachable`, …
   */
  login: (credentials: Credentials) => Promise<Session>;
  /**
   * Ends this session everywhere and tells the other tabs. Rejects when that cannot be known to have happened, offline
   * above all: then the page is still signed in. Call it again.
   */
  logout: () => Promise<void>;
  /** Ends all sessions of the user, or all others; resolves with how many. */
  logoutAll: (options?: { exceptCurrent?: boolean }) => Promise<number>;
  /**
   * Sets a new password. Every session of the user ends, this one included, and a new one takes its place in all tabs: nobody
   * has to sign in again here. An answer that was lost is asked for once more. When that is lost too, call it again, at once and
   * with the same passwords.
   *
   * @throws {GatehouseError} `invalid_credentials` (the current one is wrong), `invalid_request` (with `errors`: why the new
   * one may not be set), `too_many_requests`, …
   */
  changePassword: (current: string, next: string) => Promise<void>;
  /**
   * Gives the password once more, for what asks for one that was given lately. The session stays the same.
   *
   * @throws {GatehouseError} `invalid_credentials` (the password is wrong), `too_many_requests`, …
   */
  reauthenticate: (password: string) => Promise<void>;
  /** Where the user is signed in, latest opened first. */
  sessions: () => Promise<ListedSession[]>;
  /**
   * Ends one of these sessions everywhere, also when it had ended; this one too, and then the page is signed out.
   *
   * @throws {GatehouseError} `not_found` when the user has no such session, …
   */
  endSession: (id: string) => Promise<void>;
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
