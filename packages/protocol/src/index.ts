/**
 * What the service, its clients and its resource servers agree on: claims, error codes, the renewal window, the grammar of scopes
 * and of tokens.
 */
export type { AccessClaims, RefreshClaims } from './claims.js';
export { ERROR_CODES, type ErrorCode } from './errors.js';
export { windowSeconds } from './renewal.js';
export { isScope } from './scope.js';
export { isTokenText, MAX_TOKEN_CHARACTERS } from './token.js';
