// How numbers are written in tables and charts.

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

/** A figure of one server as a share of another's. */
export function over(figures, base, figure) {
  return figures[figure] / base[figure];
}
