// The dashboard fits Grafana's own types, its panels fit beside each other, and each alert has its runbook.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript-api';
import { describe, expect, it } from 'vitest';

import { dashboard, DASHBOARD_FILE, PROMETHEUS_FILE, rules, type Panel } from '../../support/monitoring.js';

const ROOT = new URL('../../../', import.meta.url).pathname;

/** Enumerations as the texts that stand in JSON; panels by their kinds, each with its own options. */
const TYPES = `
import type * as grafana from '@grafana/schema';
import type * as graph from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
type Plain<T> = T extends string ? \`\${T}\` : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
interface Shown<Type, Options, Field> extends Omit<grafana.Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> {
  type: Type;
  options: Options;
  fieldConfig: {
    defaults: Omit<grafana.FieldConfig, 'custom'> & { custom?: Field };
    overrides: grafana.FieldConfigSource['overrides'];
  };
  targets: { refId: string; datasource: grafana.DataSourceRef; expr: string; legendFormat: string; instant?: boolean }[];
}
type OurPanel =
  | grafana.RowPanel
  | Shown<'stat', stat.Options, never>
  | Shown<'timeseries', graph.Options, graph.FieldConfig>;
type Dashboard = Omit<grafana.Dashboard, 'panels'> & { panels: OurPanel[] };
export const dashboard: Plain<Dashboard> = `;

const text = readFileSync(DASHBOARD_FILE, 'utf8');

/** What Grafana would not know. */
const MISTAKES: [right: string, wrong: string][] = [
  ['"displayMode": "list"', '"displayMode": "line"'],
  ['"type": "stat"', '"type": "start"'],
  ['"legendFormat"', '"legend"'],
  ['"schemaVersion": 42', '"schemaVersion": "42"'],
];

/**
 * Compiles programs of one file each, none of which need be there.
 *
 * @returns what the compiler says of each
 */
function compile(programs: string[]): string[][] {
  const texts = new Map(
    programs.map((program, n) => [join(ROOT, `test/unit/observability/made-${n}.ts`), program]),
  );
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    module: ts.ModuleKind.NodeNext,
    lib: ['lib.es5.d.ts'],
    types: [],
  };
  const plain = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...plain,
    fileExists: (name) => texts.has(name) || plain.fileExists(name),
    readFile: (name) => texts.get(name) ?? plain.readFile(name),
    getSourceFile: (name, version, ...rest) => {
      const made = texts.get(name);
      if (made === undefined) return plain.getSourceFile(name, version, ...rest);
      return ts.createSourceFile(name, made, version);
    },
  };
  const program = ts.createProgram([...texts.keys()], options, host);
  const said = ts.getPreEmitDiagnostics(program);
  return [...texts.keys()].map((name) =>
    said
      .filter(({ file }) => file === undefined || file.fileName === name)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n')),
  );
}

describe('the dashboard', () => {
  const shown = dashboard.panels.filter(({ type }) => type !== 'row');

  it('fits the types of Grafana, and would not with a mistake in it', () => {
    const wrongs = MISTAKES.map(([right, wrong]) => text.replace(right, wrong));
    const [said, ...saidOfWrongs] = compile([text, ...wrongs].map((each) => `${TYPES}${each};`));
    expect(said).toEqual([]);
    for (const [n, mistake] of MISTAKES.entries()) expect(saidOfWrongs[n], mistake[1]).not.toEqual([]);
  });

  it('numbers each panel once', () => {
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('has panels side by side, from edge to edge', () => {
    const cells = dashboard.panels.flatMap(cellsOf);
    expect(new Set(cells).size).toBe(cells.length);
    const bottom = Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
    expect(cells).toHaveLength(24 * bottom);
  });

  it('says of each panel what it shows', () => {
    for (const { title, description = '' } of shown) expect(description, title).toMatch(/\.$/);
  });

  it('asks the Prometheus that its reader has chosen', () => {
    const chosen = { type: 'prometheus', uid: '${datasource}' };
    for (const { title, datasource, targets = [] } of shown) {
      expect(targets.length, title).toBeGreaterThan(0);
      for (const asked of [{ datasource }, ...targets]) expect(asked.datasource, title).toEqual(chosen);
    }
  });

  it('has the panels that the four questions of docs/alerts.md send their reader to', () => {
    const [, rows = ''] = readFileSync('docs/alerts.md', 'utf8').split('**Four questions**');
    const cells = rows
      .split('\n')
      .filter((line) => line.startsWith('| ') && line.includes('?'))
      .map((line) => line.split('|')[2] ?? '');
    const named = cells.flatMap((cell) => [...cell.matchAll(/“([^”]+)”/g)].map(([, name]) => name));
    expect(cells).toHaveLength(4);
    expect(named.length).toBeGreaterThan(8);
    expect(shown.map(({ title }) => title)).toEqual(expect.arrayContaining(named));
  });

  it('gives colours and axes to lines that are there', () => {
    for (const { targets = [], ...panel } of shown) {
      const names = [...JSON.stringify(panel).matchAll(/"id":"byName","options":"([^"]*)"/g)];
      const legends = targets.map(({ legendFormat }) => legendFormat);
      const isByLabel = legends.some((legend) => legend.includes('{{'));
      for (const [, name] of names)
        if (!isByLabel || targets.length > 1) expect(legends, panel.title).toContain(name);
    }
  });
});

function cellsOf({ gridPos: { x, y, w, h } }: Panel): string[] {
  return Array.from({ length: w * h }, (_, n) => `${x + (n % w)} ${y + Math.floor(n / w)}`);
}

describe('each alert', () => {
  const page = readFileSync('docs/alerts.md', 'utf8');
  const [, ...sections] = page.split(/^## /m);
  const runbooks = new Map(sections.map((section) => [section.split('\n', 1)[0] ?? '', section]));

  it('has a runbook, and each runbook has an alert', () => {
    expect([...runbooks.keys()]).toEqual(rules.map(({ alert }) => alert));
  });

  it.each(rules)('leads to it: $alert', ({ alert, labels, annotations }) => {
    expect(annotations.runbook_url).toBe(`docs/alerts.md#${alert.toLowerCase()}`);
    expect(page).toMatch(
      new RegExp(`^\\| \\[${alert}\\]\\(#${alert.toLowerCase()}\\) +\\| ${labels.severity} +\\|`, 'm'),
    );
    const steps = ['It means', 'Users notice', 'Look first', 'Do', 'It is nothing'];
    const said = [...(runbooks.get(alert) ?? '').matchAll(/^- \*\*([^*]+)\*\*/gm)].map(([, step]) => step);
    expect(said).toEqual(steps);
  });

  it('is called by a job that the example of a configuration has', () => {
    const jobs = rules.flatMap(({ expr }) => [...expr.matchAll(/\bjob="(\w+)"/g)].map(([, job]) => job));
    expect(new Set(jobs)).toEqual(new Set(['gatehouse']));
    expect(readFileSync(PROMETHEUS_FILE, 'utf8')).toMatch(/^ +- job_name: gatehouse$/m);
  });
});
