/** What the tabs of one origin owe each other: to take turns, and to say what happened. */
import type { Change } from './api.js';

export interface Tabs {
  /** Runs a task while no other tab runs one. */
  alone: <T>(task: () => Promise<T>) => Promise<T>;
  /** Tells the other tabs. No token is ever on this channel: who needs one looks into the storage. */
  tell: (change: Change) => void;
  close: () => void;
}

/** `hear` gets what another tab said, or nothing when there may be something to look for. */
export function joinTabs(name: string, hear: (change?: Change) => void): Tabs {
  // Locks want a secure context, and both are younger than `fetch`.
  const { navigator, BroadcastChannel, addEventListener } = globalThis as {
    navigator?: { locks?: LockManager };
    BroadcastChannel?: typeof globalThis.BroadcastChannel;
    addEventListener?: typeof globalThis.addEventListener;
  };
  const events = new AbortController();
  const channel = BroadcastChannel && new BroadcastChannel(name);
  // Node would wait for its messages for ever.
  (channel as { unref?: () => void } | undefined)?.unref?.();
  channel?.addEventListener('message', ({ data }) => hear(data as Change), { signal: events.signal });
  const look = (event: Event) => {
    const { persisted, key } = event as Partial<PageTransitionEvent & StorageEvent>;
    // What the application keeps beside us is none of our business; no key: all was cleared.
    if (persisted !== false && (key ?? name).includes(name)) hear();
  };
  // Written by another tab; and back from where pages wait, deaf, for the back button.
  for (const type of ['storage', 'pageshow']) addEventListener?.(type, look, { signal: events.signal });

  let last: Promise<unknown> = Promise.resolve();

  /** Without locks, two tabs may send the same token: the service then gives both the same successor. */
  function inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = last.then(task);
    last = turn.catch(() => undefined);
    return turn;
  }

  return {
    alone: async (task) => {
      if (!navigator?.locks) return inTurn(task);
      const turn = { hasStarted: false };
      try {
        return await navigator.locks.request(name, () => {
          turn.hasStarted = true;
          return task();
        });
      } catch (error) {
        // A frame in a sandbox has locks, but not the right to them.
        if (turn.hasStarted) throw error;
        return inTurn(task);
      }
    },
    tell: (change) => {
      if (!events.signal.aborted) channel?.postMessage(change);
    },
    close: () => {
      events.abort();
      channel?.close();
    },
  };
}
