/** What a replica remembers between requests, keys and clients, and how it catches up when the primary knows better. */
import type { ClientList } from '../clients.js';
import type { KeyRing } from '../keys/ring.js';

/** Immutable; a later version replaces the whole. */
export interface Memory {
  ring: KeyRing;
  clients: ClientList;
}

export interface Versions {
  keysVersion: string;
  clientsVersion: string;
}

export interface ReplicaMemory {
  /** What is remembered now. Keep the object that you used, and ask {@link isCurrent} about it. */
  recall: () => Memory;
  /** Loads what differs from the versions that the primary has just told. */
  catchUp: (seen: Versions) => Promise<void>;
}

export function isCurrent(memory: Memory, seen: Versions): boolean {
  return memory.ring.version === seen.keysVersion && memory.clients.version === seen.clientsVersion;
}

/** Loads keys and clients for the first time; later on, one load at a time serves all who found that they were behind. */
export async function createMemory(load: {
  ring: () => Promise<KeyRing>;
  clients: () => Promise<ClientList>;
}): Promise<ReplicaMemory> {
  let memory: Memory = { ring: await load.ring(), clients: await load.clients() };
  let loading: Promise<void> | undefined;

  async function reload(seen: Versions): Promise<void> {
    if (memory.ring.version !== seen.keysVersion) memory = { ...memory, ring: await load.ring() };
    if (memory.clients.version !== seen.clientsVersion) memory = { ...memory, clients: await load.clients() };
  }

  return {
    recall: () => memory,
    catchUp: async (seen) => {
      // A load under way may have begun before this was seen, or be of the other half: it may not be what is needed.
      while (loading !== undefined) await loading;
      if (isCurrent(memory, seen)) return;
      loading = reload(seen).finally(() => (loading = undefined));
      await loading;
    },
  };
}
