// @ts-check
// Draws one session of a history as SVG text: what each replica answered about it, what was killed meanwhile, and its end.
import { escapeText, round, scaleOf } from '../shared/svg.js';
import { drawBars, drawGround, drawKills, drawWords, edgesOf } from './picture/lanes.js';
import { STYLE } from './picture/style.js';
import { findTelling } from './picture/telling.js';
import { describe, sayEnd, sourceOf, wordsOf } from './picture/words.js';

/** @typedef {import('./history.js').History} History */
/** @typedef {import('./picture/lanes.js').Lane} Lane */
/** @typedef {import('./picture/lanes.js').Panel} Panel */
/** @typedef {import('./picture/telling.js').Telling} Telling */

const TITLE = 'Life and end of one session, while replicas and PostgreSQL are killed';
const HOW_TO_READ =
  'A bar is one question, from its start to its answer. What begins right of the dashed line must not be answered “active”.';

const WIDTH = 900;
const EDGE = 20;
const RIGHT = WIDTH - EDGE;
const TOP = 112;
const FOOT = 68;
const LANE = { height: 54, gap: 5, postgresHeight: 22 };

/** The whole life, and the moment of its end once more. */
const LIFE = { left: 96, width: 444 };
const CLOSE = { left: 566, width: 314 };

/** What is shown of that moment: all of the request that ended the session, if it did not take too long. */
const CLOSE_BEFORE_MS = { least: 80, most: 200, spare: 40 };
const CLOSE_AFTER_MS = 140;

const STEP_MS = { life: 1000, close: 50 };

/** @type {[name: string, text: string][]} */
const LEGEND = [
  ['minted', 'gave tokens (login, refresh)'],
  ['active', 'active'],
  ['inactive', 'inactive, or refused'],
  ['unknown', 'unknown: 503, or no answer'],
  ['away', 'killed, not yet answering'],
];

const SWATCH = 10;

/** Of the words at the end's line, about half. */
const HALF_LABEL = 64;

/** @param {History} history @returns {string | null} null where no session ended as plainly as a picture needs */
export function pictureText(history) {
  const telling = findTelling(history);
  return telling === null ? null : draw(telling);
}

/** @param {Telling} telling */
function draw(telling) {
  const { replicas, end, fromMs, toMs } = telling;
  const lanes = layOut(replicas);
  const [, bottom] = edgesOf(lanes);
  const height = bottom + FOOT;
  const life = openPanel(LIFE, fromMs - (toMs - fromMs) / 80, toMs);
  const { least, most, spare } = CLOSE_BEFORE_MS;
  const beforeMs = Math.min(most, Math.max(least, end.end - end.start + spare));
  const close = openPanel(CLOSE, end.end - beforeMs, end.end + CLOSE_AFTER_MS);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title description">`,
    `<title id="title">${TITLE}</title>`,
    `<desc id="description">${escapeText(describe(telling))}</desc>`,
    `<style>${STYLE}</style>`,
    `<rect class="paper" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="12"/>`,
    write('title', EDGE, 30, TITLE),
    write('quiet', RIGHT, 30, sourceOf(telling), 'end'),
    write('', EDGE, 52, describe(telling)),
    write('quiet', EDGE, 70, HOW_TO_READ),
    ...lanes.map(({ name, top, height: tall }) => write('', EDGE, top + tall / 2 + 4, nameOf(name))),
    ...drawPanel(life, lanes, telling, close),
    ...drawPanel(close, lanes, telling, null),
    swatch('close', RIGHT - 72, TOP - 12),
    write('quiet', RIGHT, TOP - 12, 'enlarged', 'end'),
    ...drawAxis(life, bottom, fromMs, STEP_MS.life, (ms) => `${ms / 1000} s`),
    ...drawAxis(
      close,
      bottom,
      end.end,
      STEP_MS.close,
      (ms) => `${ms > 0 ? '+' : ms < 0 ? '−' : ''}${Math.abs(ms)} ms`,
    ),
    ...drawLegend(bottom + 49),
    '</svg>\n',
  ].join('\n');
}

/** @param {Panel} panel @param {Lane[]} lanes @param {Telling} telling @param {Panel | null} shaded */
function drawPanel(panel, lanes, telling, shaded) {
  const { operations, kills, end } = telling;
  const [top, bottom] = edgesOf(lanes);
  const at = panel.x(end.end);
  const edge = panel.left + panel.width;
  const isAtEdge = at + HALF_LABEL > edge;
  return [
    ...drawGround(panel, lanes),
    ...(shaded === null ? [] : [shade(panel, shaded, top, bottom)]),
    ...drawKills(panel, lanes, kills),
    `<path class="over" d="M${at} ${top - 8}V${bottom}"/>`,
    ...drawBars(panel, lanes, operations),
    ...drawWords(panel, lanes, wordsOf(telling)),
    write('strong', isAtEdge ? edge : at, top - 12, sayEnd(end), isAtEdge ? 'end' : 'middle'),
  ];
}

/** @param {Panel} panel @param {Panel} shaded @param {number} top @param {number} bottom */
function shade({ x }, { fromMs, toMs }, top, bottom) {
  const width = round(x(toMs) - x(fromMs));
  return `<rect class="close" x="${x(fromMs)}" y="${top}" width="${width}" height="${bottom - top}"/>`;
}

/** @param {string[]} replicas @returns {Lane[]} */
function layOut(replicas) {
  const step = LANE.height + LANE.gap;
  return [
    ...replicas.map((name, n) => ({ name, top: TOP + n * step, height: LANE.height })),
    { name: 'postgres', top: TOP + replicas.length * step, height: LANE.postgresHeight },
  ];
}

/** @param {string} lane */
function nameOf(lane) {
  return lane === 'postgres' ? 'PostgreSQL' : lane;
}

/** @param {{ left: number, width: number }} place @param {number} fromMs @param {number} toMs @returns {Panel} */
function openPanel({ left, width }, fromMs, toMs) {
  return { left, width, fromMs, toMs, x: scaleOf(fromMs, toMs, left, left + width) };
}

/** @param {Panel} panel @param {number} y @param {number} zeroMs @param {number} stepMs @param {(ms: number) => string} say */
function drawAxis({ x, fromMs, toMs }, y, zeroMs, stepMs, say) {
  const first = Math.ceil((fromMs - zeroMs) / stepMs);
  const last = Math.floor((toMs - zeroMs) / stepMs);
  return Array.from({ length: last - first + 1 }, (_, n) => (first + n) * stepMs).flatMap((ms) => {
    const at = x(zeroMs + ms);
    return [`<path class="grid" d="M${at} ${y}v5"/>`, write('quiet', at, y + 19, say(ms), 'middle')];
  });
}

/** @param {number} y */
function drawLegend(y) {
  let x = EDGE;
  return LEGEND.flatMap(([name, text]) => {
    const parts = [swatch(name, x, y), write('quiet', x + SWATCH + 6, y, text)];
    if (name === 'away') parts.push(`<path class="kill" d="M${x} ${y - 9}v${SWATCH}"/>`);
    x = Math.round(x + SWATCH + 30 + text.length * 6.4);
    return parts;
  });
}

/** @param {string} name @param {number} x @param {number} y of the text beside it */
function swatch(name, x, y) {
  return `<rect class="${name}" x="${x}" y="${y - 9}" width="${SWATCH}" height="${SWATCH}"/>`;
}

/** @param {string} name @param {number} x @param {number} y @param {string} text @param {'start' | 'middle' | 'end'=} anchor */
function write(name, x, y, text, anchor = 'start') {
  return `<text class="${name}" x="${x}" y="${y}" text-anchor="${anchor}">${escapeText(text)}</text>`;
}
