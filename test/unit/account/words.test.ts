// Times and lengths of time in words.
import { expect, it, vi } from 'vitest';

import { counted, lastUse, length, moment } from '../../../packages/account-page/src/words.js';

const NOW = Date.UTC(2026, 10, 28, 12) / 1000;

it.each([
  [0, '0:00'],
  [-5, '0:00'],
  [0.2, '0:01'],
  [41, '0:41'],
  [402, '6:42'],
  [3599, '59:59'],
  [3600, '1 h 0 min'],
  [11_520, '3 h 12 min'],
  [86_400, '1 day'],
  [12.9 * 86_400, '12 days'],
])('%d seconds are %s', (seconds, expected) => {
  expect(length(seconds)).toBe(expected);
});

it.each([
  ['2026-11-28', 'in the last 24 hours'],
  ['2026-11-27', '27 Nov 2026'],
  ['2026-11-29', '29 Nov 2026'],
  ['2026-09-01', '1 Sept 2026'],
])('%s was, on 28 November, %s', (date, expected) => {
  expect(lastUse(date, NOW)).toBe(expected);
});

it('takes a day for one of UTC, wherever the browser is', () => {
  for (const zone of ['Pacific/Kiritimati', 'Pacific/Niue']) {
    vi.stubEnv('TZ', zone);
    expect(lastUse('2026-11-27', NOW)).toBe('27 Nov 2026');
    for (const now of [NOW - 43_200, NOW + 43_199]) expect(lastUse('2026-11-28', now)).toContain('24 hours');
  }
  vi.unstubAllEnvs();
});

it('tells a moment from now by as much as is needed', () => {
  expect(moment(NOW + 60, NOW)).toMatch(/^\d\d:01:00$/);
  expect(moment(NOW + 86_400, NOW)).toMatch(/^29 Nov 2026, \d\d:00$/);
  expect(moment(NOW + 90 * 86_400, NOW)).toBe('26 Feb 2027');
});

it('counts', () => {
  expect([0, 1, 2].map((number) => counted(number, 'session'))).toEqual([
    '0 sessions',
    '1 session',
    '2 sessions',
  ]);
});
