/** What a replica keeps between requests, keys and clients, and how it loads them anew when the primary has others. */
import type { ClientList } from './client-list.js';
import type { KeyRing } from '../keys/ring.js';
import type { RowOf } from '../../database/columns.js';

/** Keys and clients as one replica has loaded them. Immutable: a later version replaces the whole. */
export interface Snapshot {
  ring: KeyRing;
  clients: ClientList;
}

/** Columns of every statement that tells which keys and clients are in force. */
export const VERSION_COLUMNS = { keysVersion: 'uuid', clientsVersion: 'uuid' } as const;
export type Versions = RowOf<typeof VERSION_COLUMNS>;

export interface ReplicaState {
  /** The latest. Keep the object that you used, and ask {@link isCurrent} about it. */
  current: () => Snapshot;
  /** Loads what differs from the versions that the primary has just told. */
  catchUp: (seen: Versions) => Promise<void>;
}

export function isCurrent(snapshot: Snapshot, seen: Versions): boolean {
  return snapshot.ring.version === seen.keysVersion && snapshot.clients.version === seen.clientsVersion;
}

/** Loads keys and clients for the first time; later on, one load at a time serves all who found that they were behind. */
export async function createReplicaState(load: {
  ring: () => Promise<KeyRing>;
  clients: () => Promise<ClientList>;
}): Promise<ReplicaState> {
  let snapshot: Snapshot = { ring: await load.ring(), clients: await load.clients() };
  let loading: Promise<void> | undefined;

  async function reload(seen: Versions): Promise<void> {
    if (snapshot.ring.version !== seen.keysVersion) snapshot = { ...snapshot, ring: await load.ring() };
    if (snapshot.clients.version !== seen.clientsVersion)
      snapshot = { ...snapshot, clients: await load.clients() };
  }

  return {
    current: () => snapshot,
    catchUp: async (seen) => {
      // A load under way may have begun before this was seen, or be of the other half: it may not be what is needed.
      while (loading !== undefined) await loading;
      if (isCurrent(snapshot, seen)) return;
      loading = reload(seen).finally(() => (loading = undefined));
      await loading;
    },
  };
}
