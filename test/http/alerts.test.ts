// Rules, dashboard and pages name metrics, labels and values of labels that Gatehouse serves, and no others.
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';

import { takeCensus } from '../../src/domain/reports/census.js';
import { writeMerged } from '../../src/observability/adding-up.js';
import { createReplicaMetrics } from '../../src/observability/replica-metrics.js';
import { createServiceMetrics } from '../../src/observability/service-metrics.js';
import { openHouse, type House } from '../support/house.js';
import { dashboard, panelQueries, rules, RULES_TEST_FILE } from '../support/monitoring.js';
import { groupingsIn, readSeries, selectorsIn, type Matcher, type Selector } from '../support/promql.js';

/** Prometheus adds the first two to every series, and makes the metrics. */
const OF_TARGETS = ['job', 'instance'];
const OF_PROMETHEUS = new Map([
  ['up', [{}]],
  ['ALERTS', [{ alertstate: 'firing', alertname: '' }]],
]);

let house: House;
let served: Map<string, Record<string, string>[]>;

beforeAll(async () => {
  house = await openHouse();
  const pool = { connections: () => ({ open: 0, idle: 0, waiting: 0 }) };
  const replica = createReplicaMetrics({ hasher: house.hasher, pools: { work: pool, liveness: pool } });
  const service = createServiceMetrics({ version: '1.2.3', isAlone: true });
  const { database } = await house.replica({ meter: replica.meter });
  service.takeUp(await takeCensus(database));
  served = new Map([
    ...readSeries(await writeMerged([replica.registry, service.registry])),
    ...OF_PROMETHEUS,
  ]);
  replica.stop();
  service.stop();
});
afterAll(() => house.close());

/** What a matcher names: each alternative of a regular expression of plain words. */
function valuesOf({ operator, value }: Matcher): string[] {
  if (operator === '=' || operator === '!=') return [value];
  return /^[\w/|]+$/.test(value) ? value.split('|') : [];
}

/** What is wrong with a selector, in words. */
function findFaults({ metric, matchers }: Selector): string[] {
  const series = served.get(metric);
  if (series === undefined) return [`there is no metric ${metric}`];
  const held = matchers.filter(({ label }) => !OF_TARGETS.includes(label));
  const unknown = held.flatMap((matcher) =>
    valuesOf(matcher)
      .filter((value) => !series.some((labels) => labels[matcher.label] === value))
      .map((value) => `no series of ${metric} has ${matcher.label}="${value}"`),
  );
  const chosen = held.filter((matcher) => matcher.operator.startsWith('=') && valuesOf(matcher).length > 0);
  const isThere = series.some((labels) =>
    chosen.every((matcher) => valuesOf(matcher).includes(labels[matcher.label] ?? '')),
  );
  if (isThere || unknown.length > 0) return unknown;
  return [`no series of ${metric} has all of ${JSON.stringify(chosen)}`];
}

function findFaultsOf(expression: string): string[] {
  const selectors = selectorsIn(expression);
  const labels = new Set(selectors.flatMap(({ metric }) => served.get(metric)?.flatMap(Object.keys) ?? []));
  const strange = groupingsIn(expression).filter(
    (label) => !OF_TARGETS.includes(label) && !labels.has(label),
  );
  return [
    ...(selectors.length === 0 ? ['it selects nothing'] : []),
    ...selectors.flatMap(findFaults),
    ...strange.map((label) => `none of its metrics has the label ${label}`),
  ];
}

describe('what is selected is served', () => {
  it.each(rules.map(({ alert, expr }) => [alert, expr]))('by the rule %s', (_alert, expr) => {
    expect(findFaultsOf(expr)).toEqual([]);
  });

  it.each(panelQueries.map(({ name, expr }) => [name, expr]))('by the panel %s', (_name, expr) => {
    expect(findFaultsOf(expr)).toEqual([]);
  });

  it.each(dashboard.templating.list.map(({ name, query }) => [name, query]))(
    'by the variable %s',
    (_name, query) => {
      if (query === 'prometheus') return;
      const [, metric = '', label = ''] =
        /^label_values\((\w+), (\w+)\)$/.exec((query as { query: string }).query) ?? [];
      expect([served.has(metric), OF_TARGETS.includes(label)]).toEqual([true, true]);
    },
  );

  it('in the series that the rules are tried with', () => {
    const { tests } = parse(readFileSync(RULES_TEST_FILE, 'utf8'), { merge: true }) as {
      tests: { input_series: { series: string }[] }[];
    };
    const series = tests.flatMap(({ input_series }) => input_series.map((each) => each.series));
    expect(series.length).toBeGreaterThan(30);
    expect(series.flatMap(findFaultsOf)).toEqual([]);
  });
});

it('every metric of ours is on the dashboard', () => {
  const shown = new Set(panelQueries.flatMap(({ expr }) => selectorsIn(expr).map(({ metric }) => metric)));
  const baseOf = (metric: string) => metric.replace(/_(?:bucket|sum|count)$/, '');
  const bases = new Set([...shown].map(baseOf));
  const ours = new Set([...served.keys()].filter((name) => /^(?:gatehouse|http)_/.test(name)).map(baseOf));
  expect([...ours].filter((metric) => !bases.has(metric))).toEqual([]);
});

it('every metric that a page names is served', () => {
  const pages = [
    'README.md',
    ...['docs', 'docs/decisions', 'deploy', 'deploy/prometheus', 'deploy/grafana'].flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => name.endsWith('.md'))
        .map((name) => `${folder}/${name}`),
    ),
  ];
  const named = pages.flatMap((page) =>
    [...readFileSync(page, 'utf8').matchAll(/\bgatehouse_\w+/g)].map(([metric]) => ({
      page,
      metric,
    })),
  );
  expect(named.length).toBeGreaterThan(20);
  const isServed = (metric: string) => served.has(metric) || served.has(`${metric}_count`);
  expect(named.filter(({ metric }) => !isServed(metric))).toEqual([]);
});

describe('this test', () => {
  it.each([
    ['rate(gatehouse_login_total[5m])', 'there is no metric gatehouse_login_total'],
    [
      'gatehouse_logins_total{outcome=~"ok|right"}',
      'no series of gatehouse_logins_total has outcome="right"',
    ],
    [
      'gatehouse_unavailable_total{reason!="hash"}',
      'no series of gatehouse_unavailable_total has reason="hash"',
    ],
    ['gatehouse_logins_total{result="ok"}', 'no series of gatehouse_logins_total has result="ok"'],
    ['sum by (kind) (gatehouse_logins_total)', 'none of its metrics has the label kind'],
    ['time() > 3', 'it selects nothing'],
  ])('finds what is wrong with %s', (expression, fault) => {
    expect(findFaultsOf(expression)).toEqual([fault]);
  });

  it('knows a series that no route has', () => {
    const expression = 'http_request_duration_seconds_count{route="/logout",status_code="201"}';
    expect(findFaultsOf(expression)).not.toEqual([]);
  });
});
