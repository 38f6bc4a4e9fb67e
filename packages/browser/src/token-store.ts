/** What a tab holds of its session, and what may be done with it, however the tokens travel. */
import type { Body } from './errors.js';
import type { Change, Session } from './api.js';

/** Where we stand at one moment. */
export interface Held {
  /** Unknown until an answer has told. */
  sid: string | undefined;
  /** The same as long as the user is, also in the session that a new password opens. Unknown like `sid`. */
  who: string | undefined;
  /** Another one whenever the access token is another one. */
  key: string;
  /** Neither is seen where cookies carry them. */
  access?: string | undefined;
  refresh?: string;
}

export interface TokenStore {
  /** Null: signed out, for sure. */
  read: () => Held | null;
  /** Whether what is held is known to be too old: then it is renewed before it is used. */
  isDue: () => boolean;
  /** Takes what a login, a refresh or a new password gave that was sent at `sentAtMs` (monotonic); a private login, for this tab alone. */
  keep: (body: Body, why: 'login' | 'refresh' | 'password', sentAtMs: number, isPrivate?: boolean) => void;
  /** Takes the successor of an access token, if it is news. */
  takeUp: (successor: string) => void;
  /** Takes note of what `/session` says. */
  saw: (session: Session) => void;
  /** Forgets this session, which is over; another stays. */
  drop: (sid: string | undefined, why: 'logout' | 'ended') => void;
  /** Hears what another tab did, or looks for it. */
  hear: (change?: Change) => void;
  /** What tells `/refresh` and `/logout` who asks; undefined where a cookie does. */
  proof: () => { refresh_token: string } | undefined;
  /** Doubts that a page is signed out, where only the service knows. */
  wonder: () => void;
}

/** Tells the page, and the other tabs what is news to them. */
export type Emit = (type: Change['type'], why: Change['why'], sessionId: string) => void;
