/** The claims of the two kinds of token, under their names on the wire. Times are NumericDates in whole seconds. */

/** What every token says. */
interface TokenClaims {
  /** Who issued it: the service's `ISSUER`. */
  iss: string;
  /**
   * Whose it is: what to keep things under, together with `client_id`. Names change. A UUID for users who were made here; the
   * external id for those of a backend.
   */
  sub: string;
  aud: string | string[];
  /** Id of the session, a UUID. */
  sid: string;
  /** `<lineage>.<generation>`: a token and its successors share the lineage. */
  jti: string;
  iat: number;
  /** Exclusive: at `exp` the token is expired (RFC 7519 section 4.1.4). */
  exp: number;
  /** When the user proved who it is. */
  auth_time: number;
  /** When the session ends for good. */
  session_exp: number;
}

/** Of an access token (RFC 9068), `typ: at+jwt`. */
export interface AccessClaims extends TokenClaims {
  /** The client that opened the session; `gatehouse` for the service's own logins. */
  client_id: string;
  username: string;
  /** Separated by single spaces; absent when the user may do nothing in particular. */
  scope?: string;
  /** What a backend says of the session in its own words. */
  ext?: Extension;
  /** How the user proved who it is (RFC 8176), as a backend says it. */
  amr?: string[];
  /** How sure that is (RFC 9470), as a backend says it. */
  acr?: string;
  /** Who acts in the user's place (RFC 8693 section 4.1), as a backend says it. */
  act?: Acting;
  /** How often these claims were changed since the session was opened; absent for never. Not shown to callers. */
  ver?: number;
}

/** Of a refresh token, `typ: rt+jwt`: its audience is the issuer itself, its lineage is its session. */
export interface RefreshClaims extends TokenClaims {
  aud: string;
  /** The client that opened the session; absent for the service's own logins. */
  client_id?: string;
}

export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
export type Extension = Record<string, Json>;

/** Who acts; `act` within it is who acted before. */
export interface Acting {
  sub: string;
  iss?: string;
  client_id?: string;
  act?: Acting;
}
