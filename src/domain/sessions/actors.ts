/**
 * Who acts, as the name that stands in rows: `user:<id>`, `client:<id>`, `cli:<account>` of the command line, or `gatehouse` itself. Rows of
 * before say `user` without an id, and `operator` for the command line.
 */
import { sql } from '../../database/sql.js';
import { isUuid } from '../tokens/claims.js';

/** What the service does by itself. */
export const GATEHOUSE = 'gatehouse';

/** A user who acts on what is their own. */
export function actorOfUser(id: string): string {
  return `user:${id}`;
}

/** A client as rows name it. */
export function actorOfClient({ id }: { id: string }): string {
  return `client:${id}`;
}

/**
 * The id of the client that acts; null for the command line and the service itself, which may do all.
 *
 * @throws {Error} for anybody else
 */
export function clientOfActor(actor: string): string | null {
  if (actor.startsWith('client:')) return actor.slice('client:'.length);
  if (actor === GATEHOUSE || actor.startsWith('cli:')) return null;
  throw new Error('neither a client nor the command line');
}

/** The row of `revocations` was written by a user. Few others are, and they have an index of their own. */
export const IS_BY_USER = sql`(left(revocations.actor, 4) = 'user')`;
export const IS_BY_OTHERS = sql`(left(revocations.actor, 4) <> 'user')`;

/** Users end what is their own, so that those of one of them are found by whose they are, also where an older row does not say which. */
export function readActor(actor: string | null): {
  isByUser: boolean;
  ofUser: string | null;
  other: string | null;
} {
  const id = actor?.replace(/^user:/, '') ?? '';
  const ofUser = isUuid(id) && actor === actorOfUser(id) ? id : null;
  const isByUser = actor === 'user' || ofUser !== null;
  return { isByUser, ofUser, other: isByUser ? null : actor };
}

/** Of an actor as it stands in the row. */
export function kindOfActor(actor: string): string {
  return actor === 'operator' ? 'cli' : actor.replace(/:.*/s, '');
}
