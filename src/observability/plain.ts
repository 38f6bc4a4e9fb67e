/**
 * Counters and histograms that are counted in plain numbers: those of prom-client, which look each series up by a text of its
 * labels, take 3 to 6 µs for each request (docs/decisions/0026-metrics.md). All series are there from the beginning.
 */
import { Counter, type Metric, type MetricValueWithName, type Registry } from 'prom-client';

export type Labels = Record<string, string>;

/** A counter's series. Add to `value`. */
export interface Count<L extends Labels> {
  readonly labels: L;
  value: number;
}

export interface Described {
  name: string;
  help: string;
}

/** @returns the series in the order of `series`, each at 0 */
export function createCounts<L extends Labels>(
  registry: Registry,
  described: Described,
  series: readonly L[],
): Count<L>[] {
  const counts = series.map((labels) => ({ labels, value: 0 }));
  new Counter({
    ...described,
    labelNames: Object.keys(series[0] ?? {}),
    registers: [registry],
    collect() {
      this.reset();
      for (const { labels, value } of counts) this.inc({ ...labels }, value);
    },
  });
  return counts;
}

/** Takes note of a value of one series. */
export type Observe = (value: number) => void;

/**
 * @param buckets upper bounds, ascending
 * @returns adds a series, at 0
 */
export function createHistogram(
  registry: Registry,
  described: Described,
  buckets: readonly number[],
): (labels: Labels) => Observe {
  const series: { labels: Labels; counts: number[]; total: { sum: number } }[] = [];

  function* valuesOf({ labels, counts, total }: (typeof series)[number]) {
    let below = 0;
    for (const [place, bound] of [...buckets, '+Inf'].entries()) {
      below += counts[place] ?? 0;
      yield {
        labels: { ...labels, le: String(bound) },
        value: below,
        metricName: `${described.name}_bucket`,
      };
    }
    yield { labels, value: total.sum, metricName: `${described.name}_sum` };
    yield { labels, value: below, metricName: `${described.name}_count` };
  }

  const metric = {
    ...described,
    type: 'histogram',
    aggregator: 'sum',
    get: () => {
      const values: MetricValueWithName<string>[] = series.flatMap((each) => [...valuesOf(each)]);
      return Promise.resolve({ ...described, type: 'histogram', aggregator: 'sum', values });
    },
  };
  // A registry asks no more of a metric than this. Its type names the classes.
  registry.registerMetric(metric as unknown as Metric);

  return (labels) => {
    const counts = Array<number>(buckets.length + 1).fill(0);
    const total = { sum: 0 };
    series.push({ labels, counts, total });
    return (value) => {
      let place = 0;
      while (place < buckets.length && value > (buckets[place] as number)) place += 1;
      counts[place] = (counts[place] as number) + 1;
      total.sum += value;
    };
  };
}
