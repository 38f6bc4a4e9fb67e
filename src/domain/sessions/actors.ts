/**
 * Who acts, as the name that stands in rows: `user:<id>`, `client:<id>`, `cli:<account>` of the command line, or `gatehouse` itself. Rows of
 * before say `user` without an id, and `operator` for the command line.
 */
import { sql } from '../../database/sql.js';

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

/** The row of `revocations` was written by a user. Few others are, and they have an index of their own. */
export const IS_BY_USER = sql`(left(revocations.actor, 4) = 'user')`;
export const IS_BY_OTHERS = sql`(left(revocations.actor, 4) <> 'user')`;

/** Of an actor as it stands in the row. */
export function kindOfActor(actor: string): string {
  return actor === 'operator' ? 'cli' : actor.replace(/:.*/s, '');
}
