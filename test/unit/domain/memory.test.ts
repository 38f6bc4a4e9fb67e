// What a replica keeps, and that it is caught up when it says so.
import { describe, expect, it } from 'vitest';

import type { ClientList } from '../../../src/domain/liveness/client-list.js';
import {
  createReplicaState,
  isCurrent,
  type ReplicaState,
  type Versions,
} from '../../../src/domain/liveness/replica-state.js';
import type { KeyRing } from '../../../src/domain/keys/ring.js';

/** A primary whose versions a test raises, and whose answers it holds back. */
async function createPrimary(): Promise<{
  versions: Versions;
  loads: string[];
  state: ReplicaState;
  hold: () => () => void;
}> {
  const versions = { keysVersion: 'v1', clientsVersion: 'v1' };
  const loads: string[] = [];
  let gate = Promise.resolve();
  /** What was true when the statement ran; the answer comes when the gate opens. */
  async function load<T>(name: string, read: () => string): Promise<T> {
    loads.push(name);
    const version = read();
    await gate;
    return { version } as T;
  }
  const state = await createReplicaState({
    ring: () => load<KeyRing>('ring', () => versions.keysVersion),
    clients: () => load<ClientList>('clients', () => versions.clientsVersion),
  });
  loads.length = 0;
  return {
    versions,
    loads,
    state,
    hold: () => {
      let open: () => void = () => undefined;
      gate = new Promise((resolve) => (open = resolve));
      return open;
    },
  };
}

describe('catching up', () => {
  it('loads what differs and leaves the rest', async () => {
    const { versions, loads, state } = await createPrimary();
    const before = state.current();
    versions.keysVersion = 'v2';
    await state.catchUp({ ...versions });
    expect(loads).toEqual(['ring']);
    expect(state.current().ring.version).toBe('v2');
    expect(state.current().clients).toBe(before.clients);
    expect(before.ring.version).toBe('v1');
  });

  it('loads once for all who are behind at the same time', async () => {
    const { versions, loads, state } = await createPrimary();
    versions.clientsVersion = 'v2';
    await Promise.all(Array.from({ length: 50 }, () => state.catchUp({ ...versions })));
    expect(loads).toEqual(['clients']);
  });

  it('does not take a load that began too early for its own', async () => {
    const { versions, state, hold } = await createPrimary();
    versions.keysVersion = 'v2';
    const answer = hold();
    const early = state.catchUp({ ...versions });
    versions.keysVersion = 'v3';
    const seen = { ...versions };
    const late = state.catchUp(seen);
    answer();
    await Promise.all([early, late]);
    expect(isCurrent(state.current(), seen)).toBe(true);
  });

  it('does not take a load of clients for one of keys', async () => {
    const { versions, state, hold } = await createPrimary();
    versions.clientsVersion = 'v2';
    const answer = hold();
    const clients = state.catchUp({ ...versions });
    versions.keysVersion = 'v2';
    const seen = { ...versions };
    const keys = state.catchUp(seen);
    answer();
    await Promise.all([clients, keys]);
    expect(isCurrent(state.current(), seen)).toBe(true);
  });

  it('goes back with a primary that was restored from a backup', async () => {
    const { versions, state } = await createPrimary();
    versions.keysVersion = 'v5';
    await state.catchUp({ ...versions });
    versions.keysVersion = 'v4';
    await state.catchUp({ ...versions });
    expect(state.current().ring.version).toBe('v4');
  });
});

it('tries again after a load that failed, and tells those who waited for it', async () => {
  let isDown = false;
  const state = await createReplicaState({
    ring: () => (isDown ? Promise.reject(new Error('down')) : Promise.resolve({ version: 'v1' } as KeyRing)),
    clients: () => Promise.resolve({ version: 'v1' } as ClientList),
  });
  isDown = true;
  const seen = { keysVersion: 'v2', clientsVersion: 'v1' };
  const both = await Promise.allSettled([state.catchUp(seen), state.catchUp(seen)]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  isDown = false;
  await expect(state.catchUp(seen)).resolves.toBeUndefined();
});
