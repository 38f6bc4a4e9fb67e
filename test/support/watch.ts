// Readers who ask without pause, through whatever befalls the database, about a token that is alive and one that was ended.
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';

import type { TokenPair } from './house.js';
import type { Resident } from './resident.js';
import type { Answer, Service } from './service.js';

export interface Watch {
  aboutAlive: Answer[];
  aboutEnded: Answer[];
  /** Waits for the answers under way. */
  stop: () => Promise<void>;
}

/** Asks all services in turn, with so many questions at once. */
export function watch(
  resident: Resident,
  services: Service[],
  { alive, ended }: { alive: TokenPair; ended: TokenPair },
  readers: number,
): Watch {
  const [aboutAlive, aboutEnded]: [Answer[], Answer[]] = [[], []];
  const stopping = new AbortController();
  const read = async (place: number) => {
    for (let turn = place; !stopping.signal.aborted; turn += 1) {
      const service = services[turn % services.length];
      if (service === undefined) throw new Error('no service');
      aboutAlive.push(await resident.introspect(service, alive));
      aboutEnded.push(await resident.introspect(service, ended));
      await sleep(10);
    }
  };
  const done = Promise.all(Array.from({ length: readers }, (_, place) => read(place)));
  const stop = async () => {
    stopping.abort();
    await done;
  };
  onTestFinished(stop);
  return { aboutAlive, aboutEnded, stop };
}

export function statusesOf(answers: Answer[]): Set<number> {
  return new Set(answers.map(({ status }) => status));
}

/** What introspections said; 503 says nothing. */
export function verdictsOf(answers: Answer[]): Set<boolean> {
  const told = answers.filter(({ status }) => status !== 503);
  return new Set(told.map((answer) => answer.json<{ active: boolean }>().active));
}

export function slowestOf(answers: Answer[]): number {
  return Math.max(...answers.map(({ tookMs }) => tookMs));
}
