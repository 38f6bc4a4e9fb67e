// The events of the reference service: each is written by what acts, for the request that is being answered.
import type { NotedEvent } from '../chaos/history.js';

export type ReferenceEvents = ReturnType<typeof createReferenceEvents>;

export function createReferenceEvents() {
  const all: NotedEvent[] = [];
  let answering: number | null = null;

  return {
    all,

    /** What happens within is told of as that request's. */
    during: <T>(mark: number, act: () => T): T => {
      answering = mark;
      const done = act();
      answering = null;
      return done;
    },

    write: (type: string, about: Partial<NotedEvent> = {}): void => {
      all.push({
        id: `event-${all.length}`,
        mark: answering,
        type,
        outcome: 'ok',
        actor: null,
        userId: null,
        sessionId: null,
        reason: null,
        detail: null,
        ...about,
      });
    },
  };
}
