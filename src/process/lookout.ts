/** Hears soon where the address of the database leads: once for all processes of a start. */
import { createFence, type Fence, type Server } from '../database/fence.js';
import { openDatabase } from '../database/prisma.js';
import { startLookout } from '../domain/liveness/lookout.js';

/** What the first process tells its workers: who answers at the address of the database. */
export interface Hearsay {
  heard: Server;
}

/** @param fence takes note of it, in this process */
export function openLookout(databaseUrl: string, fence: Fence): () => Promise<void> {
  const fresh = openDatabase(databaseUrl, { connections: 1, readsOnly: true, isFresh: true, fence });
  const stop = startLookout(fresh);
  return async () => {
    await stop();
    await fresh.close();
  };
}

/** @param tell is told each second, so that a worker that has just started hears of it too */
export function openLookoutForWorkers(
  databaseUrl: string,
  tell: (hearsay: Hearsay) => void,
): () => Promise<void> {
  return openLookout(
    databaseUrl,
    createFence(undefined, (heard) => tell({ heard })),
  );
}

/** What a worker does with what it is told, before it has a fence and after. */
export function createHearer(): { hear: (hearsay: Hearsay) => void; listen: (fence: Fence) => void } {
  let last: Server | undefined;
  let fence: Fence | undefined;
  return {
    hear: ({ heard }) => {
      last = heard;
      fence?.hear(heard);
    },
    listen: (own) => {
      fence = own;
      if (last !== undefined) own.hear(last);
    },
  };
}

export function isHearsay(order: unknown): order is Hearsay {
  return typeof order === 'object' && order !== null && 'heard' in order;
}
