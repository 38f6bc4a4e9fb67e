// @ts-check
// One panel of the picture: a lane for each replica and one for PostgreSQL, over one stretch of time.
import { escapeText, round } from '../../shared/svg.js';
import { ENDS, isNegative } from './answers.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('./telling.js').Kill} Kill */
/** @typedef {{ name: string, top: number, height: number }} Lane */
/** @typedef {{ left: number, width: number, fromMs: number, toMs: number, x: (ms: number) => number }} Panel */
/** @typedef {{ lane: string, at: number, text: string, name: string }} Word something to be said of a moment, in the look of a class */

/** Above the bars of a lane is room for words. */
const WORDS_HEIGHT = 17;
const CHARACTER_WIDTH = 5.9;

const BAR = { lowest: 4, highest: 9, gap: 1, narrowest: 2 };

/** @param {Operation} operation */
function classOf(operation) {
  if (operation.outcome === 'unknown') return 'unknown';
  if (isNegative(operation)) return 'inactive';
  if (ENDS.has(operation.kind)) return 'end';
  return operation.access === undefined ? 'active' : 'minted';
}

/** @param {Panel} panel @param {Lane[]} lanes */
export function drawGround({ left, width }, lanes) {
  return lanes.map(
    ({ top, height }) =>
      `<rect class="lane" x="${left}" y="${top}" width="${width}" height="${height}" rx="4"/>`,
  );
}

/**
 * One path for each class, so that the file stays small.
 *
 * @param {Panel} panel
 * @param {Lane[]} lanes
 * @param {Operation[]} operations in the order of their starts
 */
export function drawBars(panel, lanes, operations) {
  const seen = operations.filter((one) => one.end >= panel.fromMs && one.start <= panel.toMs);
  const filled = lanes
    .map((lane) => ({ lane, own: seen.filter(({ replica }) => replica === lane.name) }))
    .filter(({ own }) => own.length > 0);
  const room = Math.min(...filled.map(({ lane }) => lane.height)) - WORDS_HEIGHT - BAR.gap;
  const deepest = Math.max(
    ...filled.flatMap(({ own }) => stack(panel, own, Infinity).map(({ row }) => row + 1)),
  );
  const height = Math.max(BAR.lowest, Math.min(BAR.highest, Math.floor(room / deepest) - BAR.gap));
  const rows = Math.floor(room / (height + BAR.gap));
  /** @type {Map<string, string>} */
  const paths = new Map();
  for (const { lane, own } of filled)
    for (const { operation, x, width, row } of stack(panel, own, rows)) {
      const name = classOf(operation);
      const y = lane.top + WORDS_HEIGHT + row * (height + BAR.gap);
      paths.set(name, `${paths.get(name) ?? ''}M${x} ${y}h${width}v${height}h-${width}z`);
    }
  return [...paths].map(([name, path]) => `<path class="${name}" d="${path}"/>`);
}

/**
 * Bars that do not meet share a row; where rows run out, the one that has been free for longest takes one more.
 *
 * @param {Panel} panel
 * @param {Operation[]} operations
 * @param {number} rows
 */
function stack({ x, fromMs, toMs }, operations, rows) {
  /** @type {number[]} */
  const freeFrom = [];
  return operations.map((operation) => {
    const begin = x(Math.max(fromMs, operation.start));
    const width = round(Math.max(BAR.narrowest, x(Math.min(toMs, operation.end)) - begin));
    const free = freeFrom.findIndex((since) => since <= begin);
    const isFull = free < 0 && freeFrom.length >= rows;
    const row = isFull ? freeFrom.indexOf(Math.min(...freeFrom)) : free < 0 ? freeFrom.length : free;
    freeFrom[row] = begin + width;
    return { operation, x: begin, width, row };
  });
}

/**
 * What was killed, and until when it answered nobody; a kill of PostgreSQL concerns all.
 *
 * @param {Panel} panel
 * @param {Lane[]} lanes
 * @param {Kill[]} kills
 */
export function drawKills({ x, fromMs, toMs }, lanes, kills) {
  const [top, bottom] = edgesOf(lanes);
  return kills
    .filter(({ at, backAt }) => at <= toMs && backAt >= fromMs)
    .flatMap(({ target, at, backAt }) => {
      const lane = lanes.find(({ name }) => name === target);
      if (lane === undefined) return [];
      const begin = x(Math.max(fromMs, at));
      const width = round(x(Math.min(toMs, backAt)) - begin);
      const own = `<rect class="away" x="${begin}" y="${lane.top}" width="${width}" height="${lane.height}"/>`;
      const mark = at < fromMs ? '' : `<path class="kill" d="M${begin} ${lane.top}v${lane.height}"/>`;
      if (target !== 'postgres') return [own, mark];
      const all = `<rect class="starved" x="${begin}" y="${top}" width="${width}" height="${bottom - top}"/>`;
      return [all, own, mark];
    });
}

/** @param {Lane[]} lanes @returns {[top: number, bottom: number]} */
export function edgesOf(lanes) {
  return [
    Math.min(...lanes.map(({ top }) => top)),
    Math.max(...lanes.map(({ top, height }) => top + height)),
  ];
}

/**
 * Words above the bars, each where there is still room for it; the first ones have the first choice.
 *
 * @param {Panel} panel
 * @param {Lane[]} lanes
 * @param {Word[]} words
 */
export function drawWords({ left, width, x, fromMs, toMs }, lanes, words) {
  /** @type {{ lane: string, from: number, to: number }[]} */
  const taken = [];
  return words.flatMap(({ lane, at, text, name }) => {
    const place = lanes.find((one) => one.name === lane);
    if (place === undefined || at < fromMs || at > toMs) return [];
    const wide = text.length * CHARACTER_WIDTH;
    const from = [x(at) + 4, x(at) - wide - 4].find(
      (begin) =>
        begin >= left &&
        begin + wide <= left + width &&
        !taken.some((one) => one.lane === lane && begin < one.to + 4 && one.from < begin + wide + 4),
    );
    if (from === undefined) return [];
    const isAfter = from > x(at);
    taken.push({ lane, from, to: from + wide });
    return [
      `<text class="word ${name}-word" x="${round(x(at) + (isAfter ? 4 : -4))}" y="${place.top + 12}" text-anchor="${isAfter ? 'start' : 'end'}">${escapeText(text)}</text>`,
    ];
  });
}
