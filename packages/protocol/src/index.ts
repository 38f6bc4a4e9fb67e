/**
 * What the service, its clients and its resource servers agree on: claims, error codes, the renewal window, the grammar of scopes,
 * of tokens and of subjects.
 */
export type { AccessClaims, Acting, Extension, Json, RefreshClaims } from './claims.js';
export { basicOf, isText, readUrl } from './client-options.js';
export { ERROR_CODES, type ErrorCode } from './errors.js';
export { windowSeconds } from './renewal.js';
export { isScope } from './scope.js';
export { CLIENT_ID, FIRST_PARTY_CLIENT_ID, isExternalId, SUBJECT_NAMESPACE } from './subject.js';
export { isTokenText, MAX_TOKEN_CHARACTERS } from './token.js';
