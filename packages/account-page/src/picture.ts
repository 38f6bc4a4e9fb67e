/** The picture of a token's life: lanes on an axis of time, the successor below its parent, and "now" moving across. */
import type { Life } from './life.js';
import { createAxis, type Axis } from './axis.js';

const SVG = 'http://www.w3.org/2000/svg';

const LANE_HEIGHT = 40;
const BAR_HEIGHT = 14;
const LABEL_HEIGHT = 16;
const AXIS_HEIGHT = 22;

/** Beyond this share of the width a label stands before its end instead of after its start. */
const LATE = 0.55;

export interface Lane {
  life: Life;
  is: 'past' | 'current' | 'next';
  label: string;
}

export interface Picture {
  /** Draws the lanes anew; `isNews` lets the current one appear. */
  draw: (lanes: Lane[], options: { isNews: boolean }) => void;
  move: (now: number) => void;
}

export function createPicture(plot: HTMLElement): Picture {
  const svg = createSvg('svg', { width: '100%', focusable: 'false' });
  const hand = createSvg('g', { class: 'now' });
  plot.replaceChildren(svg);
  let axis: Axis | null = null;

  return {
    draw: (lanes, { isNews }) => {
      const scale = createAxis(lanes.map(({ life, is }) => ({ life, isFuture: is === 'next' })));
      axis = scale;
      const height = lanes.length * LANE_HEIGHT;
      svg.setAttribute('height', String(height + AXIS_HEIGHT));
      hand.replaceChildren(
        createSvg('line', { y1: '0', y2: String(height) }),
        // Below the bars, where no word hides it.
        createSvg('circle', { cy: String(height), r: '4' }),
      );
      const bars = lanes.map((lane, index) => drawBars(lane, index, scale, isNews));
      const labels = lanes.map((lane, index) => drawLabel(lane, index, scale));
      // In this order, so that "now" crosses the bars, but no word.
      svg.replaceChildren(
        hatching(),
        ...drawTicks(scale, height),
        ...bars,
        ...drawEnd(scale, lanes, height),
        hand,
        ...labels,
      );
    },
    move: (now) => {
      hand.style.transform = `translateX(${percent(Math.min(1, Math.max(0, axis?.shareOf(now) ?? 0)))})`;
    },
  };
}

function drawBars({ life, is }: Lane, index: number, axis: Axis, isNews: boolean): SVGElement {
  const lane = createSvg('g', { class: isNews && is === 'current' ? `${is} news` : is });
  const y = String(index * LANE_HEIGHT + LABEL_HEIGHT);
  const bar = (from: number, to: number, name: string) => {
    const [start, end] = [axis.shareOf(from), axis.shareOf(to)];
    if (end <= start) return;
    const place = { x: percent(start), width: percent(end - start), y, height: String(BAR_HEIGHT) };
    lane.append(createSvg('rect', { ...place, class: name }));
  };
  bar(life.issuedAt, life.windowAt, 'live');
  bar(life.windowAt, life.expiresAt, 'window');
  bar(life.expiresAt, life.graceEndsAt, 'grace');
  return lane;
}

function drawLabel({ life, is, label }: Lane, index: number, axis: Axis): SVGElement {
  const start = axis.shareOf(life.issuedAt);
  const isLate = start > LATE;
  const text = createSvg('text', {
    x: percent(isLate ? 1 : Math.max(0, start)),
    y: String(index * LANE_HEIGHT + LABEL_HEIGHT - 5),
    'text-anchor': isLate ? 'end' : 'start',
    class: is,
  });
  text.textContent = label;
  return text;
}

function drawTicks(axis: Axis, height: number): SVGElement[] {
  return axis.ticks.flatMap(({ share, label }) => {
    const x = percent(share);
    const line = createSvg('line', {
      x1: x,
      x2: x,
      y1: '0',
      y2: String(height - AXIS_HEIGHT),
      class: 'tick',
    });
    const text = createSvg('text', {
      x,
      y: String(height + AXIS_HEIGHT - 6),
      'text-anchor': 'middle',
      class: 'tick',
    });
    text.textContent = label;
    return [line, text];
  });
}

/** The end of the session, where it is in sight. */
function drawEnd(axis: Axis, [lane]: Lane[], height: number): SVGElement[] {
  if (lane === undefined) return [];
  const share = axis.shareOf(lane.life.sessionEndsAt);
  if (share >= 1) return [];
  const x = percent(share);
  return [createSvg('line', { x1: x, x2: x, y1: '0', y2: String(height), class: 'end' })];
}

/** What fills the renewal window, for eyes that do not tell its colour from others. */
function hatching(): SVGElement {
  const size = { width: '6', height: '6', patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' };
  const pattern = createSvg('pattern', { id: 'hatching', ...size });
  pattern.append(createSvg('rect', { width: '6', height: '6', class: 'ground' }));
  pattern.append(createSvg('rect', { width: '3', height: '6', class: 'stripe' }));
  const definitions = createSvg('defs', {});
  definitions.append(pattern);
  return definitions;
}

function createSvg(name: string, attributes: Record<string, string>): SVGElement {
  const element = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  return element;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(3)}%`;
}
