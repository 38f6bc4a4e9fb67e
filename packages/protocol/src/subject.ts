/**
 * Who a token is about: the pair of `client_id` and `sub`. Users who were made here have `gatehouse` for a client and a UUID for
 * `sub`; those of a backend have its client id, and the name that the backend has for them.
 */

/** The `client_id` of tokens of users who were made here. No client is called so. */
export const FIRST_PARTY_CLIENT_ID = 'gatehouse';

/** A client's id is typed into commands and Basic headers: no space, no colon, nothing to encode. */
export const CLIENT_ID = /^(?!gatehouse$)[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/**
 * The namespace of the UUIDv5 (RFC 9562 section 5.5) that is the id of a backend's user: of `<client id> <external id>`. A client id
 * contains no space, so no two pairs have one name.
 */
export const SUBJECT_NAMESPACE = '5c3c6ec5-7901-4b70-9d1e-8e17908444ea';

const EXTERNAL_ID = /^(?!client:|gatehouse:)[!-~]{1,255}$/;

/** Whether a backend may call a user so: printable ASCII without spaces, compared byte by byte. */
export function isExternalId(text: unknown): text is string {
  return typeof text === 'string' && EXTERNAL_ID.test(text);
}
