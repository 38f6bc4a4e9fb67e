// @ts-check
// The form that the contract gives to answers, apart from what they say: statuses, headers, and claims as the token has them.
import { isDeepStrictEqual } from 'node:util';

/** @typedef {import('./history.js').Token} Token */
/** @typedef {Pick<import('./http.js').Answer, 'status' | 'headers' | 'body'>} Answer */

/** Of the codes that can be met here. @type {Readonly<Record<string, number>>} */
const STATUSES = {
  invalid_request: 400,
  invalid_credentials: 401,
  invalid_token: 401,
  refresh_reused: 401,
  refresh_superseded: 401,
  invalid_client: 401,
  insufficient_user_authentication: 401,
  insufficient_scope: 403,
  not_found: 404,
  not_liftable: 409,
  too_many_sessions: 409,
  username_taken: 409,
  too_many_requests: 429,
  temporarily_unavailable: 503,
};

/** Who is told when to come back. */
const CALLED_BACK = new Set([429, 503]);

/**
 * @param {Answer} answer
 * @param {string | null} error the code in it
 * @returns {string | null} what is wrong with it, in words
 */
export function findWrongForm({ status, headers, body }, error) {
  if (headers['cache-control']?.includes('no-store') !== true) return 'may be kept in a cache';
  if (error === null) return status === 204 && body !== '' ? 'a body where there is none' : null;
  if (STATUSES[error] !== status) return `${status} for ${error}`;
  if (!/^application\/(problem\+)?json\b/.test(headers['content-type'] ?? '')) return 'no JSON';
  if (status === 401 && !/^(Bearer|Basic) /.test(headers['www-authenticate'] ?? '')) return 'no challenge';
  if (CALLED_BACK.has(status ?? 0) && !/^\d+$/.test(headers['retry-after'] ?? '')) return 'no Retry-After';
  return null;
}

/**
 * The claims of an answer that are not the token's own; a member beside them is one too. `ver` is shown to nobody.
 *
 * @param {unknown} told
 * @param {Token} token
 * @param {Record<string, unknown>} besides what the answer says beside the claims
 * @returns {string[]} their names
 */
export function findOtherClaims(told, { claims: { ver: _, ...claims } }, besides) {
  const expected = { ...claims, ...besides };
  if (isDeepStrictEqual(told, expected)) return [];
  if (typeof told !== 'object' || told === null || Array.isArray(told)) return ['the whole answer'];
  const names = new Set([...Object.keys(expected), ...Object.keys(told)]);
  const members = /** @type {Record<string, unknown>} */ (told);
  return [...names].filter((name) => !isDeepStrictEqual(members[name], expected[name]));
}

/**
 * The headers for gateways that are not the token's own.
 *
 * @param {Answer['headers']} headers
 * @param {Token} token
 * @returns {string[]} their names
 */
export function findOtherHeaders(headers, { claims }) {
  /** @type {Record<string, string>} */
  const expected = {
    'x-auth-subject': claims['sub'],
    'x-auth-username': encodeURIComponent(claims['username']),
    'x-auth-session': claims['sid'],
    'x-auth-scope': claims['scope'] ?? '',
    'x-auth-client': claims['client_id'],
  };
  return Object.keys(expected).filter((name) => headers[name] !== expected[name]);
}
