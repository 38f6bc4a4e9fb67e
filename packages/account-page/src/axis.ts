/** The stretch of time that a picture shows, and where on it a moment lies. */
import type { Life } from './life.js';
import { clockTime, dayAndMinute, minuteTime } from './words.js';

export interface Axis {
  /** Where a moment lies, from 0 at the left edge to 1 at the right; moments far beyond lie a little beyond. */
  shareOf: (at: number) => number;
  ticks: { share: number; label: string }[];
}

/** Steps between ticks, in seconds. */
const STEPS = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

/** As many labels as stand beside each other on a phone. */
const MOST_TICKS = 4;

/** Labels closer to an edge would be cut off. */
const EDGE = 0.06;

/** What begins or ends out of sight is open on that side. */
const BEYOND = 0.05;

/** How much of what went before, and of what is to come, is shown beside the tokens in use, in shares of a life. */
const BEFORE = 0.3;
const AFTER = 0.25;

/** An axis that shows all of the tokens in use, the last part of those before, and the beginning of those to come. */
export function createAxis(shown: { life: Life; isFuture: boolean }[]): Axis {
  const inUse = shown.filter(({ isFuture }) => !isFuture).map(({ life }) => life);
  const current = inUse.at(-1);
  if (current === undefined) return { shareOf: () => 0, ticks: [] };
  const life = current.expiresAt - current.issuedAt;
  const from = current.issuedAt - (inUse.length > 1 ? BEFORE : 0.04) * life;
  const to = Math.max(current.graceEndsAt, current.expiresAt + AFTER * life) + 0.04 * life;
  const shareOf = (at: number) => Math.min(1 + BEYOND, Math.max(-BEYOND, (at - from) / (to - from)));
  return { shareOf, ticks: createTicks(from, to, shareOf) };
}

function createTicks(from: number, to: number, shareOf: Axis['shareOf']): Axis['ticks'] {
  const step = STEPS.find((seconds) => (to - from) / seconds <= MOST_TICKS) ?? 7 * 86_400;
  const label = step < 60 ? clockTime : step < 86_400 ? minuteTime : dayAndMinute;
  // Round in the time zone of whoever looks.
  const zone = new Date(from * 1000).getTimezoneOffset() * 60;
  const ticks: Axis['ticks'] = [];
  for (let at = Math.ceil((from - zone) / step) * step + zone; at < to; at += step) {
    const share = shareOf(at);
    if (share > EDGE && share < 1 - EDGE) ticks.push({ share, label: label(at) });
  }
  return ticks;
}
