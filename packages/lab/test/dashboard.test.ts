// The picture of the dashboard: what is drawn of values, of lines with gaps, and of names that do not fit.
import { describe, expect, it } from 'vitest';

import { drawDashboard, type Panel } from '../dashboard/draw.js';
import { sayNumber } from '../dashboard/units.js';

const gridPos = { x: 0, y: 0, w: 8, h: 8 };

function graph(lines: Panel['lines'], overrides: Panel['fieldConfig']['overrides'] = []): Panel {
  const fieldConfig = { defaults: { unit: 's' }, overrides };
  return { type: 'timeseries', title: 'Times', gridPos, lines, options: { textMode: 'value' }, fieldConfig };
}

function stat(lines: Panel['lines'], defaults: object, textMode = 'value'): Panel {
  const thresholds = {
    steps: [
      { color: 'red', value: null },
      { color: 'green', value: 1 },
    ],
  };
  const fieldConfig = { defaults: { unit: 'none', thresholds, ...defaults }, overrides: [] };
  return { type: 'stat', title: 'A value', gridPos, lines, options: { textMode }, fieldConfig };
}

const draw = (...panels: Panel[]) => drawDashboard('Ours', panels, 120);

describe('a value', () => {
  it('is the last one, in the colour of its threshold', () => {
    const drawn = draw(
      stat(
        [
          {
            name: '',
            points: [
              [0, 0],
              [5, 2],
            ],
          },
        ],
        {},
      ),
    );
    expect(drawn).toMatch(/style="fill:#2da44e">2</);
  });

  it('is a name, or a word, where the panel says so', () => {
    const points: [number, number][] = [[0, 1]];
    expect(draw(stat([{ name: 'a1b2 & c', points }], {}, 'name'))).toContain('>a1b2 &#38; c<');
    expect(
      draw(stat([{ name: '', points }], { mappings: [{ options: { 1: { text: 'found' } } }] })),
    ).toContain('>found<');
    expect(draw(stat([], { noValue: 'not yet' }))).toContain('>not yet<');
  });
});

describe('a line', () => {
  it('has a gap where there is no value', () => {
    const drawn = draw(
      graph([
        {
          name: 'one',
          points: [
            [0, 1],
            [5, 2],
            [10, NaN],
            [15, 2],
            [20, 1],
          ],
        },
      ]),
    );
    expect(/class="line"[^>]* d="(M[^"]*)"/.exec(drawn)?.[1]?.match(/[ML]/g)?.join('')).toBe('MLML');
  });

  it('has the colour and the scale that the dashboard gives it', () => {
    const properties = [
      { id: 'color', value: { mode: 'fixed', fixedColor: 'red' } },
      { id: 'custom.axisPlacement', value: 'right' },
    ];
    const lines: Panel['lines'] = [
      {
        name: 'small',
        points: [
          [0, 1],
          [5, 1],
        ],
      },
      {
        name: 'large',
        points: [
          [0, 1000],
          [5, 1000],
        ],
      },
    ];
    const drawn = draw(graph(lines, [{ matcher: { options: 'large' }, properties }]));
    const heights = [...drawn.matchAll(/class="line" stroke="(#\w+)" d="M[\d.]+ ([\d.]+)/g)];
    expect(heights.map(([, colour]) => colour)).toEqual(['#1f6feb', '#cf222e']);
    expect(heights[0]?.[2]).toBe(heights[1]?.[2]);
    expect(drawn).toContain('>large (own scale)<');
  });

  it('is counted where there is no room for its name', () => {
    const lines = Array.from({ length: 20 }, (_, n) => ({ name: `a name of some length ${n}`, points: [] }));
    const drawn = draw(graph(lines));
    const written = drawn.match(/a name of some length/g)?.length ?? 0;
    expect(written).toBeGreaterThan(2);
    expect(drawn).toContain(`>and ${20 - written} more<`);
  });
});

it.each([
  [0.0042, 's', '4.2 ms'],
  [90, 's', '90 s'],
  [15_552_000, 's', '180 days'],
  [0.01234, 'percentunit', '1.2 %'],
  [12.3456, 'reqps', '12.3/s'],
  [NaN, 'none', '–'],
])('says %s in %s as %s', (value, unit, said) => {
  expect(sayNumber(value, { unit })).toBe(said);
});
