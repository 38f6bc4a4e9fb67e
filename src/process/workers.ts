/** Several processes that serve on one port: started together, replaced when one dies, told when to go. */
import cluster, { type Worker as Forked } from 'node:cluster';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';

import { StartError } from '../database/start-error.js';
import { openLookoutForWorkers, type Hearsay } from './lookout.js';
import { serveMetrics } from './metrics.js';
import type { SharedSetup, Service } from './replica.js';
import { createScraper, type Scraped, type Scraper } from './scrapes.js';
import type { Signal } from './signals.js';

/** What a worker tells us: that it listens to us, and what came of it then. */
export type Report = { isListening: true } | { addresses: string[] } | { failure: string } | Scraped;

/** Before a worker is replaced; doubled as long as none of them lives for `CALM_MS`. */
const SHORTEST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 10_000;
const CALM_MS = 60_000;

const SIGNAL_LAG_MS = 200;

interface Worker {
  pid: number | undefined;
  startedAt: number;
  isServing: boolean;
  /** Where it serves; rejects when it ends before it does. */
  addresses: Promise<string[]>;
  ended: Promise<Ending>;
  /** It hears the setup to serve from, and later the signal to leave with. */
  tell: (order: SharedSetup | Signal | Hearsay) => void;
  kill: () => void;
}

interface Ending {
  code: number | null;
  signal: string | null;
  /** Why it could not serve, in its own words. */
  failure?: string;
}

/**
 * Starts the processes at once, so that they load their code while the setup is prepared.
 *
 * @param told a signal has come: nobody waits any longer for workers that a Ctrl-C may have ended already
 */
export function startWorkers(count: number, logger: Logger, told: Promise<unknown>): Service {
  cluster.setupPrimary({ exec: fileURLToPath(new URL('worker.js', import.meta.url)) });
  const workers = new Set<Worker>();
  const scraper = createScraper();
  const leaving = new AbortController();
  const isLeaving = () => leaving.signal.aborted;

  function start(): Worker {
    const worker = startWorker(scraper);
    workers.add(worker);
    void worker.ended.then(() => workers.delete(worker));
    return worker;
  }

  /** Keeps the place of one worker filled until we leave. */
  async function keep(worker: Worker, setup: SharedSetup): Promise<void> {
    for (let delayMs = SHORTEST_DELAY_MS; ; delayMs = Math.min(2 * delayMs, LONGEST_DELAY_MS)) {
      const ending = await worker.ended;
      if (isLeaving()) return;
      if (performance.now() - worker.startedAt > CALM_MS) delayMs = SHORTEST_DELAY_MS;
      logger.error({ worker: worker.pid, ...ending, delayMs }, 'a worker ended and will be replaced');
      await sleep(delayMs, undefined, { signal: leaving.signal }).catch(() => undefined);
      if (isLeaving()) return;
      worker = replace(worker, setup);
    }
  }

  /** The same worker again, which has ended, when the system has no process for us. */
  function replace(worker: Worker, setup: SharedSetup): Worker {
    try {
      const successor = start();
      successor.tell(setup);
      successor.addresses.then(
        () => logger.info({ worker: successor.pid }, 'a worker took its place'),
        () => undefined,
      );
      return successor;
    } catch (error) {
      logger.error({ err: error }, 'no worker can be started');
      return worker;
    }
  }

  const first = Array.from({ length: count }, start);
  let stopLookout = () => Promise.resolve();
  let stopMetrics = () => Promise.resolve();
  return {
    serve: async (setup) => {
      for (const worker of first) worker.tell(setup);
      // A Ctrl-C reaches all processes, and we may hear of a worker's end by it before our own signal.
      const serving = Promise.all(first.map(({ addresses }) => addresses)).catch(async (error: unknown) => {
        await Promise.race([told, sleep(SIGNAL_LAG_MS)]);
        throw error;
      });
      const served = await Promise.race([told.then(() => null), serving]);
      if (served === null) return [];
      for (const worker of first) void keep(worker, setup);
      stopLookout = openLookoutForWorkers(setup.databaseUrl, (hearsay) => {
        for (const worker of workers) worker.tell(hearsay);
      });
      stopMetrics = await serveMetrics(setup, scraper.gather, logger);
      return served[0] ?? [];
    },
    leave: async (signal) => {
      leaving.abort();
      const lookout = stopLookout();
      for (const worker of workers) {
        if (worker.isServing) worker.tell(signal);
        // Nothing was promised by one that does not serve yet, and it may be waiting for a database that is away.
        else worker.kill();
      }
      await Promise.all([lookout, ...Array.from(workers, ({ ended }) => ended)]);
      // Prometheus sees the service until it has left.
      await stopMetrics();
    },
  };
}

function startWorker(scraper: Scraper): Worker {
  const forked = cluster.fork();
  scraper.attend(forked);
  const { listens, addresses, ended } = attend(forked);
  const worker: Worker = {
    pid: forked.process.pid,
    startedAt: performance.now(),
    isServing: false,
    addresses,
    ended,
    // Over IPC: the setup holds secrets, and the environment of a process is open to more than the process. What is
    // sent before it listens is lost.
    tell: (order) => void listens.then(() => forked.send(order, () => undefined)),
    kill: () => void forked.process.kill('SIGKILL'),
  };
  // Whoever waits for it hears of a failure; nobody may be waiting.
  addresses.then(
    () => (worker.isServing = true),
    () => undefined,
  );
  return worker;
}

/** What becomes of a process, from its reports and its end. */
function attend(forked: Forked): Pick<Worker, 'addresses' | 'ended'> & { listens: Promise<void> } {
  const said: { failure?: string } = {};
  const ended = new Promise<Ending>((resolve) => {
    forked.once('exit', (code, signal) => {
      const end = () => resolve({ code, signal, ...said });
      // Its last report may still be on its way.
      if (forked.isConnected()) forked.once('disconnect', end);
      else end();
    });
    // Without a listener, an order to a process that has just died would end us. One that never began has no exit.
    forked.on('error', () => {
      if (forked.process.pid === undefined) resolve({ code: null, signal: null });
    });
  });
  const listens = new Promise<void>((resolve) => {
    forked.on('message', (report: Report) => {
      if ('isListening' in report) resolve();
    });
  });
  const addresses = new Promise<string[]>((resolve, reject) => {
    forked.on('message', (report: Report) => {
      if ('addresses' in report) resolve(report.addresses);
      if ('failure' in report) said.failure = report.failure;
    });
    void ended.then(({ code, signal, failure }) => {
      const how = signal ?? `exit status ${code ?? 'unknown'}`;
      const unexplained = `A worker ended before it served (${how}). See the lines above, and set WORKERS to 1 if memory is short.`;
      reject(new StartError(failure ?? unexplained));
    });
  });
  return { listens, addresses, ended };
}
