// What expressions of PromQL select: enough of the language for rules and dashboards of ours.

export interface Matcher {
  label: string;
  operator: '=' | '!=' | '=~' | '!~';
  value: string;
}

/** A metric, and what its labels are held against. */
export interface Selector {
  metric: string;
  matchers: Matcher[];
}

const KEYWORDS = new Set(['and', 'or', 'unless', 'bool', 'offset', 'by', 'without', 'on', 'ignoring']);
const GROUPING = /\b(?:by|without|on|ignoring|group_left|group_right)\b(?:\s*\(([^)]*)\))?/g;

/** Every name that is no function, no keyword and no label: what is not a metric is found by not being known. */
export function selectorsIn(expression: string): Selector[] {
  const bare = expression.replace(GROUPING, ' ').replace(/\[[^\]]*\]/g, ' ');
  return [...bare.matchAll(/(?<![\w:.])([A-Za-z_:][\w:]*)(?!\w*\s*\()\s*(?:\{([^}]*)\})?/g)].flatMap(
    ([, metric = '', matchers = '']) =>
      KEYWORDS.has(metric) ? [] : [{ metric, matchers: matchersIn(matchers) }],
  );
}

/** The labels that an expression groups or joins by. */
export function groupingsIn(expression: string): string[] {
  return [...expression.matchAll(GROUPING)].flatMap(([, labels = '']) => labels.match(/\w+/g) ?? []);
}

function matchersIn(text: string): Matcher[] {
  return [...text.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)].map(
    ([, label = '', operator, value = '']) => ({
      label,
      operator: operator as Matcher['operator'],
      value,
    }),
  );
}

/** Whether it selects this series, by the labels that the service gives it: Prometheus adds `job` and `instance` to all of ours. */
export function isSelected({ name, labels }: Sample, { metric, matchers }: Selector): boolean {
  return (
    name === metric &&
    matchers.every(({ label, operator, value }) => {
      if (label === 'job' || label === 'instance') return true;
      if (value.includes('\\')) throw new Error(`${metric}: an escape in ${value} is not understood`);
      const found = labels[label] ?? '';
      const holds = operator.endsWith('~') ? new RegExp(`^(?:${value})$`).test(found) : found === value;
      return operator.startsWith('!') ? !holds : holds;
    })
  );
}

export function writeSelector({ metric, matchers }: Selector): string {
  return `${metric}{${matchers.map(({ label, operator, value }) => `${label}${operator}"${value}"`).join(',')}}`;
}

/** The series of Prometheus text: of each metric, the labels of each. */
export function readSeries(text: string): Map<string, Record<string, string>[]> {
  const series = new Map<string, Record<string, string>[]>();
  for (const { name, labels } of readSamples(text)) series.set(name, [...(series.get(name) ?? []), labels]);
  return series;
}

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

export function readSamples(text: string): Sample[] {
  return [...text.matchAll(/^([a-z_:][\w:]*)(?:\{(.*)\})? (\S+)$/gim)].map(
    ([, name = '', labels = '', value]) => ({
      name,
      labels: Object.fromEntries(matchersIn(labels).map((matcher) => [matcher.label, matcher.value])),
      value: Number(value),
    }),
  );
}
