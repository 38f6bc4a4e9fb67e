// What a replica remembers, and that it is caught up when it says so.
import { describe, expect, it } from 'vitest';

import type { ClientList } from '../../src/domain/clients.js';
import {
  createMemory,
  isCurrent,
  type ReplicaMemory,
  type Versions,
} from '../../src/domain/liveness/replica-state.js';
import type { KeyRing } from '../../src/domain/keys/ring.js';

/** A primary whose versions a test raises, and whose answers it holds back. */
async function createPrimary(): Promise<{
  versions: Versions;
  loads: string[];
  memory: ReplicaMemory;
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
  const memory = await createMemory({
    ring: () => load<KeyRing>('ring', () => versions.keysVersion),
    clients: () => load<ClientList>('clients', () => versions.clientsVersion),
  });
  loads.length = 0;
  return {
    versions,
    loads,
    memory,
    hold: () => {
      let open: () => void = () => undefined;
      gate = new Promise((resolve) => (open = resolve));
      return open;
    },
  };
}

describe('catching up', () => {
  it('loads what differs and leaves the rest', async () => {
    const { versions, loads, memory } = await createPrimary();
    const before = memory.recall();
    versions.keysVersion = 'v2';
    await memory.catchUp({ ...versions });
    expect(loads).toEqual(['ring']);
    expect(memory.recall().ring.version).toBe('v2');
    expect(memory.recall().clients).toBe(before.clients);
    expect(before.ring.version).toBe('v1');
  });

  it('loads once for all who are behind at the same time', async () => {
    const { versions, loads, memory } = await createPrimary();
    versions.clientsVersion = 'v2';
    await Promise.all(Array.from({ length: 50 }, () => memory.catchUp({ ...versions })));
    expect(loads).toEqual(['clients']);
  });

  it('does not take a load that began too early for its own', async () => {
    const { versions, memory, hold } = await createPrimary();
    versions.keysVersion = 'v2';
    const answer = hold();
    const early = memory.catchUp({ ...versions });
    versions.keysVersion = 'v3';
    const seen = { ...versions };
    const late = memory.catchUp(seen);
    answer();
    await Promise.all([early, late]);
    expect(isCurrent(memory.recall(), seen)).toBe(true);
  });

  it('does not take a load of clients for one of keys', async () => {
    const { versions, memory, hold } = await createPrimary();
    versions.clientsVersion = 'v2';
    const answer = hold();
    const clients = memory.catchUp({ ...versions });
    versions.keysVersion = 'v2';
    const seen = { ...versions };
    const keys = memory.catchUp(seen);
    answer();
    await Promise.all([clients, keys]);
    expect(isCurrent(memory.recall(), seen)).toBe(true);
  });

  it('goes back with a primary that was restored from a backup', async () => {
    const { versions, memory } = await createPrimary();
    versions.keysVersion = 'v5';
    await memory.catchUp({ ...versions });
    versions.keysVersion = 'v4';
    await memory.catchUp({ ...versions });
    expect(memory.recall().ring.version).toBe('v4');
  });
});

it('tries again after a load that failed, and tells those who waited for it', async () => {
  let isDown = false;
  const memory = await createMemory({
    ring: () => (isDown ? Promise.reject(new Error('down')) : Promise.resolve({ version: 'v1' } as KeyRing)),
    clients: () => Promise.resolve({ version: 'v1' } as ClientList),
  });
  isDown = true;
  const seen = { keysVersion: 'v2', clientsVersion: 'v1' };
  const both = await Promise.allSettled([memory.catchUp(seen), memory.catchUp(seen)]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  isDown = false;
  await expect(memory.catchUp(seen)).resolves.toBeUndefined();
});
