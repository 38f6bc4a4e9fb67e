/** One of several processes that serve: a replica that takes its orders from the process that started it. */
import { on } from 'node:events';

import { explainCrashes, explainFailure } from './explain.js';
import { createLogger } from '../http/log/log.js';
import { createHearer, isHearsay } from './lookout.js';
import type { ReplicaMetrics } from '../observability/replica-metrics.js';
import { createReplica, type SharedSetup } from './replica.js';
import { isScrape } from './scrapes.js';
import { SIGNALS, type Signal } from './signals.js';
import type { Report } from './workers.js';

async function work(): Promise<void> {
  const orders = on(process, 'message');
  const hearer = createHearer();
  process.on('message', (order) => isHearsay(order) && hearer.hear(order));
  // Ctrl-C in a terminal and some supervisors tell every process at once; the first one says when we go.
  for (const signal of SIGNALS) process.on(signal, () => undefined);
  // Nobody would ever tell an orphan to go.
  process.on('disconnect', () => process.exit());
  report({ isListening: true });
  const setup = await next<SharedSetup>(orders);
  const { logLevel, workers } = setup.config;
  let measured: ReplicaMetrics | null = null;
  process.on('message', (order) => {
    if (isScrape(order)) void tellMetrics(measured);
  });
  const replica = createReplica(createLogger(logLevel, workers), {
    listen: hearer.listen,
    measure: (metrics) => (measured = metrics),
  });
  let signal: Signal = 'SIGINT';
  try {
    report({ addresses: await replica.serve(setup) });
    signal = await next<Signal>(orders);
  } finally {
    await replica.leave(signal);
  }
}

async function next<Order>(orders: AsyncIterator<unknown>): Promise<Order> {
  for (;;) {
    const { value } = (await orders.next()) as IteratorYieldResult<[Order]>;
    if (!isHearsay(value[0]) && !isScrape(value[0])) return value[0];
  }
}

/** What cannot be measured must not end a worker that serves: then it is counted as it was the last time. */
async function tellMetrics(measured: ReplicaMetrics | null): Promise<void> {
  const metrics = await measured?.report().catch((error: unknown) => {
    process.emitWarning(error as Error);
    return null;
  });
  if (metrics !== null) report({ metrics: metrics ?? [] });
}

function report(what: Report, done?: () => void): void {
  process.send?.(what, undefined, undefined, done);
}

explainCrashes();
work().then(
  // The way to the first process would keep us alive.
  () => process.exit(),
  (error: unknown) => report({ failure: explainFailure(error) }, () => process.exit(1)),
);
