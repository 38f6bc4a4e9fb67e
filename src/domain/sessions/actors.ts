/** Who ends something, as the word that stands in rows: `user`, `operator`, `gatehouse`, `client:<id>` or `cli:<account>`. */

/** A client as rows name it. */
export function actorOfClient({ id }: { id: string }): string {
  return `client:${id}`;
}

/** Of an actor as it stands in the row. */
export function kindOfActor(actor: string): string {
  return actor === 'operator' ? 'cli' : actor.replace(/:.*/s, '');
}
