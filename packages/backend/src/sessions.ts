/** What is said of a session and what is answered, under its names on the wire; and whether an answer is one. */
import { isTokenText, type Acting, type Extension } from '@gatehouse/protocol';

import { unexpected } from './errors.js';
import type { Told } from './wire.js';

/** A session to be opened. What is left out, or undefined, is not said. */
export interface NewSession {
  /**
   * What this client calls the user: 1 to 255 printable ASCII characters without spaces, compared byte by byte. It becomes `sub` in the
   * tokens, beside this client's id as `client_id`: the two together are the user.
   */
  external_id: string;
  /** A name to show; by default the external id. */
  username?: string | undefined;
  /** What the tokens of this session are good for, separated by single spaces. */
  scope?: string | undefined;
  /** For whom the tokens are: 1 to 5, among the audiences of the client. By default the service's `AUDIENCE`. */
  audience?: string[] | undefined;
  /** What else is to stand in the tokens: at most 1 KiB of JSON, five levels deep. */
  ext?: Extension | undefined;
  /** NumericDate in whole seconds: when the user proved who it is. By default now; never later. */
  auth_time?: number | undefined;
  /** How the user did (RFC 8176). */
  amr?: string[] | undefined;
  /** How sure that is (RFC 9470). */
  acr?: string | undefined;
  /** Who acts in the user's place (RFC 8693 section 4.1). */
  act?: Acting | undefined;
  /** After how many seconds the session ends for good; no more than the service's `SESSION_TTL`, which is the default. */
  session_ttl?: number | undefined;
  /** How many seconds an access token lives, 30 or more; no more than the service's `ACCESS_TOKEN_TTL`, which is the default. */
  access_token_ttl?: number | undefined;
  /** Whether there is a refresh token. By default there is. */
  refresh?: boolean | undefined;
  /** Where the user is, for lists of sessions. */
  ip?: string | undefined;
  user_agent?: string | undefined;
}

/** The tokens of a session (RFC 6749 section 5.1): hand them to the user as they are. Lifetimes are in seconds. */
export interface OpenedSession {
  access_token: string;
  token_type: 'Bearer';
  expires_in: number;
  /** Absent with `refresh: false`. */
  refresh_token?: string;
  refresh_expires_in?: number;
  /** A UUID: for `updateSession` and `endSession`. */
  session_id: string;
}

/** What changes of a session. Null takes it away; in `ext`, which is merged, null takes a member away (RFC 7396). */
export interface SessionPatch {
  scope?: string | null | undefined;
  ext?: Extension | null | undefined;
  auth_time?: number | null | undefined;
  amr?: string[] | null | undefined;
  acr?: string | null | undefined;
}

/** A session as its client sees it. */
export interface ClientSession {
  id: string;
  external_id: string;
  username: string;
  /** Empty for none. */
  scope: string;
  audience: string[];
  /** NumericDate. */
  auth_time: number;
  ext: Extension;
  amr: string[];
  acr: string | null;
  act: Acting | null;
  /** ISO 8601. */
  created_at: string;
  /** ISO 8601: when it ends for good. */
  expires_at: string;
}

export interface Ended {
  /** How many sessions ended; at most 1,000 are counted. */
  sessions_ended: number;
  /** Whether more ended than were counted. */
  more?: true;
}

type Tests = Record<string, (value: unknown) => boolean>;

const isText = (value: unknown): boolean => typeof value === 'string' && value !== '';
const isAnyText = (value: unknown): boolean => typeof value === 'string';
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);
const isSeconds = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
const isToken = (value: unknown): boolean => typeof value === 'string' && isTokenText(value) && value !== '';
const isObject = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isAbsent = (value: unknown): boolean => value === undefined;
const orNull =
  (test: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === null || test(value);

const OPENED: Tests = {
  access_token: isToken,
  token_type: (value) => value === 'Bearer',
  expires_in: isSeconds,
  session_id: isText,
};
const WITH_REFRESH: Tests = { ...OPENED, refresh_token: isToken, refresh_expires_in: isSeconds };
const WITHOUT_REFRESH: Tests = { ...OPENED, refresh_token: isAbsent, refresh_expires_in: isAbsent };

const CLIENT_SESSION: Tests = {
  id: isText,
  external_id: isText,
  username: isText,
  scope: isAnyText,
  audience: isTexts,
  auth_time: isSeconds,
  ext: isObject,
  amr: isTexts,
  acr: orNull(isText),
  act: orNull(isObject),
  created_at: isText,
  expires_at: isText,
};

const ENDED: Tests = {
  sessions_ended: isSeconds,
  more: (value) => value === undefined || value === true,
};

export function readOpened(told: Told, hasRefresh: boolean): OpenedSession {
  return read(told, hasRefresh ? WITH_REFRESH : WITHOUT_REFRESH) as unknown as OpenedSession;
}

export function readClientSession(told: Told): ClientSession {
  return read(told, CLIENT_SESSION) as unknown as ClientSession;
}

export function readEnded(told: Told): Ended {
  return read(told, ENDED) as unknown as Ended;
}

/** @throws {BackendError} unexpected_answer that names what is wrong, and no value */
function read({ status, body }: Told, tests: Tests): Record<string, unknown> {
  const wrong = Object.entries(tests).filter(([name, isGood]) => !isGood(body[name]));
  if (wrong.length === 0) return body;
  throw unexpected(status, `lacks a good ${wrong.map(([name]) => name).join(', ')}`);
}
