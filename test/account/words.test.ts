// Times and lengths of time in words.
import { expect, it } from 'vitest';

import { ago, counted, length, moment } from '../../packages/account-page/src/words.js';

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
  [-30, 'just now'],
  [59, 'just now'],
  [60, '1 minute ago'],
  [1100, '18 minutes ago'],
  [7300, '2 hours ago'],
  [90_000, 'yesterday'],
  [8 * 86_400, '8 days ago'],
])('%d seconds before now is %s', (passed, expected) => {
  expect(ago(NOW - passed, NOW)).toBe(expected);
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
