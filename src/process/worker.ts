/** One of several processes that serve: a replica that takes its orders from the process that started it. */
import { on } from 'node:events';

import { explainCrashes, explainFailure } from './explain.js';
import { createLogger } from '../http/log.js';
import { createReplica, type SharedSetup } from './replica.js';
import { SIGNALS, type Signal } from './signals.js';
import type { Report } from './workers.js';

async function work(): Promise<void> {
  const orders = on(process, 'message');
  // Ctrl-C in a terminal and some supervisors tell every process at once; the first one says when we go.
  for (const signal of SIGNALS) process.on(signal, () => undefined);
  // Nobody would ever tell an orphan to go.
  process.on('disconnect', () => process.exit());
  report({ isListening: true });
  const setup = await next<SharedSetup>(orders);
  const { logLevel, workers } = setup.config;
  const replica = createReplica(createLogger(logLevel, workers));
  let signal: Signal = 'SIGINT';
  try {
    report({ addresses: await replica.serve(setup) });
    signal = await next<Signal>(orders);
  } finally {
    await replica.leave(signal);
  }
}

async function next<Order>(orders: AsyncIterator<unknown>): Promise<Order> {
  const { value } = (await orders.next()) as IteratorYieldResult<[Order]>;
  return value[0];
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
