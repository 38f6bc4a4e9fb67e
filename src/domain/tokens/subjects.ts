/** Which row of users a token is about. */
import {
  FIRST_PARTY_CLIENT_ID,
  SUBJECT_NAMESPACE,
  type AccessClaims,
  type RefreshClaims,
} from '@gatehouse/protocol';
import { v5 as uuidv5 } from 'uuid';

/** The name of a backend's user, which no login looks up: a name that can be typed contains no space. */
export function subjectName(clientId: string, externalId: string): string {
  return `${clientId} ${externalId}`;
}

/** The id of the row of a backend's user. It can be computed, so that nobody has to ask for it. */
export function subjectId(clientId: string, externalId: string): string {
  return uuidv5(subjectName(clientId, externalId), SUBJECT_NAMESPACE);
}

/** The id of the row that a token's claims are about. */
export function userIdOf({ client_id: clientId, sub }: Pick<RefreshClaims, 'client_id' | 'sub'>): string {
  return clientId === undefined || clientId === FIRST_PARTY_CLIENT_ID ? sub : subjectId(clientId, sub);
}

/** The name under which attempts at the user's password are counted. A backend's user has none, and must not spend those of another. */
export function accountOf({ client_id: clientId, sub, username }: AccessClaims): string {
  return clientId === FIRST_PARTY_CLIENT_ID ? username : subjectName(clientId, sub);
}
