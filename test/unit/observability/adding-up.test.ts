// Several processes as one: counters and histograms are added up, and what was counted stays when a process ends.
import { Counter, Gauge, Registry } from 'prom-client';
import { expect, it } from 'vitest';

import { reportOf, sumOfEnded, writeSum, type Report } from '../../../src/observability/adding-up.js';
import { createCounts, createHistogram } from '../../../src/observability/plain.js';

/** What a process reports that has counted so much. */
async function reportWith(logins: number, seconds: number[]): Promise<Report> {
  const registry = new Registry();
  const [ok] = createCounts(registry, { name: 'logins_total', help: 'Logins.' }, [
    { outcome: 'ok' },
    { outcome: 'wrong' },
  ]);
  if (ok !== undefined) ok.value = logins;
  const observe = createHistogram(
    registry,
    { name: 'took_seconds', help: 'Time.' },
    [0.1, 1],
  )({ route: '/' });
  for (const each of seconds) observe(each);
  new Gauge({ name: 'open', help: 'Open.', registers: [registry] }).set(5);
  new Gauge({ name: 'done', help: 'Done.', aggregator: 'max', registers: [registry] }).set(logins);
  // As it comes from another process.
  return structuredClone(await reportOf(registry));
}

const linesOf = (text: string) => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

it('adds up what all have counted, and takes the latest of times', async () => {
  const text = await writeSum([await reportWith(3, [0.05, 0.1, 5]), await reportWith(4, [0.5])]);
  expect(linesOf(text)).toEqual([
    'logins_total{outcome="ok"} 7',
    'logins_total{outcome="wrong"} 0',
    'took_seconds_bucket{route="/",le="0.1"} 2',
    'took_seconds_bucket{route="/",le="1"} 3',
    'took_seconds_bucket{route="/",le="+Inf"} 4',
    'took_seconds_sum{route="/"} 5.65',
    'took_seconds_count{route="/"} 4',
    'open 10',
    'done 4',
  ]);
});

it('keeps what a process has counted that has ended, and not what it had open', async () => {
  const ended = await sumOfEnded([await reportWith(3, [0.5]), await reportWith(2, [])]);
  const again = await sumOfEnded([ended, await reportWith(10, [0.5])]);
  const lines = linesOf(await writeSum([again, await reportWith(4, [])]));
  expect(lines).toContain('logins_total{outcome="ok"} 19');
  expect(lines).toContain('took_seconds_count{route="/"} 2');
  expect(lines).toContain('open 5');
});

it('has nothing to add where no process has ended', async () => {
  expect(await sumOfEnded([])).toEqual([]);
});

it('writes counts and histograms as prom-client writes its own', async () => {
  const theirs = new Registry();
  const counter = new Counter({
    name: 'logins_total',
    help: 'Logins.',
    labelNames: ['outcome'],
    registers: [theirs],
  });
  counter.inc({ outcome: 'ok' }, 2);
  const { Histogram } = await import('prom-client');
  const histogram = new Histogram({
    name: 'took_seconds',
    help: 'Time.',
    labelNames: ['route'],
    buckets: [0.1, 1],
    registers: [theirs],
  });
  const ours = new Registry();
  const [ok] = createCounts(ours, { name: 'logins_total', help: 'Logins.' }, [{ outcome: 'ok' }]);
  if (ok !== undefined) ok.value = 2;
  const observe = createHistogram(ours, { name: 'took_seconds', help: 'Time.' }, [0.1, 1])({ route: '/' });
  for (const seconds of [0, 0.1, 0.1000001, 1, 1.5, 100]) {
    histogram.observe({ route: '/' }, seconds);
    observe(seconds);
  }
  const sorted = async (registry: Registry) =>
    (await registry.metrics()).replaceAll(/\{(le="[^"]+"),(route="\/")\}/g, '{$2,$1}');
  expect(await sorted(ours)).toBe(await sorted(theirs));
});
