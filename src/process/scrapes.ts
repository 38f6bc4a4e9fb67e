/** How the first process asks those that serve for their metrics, and how these answer. */
import type { Worker } from 'node:cluster';

import type { Report } from '../observability/adding-up.js';

/** What the first process sends to a worker, and what it gets back. */
export interface Scrape {
  scrape: true;
}
export interface Scraped {
  metrics: Report;
}

/** The latest reports of all processes that serve or have served. */
export type Gather = () => Promise<Report[]>;

/** A worker that is busy for longer is counted as it was the last time. */
const PATIENCE_MS = 1000;

export function isScrape(order: unknown): order is Scrape {
  return typeof order === 'object' && order !== null && 'scrape' in order;
}

export interface Scraper {
  /** Takes in a worker, until it ends. */
  attend: (worker: Worker) => void;
  gather: Gather;
}

export function createScraper(): Scraper {
  const workers = new Set<Worker>();
  const latest = new Map<Worker, Report>();
  let ended: Report[] = [];
  let gathering: Promise<Report[]> | undefined;

  async function gather(): Promise<Report[]> {
    await Promise.all(Array.from(workers, ask));
    const { sumOfEnded } = await import('../observability/adding-up.js');
    const gone = ended;
    ended = [];
    const sum = await sumOfEnded(gone);
    ended.push(sum);
    return [...ended, ...latest.values()];
  }

  return {
    attend: (worker) => {
      workers.add(worker);
      worker.on('message', (message: Partial<Scraped>) => {
        // The last report may come after the exit: it is counted among the ended ones already.
        if (message.metrics !== undefined && workers.has(worker)) latest.set(worker, message.metrics);
      });
      worker.once('exit', () => {
        const last = latest.get(worker);
        if (last !== undefined) ended.push(last);
        latest.delete(worker);
        workers.delete(worker);
      });
    },
    // Who asks meanwhile gets the same: a report that is waited for twice could come once.
    gather: () => (gathering ??= gather().finally(() => (gathering = undefined))),
  };
}

/** Resolves when the worker has answered, has ended, or takes too long. */
async function ask(worker: Worker): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, PATIENCE_MS);
    const hear = (message: Partial<Scraped>) => {
      if (message.metrics !== undefined) done();
    };
    function done(): void {
      clearTimeout(timer);
      worker.off('message', hear).off('exit', done);
      resolve();
    }
    worker.on('message', hear).once('exit', done);
    try {
      // The error is that of a channel which has just closed: the exit follows.
      worker.send({ scrape: true } satisfies Scrape, () => undefined);
    } catch {
      // One that could not be started has no channel, and nothing to report.
      done();
    }
  });
}
