// @ts-check
// Numbers as Grafana's units say them, as far as our dashboard uses these.

const DAY = 86_400;

/** @param {number} value @param {{ unit?: string, decimals?: number }} field */
export function sayNumber(value, { unit = 'none', decimals = undefined }) {
  if (!Number.isFinite(value)) return '–';
  if (unit === 'percentunit') return `${(100 * value).toFixed(decimals ?? 1)} %`;
  if (unit === 'reqps') return `${short(value)}/s`;
  if (unit === 's') return sayDuration(value);
  return decimals === undefined ? short(value) : value.toFixed(decimals);
}

/** @param {number} seconds */
function sayDuration(seconds) {
  const size = Math.abs(seconds);
  if (size >= 2 * DAY) return `${short(seconds / DAY)} days`;
  if (size >= 7200) return `${short(seconds / 3600)} h`;
  if (size >= 120) return `${short(seconds / 60)} min`;
  if (size >= 1 || size === 0) return `${short(seconds)} s`;
  return `${short(1000 * seconds)} ms`;
}

/** Three digits. @param {number} value */
function short(value) {
  return String(Number(value.toPrecision(3)));
}
