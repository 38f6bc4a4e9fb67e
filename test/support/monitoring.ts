// The files of deploy/prometheus and deploy/grafana, as their tests read them.
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

export interface Rule {
  alert: string;
  expr: string;
  for?: string;
  labels: { severity: string };
  annotations: { summary: string; runbook_url: string };
}

interface Target {
  expr: string;
  legendFormat: string;
  refId: string;
  datasource: { type: string; uid: string };
}

export interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  datasource?: { type: string; uid: string };
  targets?: Target[];
}

export interface Dashboard {
  templating: { list: { name: string; query: string | { query: string } }[] };
  panels: Panel[];
}

export const RULES_FILE = 'deploy/prometheus/gatehouse.rules.yml';
export const RULES_TEST_FILE = 'deploy/prometheus/gatehouse.rules.test.yml';
export const PROMETHEUS_FILE = 'deploy/prometheus/prometheus.yml';
export const DASHBOARD_FILE = 'deploy/grafana/gatehouse.json';

export const rules = (
  parse(readFileSync(RULES_FILE, 'utf8')) as { groups: { rules: Rule[] }[] }
).groups.flatMap((group) => group.rules);

export const dashboard = JSON.parse(readFileSync(DASHBOARD_FILE, 'utf8')) as Dashboard;

/** Each expression of the dashboard, with values in the place of its variables. */
export const panelQueries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr, refId }) => ({
    name: `${title}, ${refId}`,
    expr: expr.replaceAll('$__rate_interval', '1m').replaceAll('$job', 'gatehouse'),
  })),
);
