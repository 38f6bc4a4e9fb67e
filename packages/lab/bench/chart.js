// Draws three of the results as SVG text: throughput by number of revocations, waiting before, in and after a login storm, and
// verdicts by number of tokens in a request.
import { BATCH_TARGETS, perCpu } from './figures.js';
import { count, number, over, perToken } from './numbers.js';
import { round, scaleOf } from '../shared/svg.js';

const WIDTH = 960;

/** Of each row of two drawings. */
const HEIGHT = 380;

/** The area that lines are drawn in; what is around it holds titles, ticks and units. */
const PLOT = { width: 390, height: 230, top: 70 };
const LEFT_AT = 70;
const RIGHT_AT = 550;

/** The share of the smallest table's throughput that is to be reached. */
const WANTED_SHARE = 0.95;

// A page decides on light or dark, and an image in it is told by the media query.
const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 15px; font-weight: 600; }
  .unit { fill: #59636e; }
  .paper { fill: #ffffff; }
  .grid { stroke: #d1d9e0; stroke-width: 1; }
  .line { fill: none; stroke: #0969da; stroke-width: 2; }
  .dot { fill: #0969da; }
  .wanted { stroke: #bc4c00; stroke-width: 1.5; stroke-dasharray: 6 4; }
  .wanted-text { fill: #bc4c00; }
  .storm { fill: #bc4c00; opacity: 0.14; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .unit { fill: #9198a1; }
    .paper { fill: #0d1117; }
    .grid { stroke: #3d444d; }
    .line { stroke: #4493f8; }
    .dot { fill: #4493f8; }
    .wanted { stroke: #f0883e; }
    .wanted-text { fill: #f0883e; }
    .storm { fill: #f0883e; opacity: 0.22; }
  }
`;

/** @returns the chart of what has been measured so far; null when none of its parts has been */
export function chartText({ scenarios: { scale, storm, batch } }) {
  const rows = [
    [
      ...(scale === undefined ? [] : drawThroughput(scale.at)),
      ...(storm === undefined ? [] : drawStorm(storm.timeline)),
    ],
    batch === undefined ? [] : drawBatches(batch.seen),
  ].filter((drawn) => drawn.length > 0);
  if (rows.length === 0) return null;
  const height = HEIGHT * rows.length;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title description">`,
    '<title id="title">Introspection by number of revocations, in a login storm, and of many tokens in a request</title>',
    `<desc id="description">${describe(scale, storm, batch)}</desc>`,
    `<style>${STYLE}</style>`,
    `<rect class="paper" width="${WIDTH}" height="${height}"/>`,
    ...rows.flatMap((drawn, row) => [`<g transform="translate(0 ${row * HEIGHT})">`, ...drawn, '</g>']),
    '</svg>\n',
  ].join('\n');
}

function describe(scale, storm, batch) {
  const parts = [];
  if (scale !== undefined) {
    const all = scale.at.map(({ rows, ratio }) => `${count(rows)}: ${number(ratio.requestsPerSecond)}`);
    parts.push(
      `Throughput of /introspect by number of revocations, relative to the first: ${all.join('; ')}.`,
    );
  }
  if (storm !== undefined) {
    const { calm, stormy } = storm.median;
    parts.push(
      `p99 of /introspect: ${number(calm.p99)} ms without a login storm, ${number(stormy.p99)} ms in it.`,
    );
  }
  if (batch !== undefined) {
    const all = verdictsOf(batch.seen).map(({ size, perCpu: times }) => `${size}: ${number(times)}`);
    parts.push(
      `Verdicts with the CPU of one answer of a bare Fastify, by tokens in a request: ${all.join('; ')}.`,
    );
  }
  return parts.join(' ');
}

function drawThroughput(at) {
  return drawRatios(LEFT_AT, {
    title: 'Throughput of /introspect',
    unit: `relative to ${count(at[0].rows)} revocations`,
    labelOfX: 'revocations, and as many sessions (log scale)',
    points: at.map(({ rows, ratio }) => ({
      x: Math.log10(rows),
      name: shortCount(rows),
      value: ratio.requestsPerSecond,
    })),
    ticks: [0, 0.25, 0.5, 0.75, 1],
    wanted: WANTED_SHARE,
    digits: 2,
  });
}

/** Each of these as many times as the limit's single answers. */
function verdictsOf({ limit, batches }) {
  return batches.map((figures) => ({
    size: figures.size,
    perCpu: perCpu(perToken(figures), limit),
    perSecond: over(perToken(figures), limit, 'requestsPerSecond'),
  }));
}

function drawBatches(seen) {
  const verdicts = verdictsOf(seen);
  const draw = (left, what, of) =>
    drawRatios(left, {
      title: `Verdicts about many tokens ${what}`,
      unit: 'times the single answers of a bare Fastify to /introspect',
      labelOfX: 'tokens in a request (log scale)',
      points: verdicts.map((each) => ({ x: Math.log2(each.size), name: String(each.size), value: each[of] })),
      ticks: ticksTo(Math.max(...verdicts.map((each) => each[of]))),
      wanted: BATCH_TARGETS[of],
      wantedOf: ` with ${BATCH_TARGETS.size}`,
      digits: 1,
    });
  return [...draw(LEFT_AT, 'with the same CPU', 'perCpu'), ...draw(RIGHT_AT, 'on one core', 'perSecond')];
}

/** A line through points above what is wanted of them; `ticks` from 0 on. */
function drawRatios(left, { title, unit, labelOfX, points: given, ticks, wanted, wantedOf = '', digits }) {
  const x = scaleOf(given[0].x, given.at(-1).x, left, left + PLOT.width);
  const highest = 1.1 * Math.max(ticks.at(-1), wanted, ...given.map(({ value }) => value));
  const y = scaleOf(0, highest, PLOT.top + PLOT.height, PLOT.top);
  const points = given.map((point) => [x(point.x), y(point.value)]);
  const wantedAt = y(wanted);
  // On the side of its line where the first points are not.
  const wantedTextAt = round(wantedAt + (given[0].value < wanted ? -8 : 18));
  return [
    ...frame(left, title, unit),
    ...ticks.map((value) => tickY(left, y(value), number(value))),
    ...given.map(({ name }, n) => tickX(points[n][0], name)),
    labelX(left, labelOfX),
    `<line class="wanted" x1="${left}" x2="${left + PLOT.width}" y1="${wantedAt}" y2="${wantedAt}"/>`,
    `<text class="wanted-text" x="${left + 8}" y="${wantedTextAt}">wanted${wantedOf}: at least ${wanted}</text>`,
    lineThrough(points),
    ...points.map(([px, py]) => `<circle class="dot" cx="${px}" cy="${py}" r="4"/>`),
    ...points.map(
      ([px, py], n) =>
        `<text x="${px}" y="${round(py - 10)}" text-anchor="middle">${given[n].value.toFixed(digits)}</text>`,
    ),
  ];
}

/** About five round numbers from 0 on. */
function ticksTo(highest) {
  const rough = highest / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((many) => many * power >= rough);
  return Array.from({ length: Math.floor(highest / step) + 1 }, (_, n) => n * step);
}

function drawStorm({ stormFromMs, stormToMs, slices }) {
  const seen = slices.filter(({ p99 }) => Number.isFinite(p99));
  const endMs = Math.max(stormToMs, seen.at(-1).fromMs);
  const x = scaleOf(0, endMs, RIGHT_AT, RIGHT_AT + PLOT.width);
  const exponents = seen.map(({ p99 }) => Math.log10(p99));
  const [lowest, highest] = [Math.floor(Math.min(...exponents)), Math.ceil(Math.max(...exponents) + 0.01)];
  const y = scaleOf(lowest, highest, PLOT.top + PLOT.height, PLOT.top);
  const [from, to] = [x(stormFromMs), x(stormToMs)];
  const stepMs = 1000 * Math.max(1, Math.round(endMs / 8000));
  return [
    `<rect class="storm" x="${from}" y="${PLOT.top}" width="${round(to - from)}" height="${PLOT.height}"/>`,
    ...frame(RIGHT_AT, 'p99 of /introspect and a storm of logins', 'milliseconds (log scale)'),
    ...ticksOfLog(lowest, highest).map((value) => tickY(RIGHT_AT, y(Math.log10(value)), number(value))),
    ...Array.from({ length: Math.floor(endMs / stepMs) + 1 }, (_, n) =>
      tickX(x(n * stepMs), (n * stepMs) / 1000),
    ),
    labelX(RIGHT_AT, 'seconds'),
    `<text class="wanted-text" x="${round((from + to) / 2)}" y="${PLOT.top + 18}" text-anchor="middle">10 × capacity</text>`,
    lineThrough(seen.map(({ fromMs, p99 }) => [x(fromMs), y(Math.log10(p99))])),
  ];
}

/** 1, 2 and 5 of every power of ten between. */
function ticksOfLog(lowest, highest) {
  const powers = Array.from({ length: highest - lowest }, (_, n) => 10 ** (lowest + n));
  return [...powers.flatMap((power) => [power, 2 * power, 5 * power]), 10 ** highest];
}

function frame(left, title, unit) {
  return [
    `<text class="title" x="${left}" y="28">${title}</text>`,
    `<text class="unit" x="${left}" y="50">${unit}</text>`,
  ];
}

function tickY(left, y, text) {
  return [
    `<line class="grid" x1="${left}" x2="${left + PLOT.width}" y1="${y}" y2="${y}"/>`,
    `<text class="unit" x="${left - 8}" y="${round(y + 4)}" text-anchor="end">${text}</text>`,
  ].join('\n');
}

function tickX(x, text) {
  const bottom = PLOT.top + PLOT.height;
  return [
    `<line class="grid" x1="${x}" x2="${x}" y1="${bottom}" y2="${bottom + 5}"/>`,
    `<text class="unit" x="${x}" y="${bottom + 22}" text-anchor="middle">${text}</text>`,
  ].join('\n');
}

function labelX(left, text) {
  return `<text class="unit" x="${left + PLOT.width / 2}" y="${PLOT.top + PLOT.height + 48}" text-anchor="middle">${text}</text>`;
}

function lineThrough(points) {
  return `<polyline class="line" points="${points.map((point) => point.join(',')).join(' ')}"/>`;
}

function shortCount(rows) {
  if (rows >= 1e6) return `${rows / 1e6} M`;
  return rows >= 1000 ? `${rows / 1000} k` : String(rows);
}
