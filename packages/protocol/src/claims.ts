/** The claims of the two kinds of token, under their names on the wire. Times are NumericDates in whole seconds. */

/** What every token says. */
interface TokenClaims {
  /** Who issued it: the service's `ISSUER`. */
  iss: string;
  /** The user's id, a UUID: what to keep things under. Names change. */
  sub: string;
  aud: string;
  /** Id of the session, a UUID. */
  sid: string;
  /** `<lineage>.<generation>`: a token and its successors share the lineage. */
  jti: string;
  iat: number;
  /** Exclusive: at `exp` the token is expired (RFC 7519 section 4.1.4). */
  exp: number;
  /** When the user gave the password. */
  auth_time: number;
  /** When the session ends for good. */
  session_exp: number;
}

/** Of an access token (RFC 9068), `typ: at+jwt`. */
export interface AccessClaims extends TokenClaims {
  /** `gatehouse` for the service's own logins. */
  client_id: string;
  username: string;
  /** Separated by single spaces; absent when the user may do nothing in particular. */
  scope?: string;
  /** How often these claims were changed since the session was opened; absent for never. Not shown to callers. */
  ver?: number;
}

/** Of a refresh token, `typ: rt+jwt`: its audience is the issuer itself, its lineage is its session. */
export type RefreshClaims = TokenClaims;
