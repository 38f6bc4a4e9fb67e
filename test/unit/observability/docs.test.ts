// docs/metrics.md names every metric that is served, with its labels, and no other.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Registry } from 'prom-client';

import { ENDS } from '../../../src/domain/sessions/endings.js';
import { UNAVAILABILITIES } from '../../../src/domain/reports/unavailability.js';
import { createReplicaMetrics } from '../../../src/observability/replica-metrics.js';
import { createServiceMetrics } from '../../../src/observability/service-metrics.js';

const page = readFileSync('docs/metrics.md', 'utf8');

/** By metric: the labels that the page names. */
const documented = new Map(
  [...page.matchAll(/^\| `(\w+)` *\|([^|]*)\|[^|]*\|[^|]*\|$/gm)].map(([, name = '', labels = '']) => [
    name,
    labels
      .split(';')
      .flatMap((part) => part.replace(/:.*/, '').match(/\w+/g) ?? [])
      .toSorted(),
  ]),
);

async function labelsOf(registry: Registry): Promise<[string, string[]][]> {
  const metrics = await registry.getMetricsAsJSON();
  return metrics
    .filter(({ name }) => !/^(?:process|nodejs)_/.test(name))
    .map(({ name, values }) => {
      const labels = new Set(values.flatMap((value) => Object.keys(value.labels)));
      labels.delete('le');
      return [name, [...labels].sort()];
    });
}

const none = { open: 0, idle: 0, waiting: 0 };
const pool = { connections: () => none };
const replica = createReplicaMetrics({
  hasher: { load: () => ({ running: 0, waiting: 0, admitted: 0, limit: 0 }) },
  pools: { work: pool, liveness: pool },
});
const service = createServiceMetrics({ version: '1.2.3', isAlone: true });
replica.stop();
service.stop();

describe('the page on metrics', () => {
  it('has a row for each metric, with its labels, and for nothing else', async () => {
    const served = [...(await labelsOf(replica.registry)), ...(await labelsOf(service.registry))];
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(served));
  });

  it('explains each reason of unavailability', () => {
    const [, section = ''] = page.split('## Reasons of unavailability');
    const reasons = [...section.matchAll(/^\| `(\w+)` *\|/gm)].map(([, reason]) => reason);
    expect(reasons.toSorted()).toEqual([...UNAVAILABILITIES].sort());
  });

  it('names each kind of actor', () => {
    for (const kind of new Set(Object.values(ENDS).flat())) expect(page).toContain(`\`${kind}\``);
  });
});

it('begins every series of ours at 0, but for the version', async () => {
  const metrics = [
    ...(await replica.registry.getMetricsAsJSON()),
    ...(await service.registry.getMetricsAsJSON()),
  ].filter(({ name }) => !/^(?:process|nodejs)_/.test(name));
  const begun = metrics.flatMap(({ name, values }) =>
    values.filter(({ value }) => value !== 0).map(() => name),
  );
  expect(begun).toEqual(['gatehouse_build_info']);
  for (const { name, values } of metrics) expect(values, name).not.toEqual([]);
});
