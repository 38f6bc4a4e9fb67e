// @ts-check
// Draws panels of a dashboard as SVG text: a value for each `stat`, lines for each `timeseries`. It is no Grafana: nothing is stacked.
import { escapeText, round, scaleOf } from '../shared/svg.js';
import { sayNumber } from './units.js';

/** @typedef {{ name: string, points: [seconds: number, value: number][] }} Line */
/** @typedef {{ x: number, y: number, w: number, h: number }} Place */
/** @typedef {{ color: string, value: number | null }} Step */
/** @typedef {{ matcher: { options: string }, properties: { id: string, value: any }[] }} Override */
/**
 * @typedef {object} Panel
 * @property {'row' | 'stat' | 'timeseries'} type
 * @property {string} title
 * @property {Place} gridPos
 * @property {Line[]} lines
 * @property {{ textMode: string }} options
 * @property {{ defaults: any, overrides: Override[] }} fieldConfig
 */

const WIDTH = 1200;
const EDGE = 12;
const COLUMNS = 24;
/** Of a row of the grid. */
const UNIT = 23;
const GAP = 6;
const TOP = 44;

/** Around the lines of a panel: its title, ticks, and names of lines. */
const INSIDE = { left: 62, right: 14, top: 34, bottom: 60 };

/** Of one line of names; more of them than fit are counted. */
const NAMES = { height: 15, lines: 2, perCharacter: 6.1, swatch: 22 };

const COLOURS = ['#1f6feb', '#2da44e', '#d4740c', '#8250df', '#cf222e', '#0a8a8a', '#b8860b', '#6e7781'];

/**
 * Names of colours in the dashboard.
 *
 * @type {Record<string, string | undefined>}
 */
const NAMED = {
  green: '#2da44e',
  red: '#cf222e',
  orange: '#d4740c',
  purple: '#8250df',
  blue: '#1f6feb',
  text: '#6e7781',
};

// A page decides on light or dark, and an image in it is told by the media query.
const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; }
  .row { font-size: 15px; font-weight: 600; }
  .quiet { fill: #59636e; font-size: 11px; }
  .value { font-size: 21px; font-weight: 600; }
  .paper { fill: #f6f8fa; }
  .panel { fill: #ffffff; stroke: #d1d9e0; }
  .grid { stroke: #d1d9e0; }
  .line { fill: none; stroke-width: 1.5; stroke-linejoin: round; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .quiet { fill: #9198a1; }
    .paper { fill: #010409; }
    .panel { fill: #0d1117; stroke: #3d444d; }
    .grid { stroke: #3d444d; }
  }
`;

/**
 * @param {string} title
 * @param {Panel[]} panels each with its lines, in seconds from the start; of a `stat` the last value counts
 * @param {number} seconds how long the run was
 */
export function drawDashboard(title, panels, seconds) {
  const rows = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  const height = TOP + rows * UNIT + EDGE;
  const words = `${title}: the dashboard, of a run of ${Math.round(seconds / 60)} minutes`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title">`,
    `<title id="title">${escapeText(words)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="paper" width="${WIDTH}" height="${height}"/>`,
    write('row', EDGE, 28, words),
    ...panels.flatMap((panel) => drawPanel(panel, seconds)),
    '</svg>\n',
  ].join('\n');
}

/** @param {Panel} panel @param {number} seconds */
function drawPanel(panel, seconds) {
  const { x, y, w, h } = panel.gridPos;
  const column = (WIDTH - 2 * EDGE) / COLUMNS;
  const place = {
    x: round(EDGE + x * column),
    y: TOP + y * UNIT,
    w: round(w * column - GAP),
    h: h * UNIT - GAP,
  };
  if (panel.type === 'row') return [write('row', place.x, place.y + 15, panel.title)];
  return [
    `<rect class="panel" x="${place.x}" y="${place.y}" width="${place.w}" height="${place.h}" rx="4"/>`,
    write('title', place.x + 10, place.y + 20, panel.title),
    ...(panel.type === 'stat' ? drawValues(panel, place) : drawLines(panel, place, seconds)),
  ];
}

/** @param {Panel} panel @param {Place} place */
function drawValues({ lines, options, fieldConfig: { defaults } }, { x, y, w, h }) {
  if (lines.length === 0) return [write('value', x + 10, y + h / 2 + 18, defaults.noValue ?? 'no data')];
  const wide = (w - 20) / lines.length;
  return lines.flatMap(({ name, points }, n) => {
    const value = points.at(-1)?.[1] ?? NaN;
    const said = defaults.mappings?.[0]?.options[value]?.text ?? sayNumber(value, defaults);
    const left = x + 10 + n * wide;
    const colour = colourAt(defaults.thresholds.steps, value);
    const shown = options.textMode === 'name' ? name : said;
    return [
      write('value', left, y + h / 2 + 14, shown, 'start', colour),
      ...(options.textMode === 'value_and_name' ? [write('quiet', left, y + h - 12, name)] : []),
    ];
  });
}

/** @param {Step[]} steps @param {number} value @returns {string | undefined} */
function colourAt(steps, value) {
  const step = steps.filter((each) => each.value === null || value >= each.value).at(-1);
  return step === undefined || step.color === 'text' ? undefined : NAMED[step.color];
}

/** @param {Panel} panel @param {Place} place @param {number} seconds */
function drawLines({ lines, fieldConfig: { defaults, overrides } }, place, seconds) {
  const left = place.x + INSIDE.left;
  const right = place.x + place.w - INSIDE.right;
  const top = place.y + INSIDE.top;
  const bottom = place.y + place.h - INSIDE.bottom;
  const drawn = lines.map((line, n) => {
    const own = overrides.find(({ matcher }) => matcher.options === line.name)?.properties ?? [];
    const colour = own.find(({ id }) => id === 'color')?.value.fixedColor;
    const isOnRight = own.some(({ id, value }) => id === 'custom.axisPlacement' && value === 'right');
    return { ...line, colour: NAMED[colour] ?? COLOURS[n % COLOURS.length] ?? '', isOnRight };
  });
  const x = scaleOf(0, seconds, left, right);
  const [main, other] = [false, true].map((isRight) => {
    const values = drawn
      .filter(({ isOnRight }) => isOnRight === isRight)
      .flatMap(({ points }) => points.map(([, value]) => value).filter(Number.isFinite));
    const lowest = Math.min(0, ...values);
    const highest = values.length === 0 ? 1 : Math.max(...values);
    return { y: scaleOf(lowest, highest === lowest ? lowest + 1 : highest, bottom, top), lowest, highest };
  });
  if (main === undefined || other === undefined) throw new Error('a panel has two sides');
  const { y, lowest, highest } = main;
  const minutes = Array.from({ length: Math.floor(seconds / 60) + 1 }, (_, n) => n);
  return [
    ...[lowest, highest].flatMap((value) => [
      `<path class="grid" d="M${left} ${y(value)}H${right}"/>`,
      write('quiet', left - 6, y(value) + 4, sayNumber(value, defaults), 'end'),
    ]),
    ...minutes.map((minute) => write('quiet', x(60 * minute), bottom + 16, `${minute} min`, 'middle')),
    ...drawn.map(
      ({ points, colour, isOnRight }) =>
        `<path class="line" stroke="${colour}" d="${pathOf(points, x, (isOnRight ? other : main).y)}"/>`,
    ),
    ...writeNames(drawn, place),
  ];
}

/**
 * Where there is no value, or no finite one, the line has a gap.
 *
 * @param {Line['points']} points @param {(value: number) => number} x @param {(value: number) => number} y
 */
function pathOf(points, x, y) {
  const step = Math.min(...points.slice(1).map(([at], n) => at - (points[n]?.[0] ?? at)), Infinity);
  let last = -Infinity;
  return points
    .filter(([, value]) => Number.isFinite(value))
    .map(([at, value]) => {
      const isNext = at - last < 1.5 * step;
      last = at;
      return `${isNext ? 'L' : 'M'}${x(at)} ${y(value)}${isNext ? '' : 'h.1'}`;
    })
    .join('');
}

/** @param {{ name: string, colour: string, isOnRight: boolean }[]} lines @param {Place} place */
function writeNames(lines, { x, y, w, h }) {
  const first = y + h - NAMES.lines * NAMES.height + 2;
  let at = x + 10;
  let row = 0;
  let count = 0;
  const parts = [];
  for (const { name, colour, isOnRight } of lines) {
    const words = isOnRight ? `${name} (own scale)` : name;
    const wide = NAMES.swatch + NAMES.perCharacter * words.length;
    if (at + wide > x + w && at > x + 10) {
      row += 1;
      at = x + 10;
    }
    // The last row ends with how many there are besides.
    if (
      row === NAMES.lines ||
      (row === NAMES.lines - 1 && at + wide > x + w - 70 && lines.length - count > 1)
    )
      break;
    const line = first + row * NAMES.height;
    parts.push(`<path d="M${round(at)} ${line - 4}h10" stroke="${colour}" stroke-width="3"/>`);
    parts.push(write('quiet', at + 14, line, words));
    at += wide;
    count += 1;
  }
  const more = lines.length - count;
  if (more > 0)
    parts.push(
      write('quiet', x + w - 10, first + (NAMES.lines - 1) * NAMES.height, `and ${more} more`, 'end'),
    );
  return parts;
}

/** @param {string} name @param {number} x @param {number} y @param {string} text @param {'start' | 'middle' | 'end'=} anchor @param {string=} colour */
function write(name, x, y, text, anchor = 'start', colour = undefined) {
  const style = colour === undefined ? '' : ` style="fill:${colour}"`;
  return `<text class="${name}" x="${round(x)}" y="${round(y)}" text-anchor="${anchor}"${style}>${escapeText(text)}</text>`;
}
