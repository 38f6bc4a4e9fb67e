// @ts-check
// Users of backends: how a history names them, and the ids of their rows, by which events and orders know them. Calculated here from the
// contract, and not by the code that is to be proved.
import { v5 as uuidv5 } from 'uuid';

/** Fixed for good (contract, section 8). */
const NAMESPACE = '5c3c6ec5-7901-4b70-9d1e-8e17908444ea';

/** Of tokens of users who log in here. */
export const FIRST_PARTY = 'gatehouse';

/** Two clients may call their users the same: those are two users. @param {string} backend id of a client @param {string} externalId */
export const labelOf = (backend, externalId) => `${backend} ${externalId}`;

/** @param {string} label as {@link labelOf} gives it */
export const rowIdOf = (label) => uuidv5(label, NAMESPACE);

/** The id of the row of the user whom a token is about. @param {Record<string, unknown>} claims of either token */
export function userIdOf({ client_id: clientId = FIRST_PARTY, sub }) {
  return clientId === FIRST_PARTY ? String(sub) : rowIdOf(labelOf(String(clientId), String(sub)));
}
