// Figures: what is told of many, and how numbers are written in tables and charts.

/** Three digits that count, thousands apart; nothing for what was not measured. */
export function number(value) {
  if (!Number.isFinite(value)) return '';
  if (Math.abs(value) >= 1000) return count(value);
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
}

export function count(value) {
  return Number.isFinite(value) ? Math.round(value).toLocaleString('en-US') : '';
}

export function withUnit(value, unit) {
  return `${number(value)} ${unit}`.trim();
}

export function minutes(ms) {
  return ms < 60_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`;
}

/** Of a histogram in microseconds, the times in milliseconds. */
export function summaryOf(histogram) {
  const ms = (us) => us / 1000;
  return {
    count: histogram.count,
    p50: ms(histogram.percentile(50)),
    p99: ms(histogram.percentile(99)),
    max: ms(histogram.max),
  };
}

/** What was measured of requests about so many tokens each, told of each token; waiting times stay those of a request. */
export function perToken({ size, requestsPerSecond, cpuUs, postgresCpuUs, ...rest }) {
  return {
    ...rest,
    requestsPerSecond: requestsPerSecond * size,
    cpuUs: cpuUs / size,
    postgresCpuUs: postgresCpuUs / size,
  };
}

/** A figure of one server as a share of another's. */
export function over(figures, base, figure) {
  return figures[figure] / base[figure];
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
