// How long a part of a run goes on: as long as was asked for, and longer where too little has happened.
import { describe, expect, it } from 'vitest';

import { hasEnough, LEAST_PER_MINUTE } from '../chaos/floors.js';
import { FAULT_NAMES } from '../chaos/faults.js';
import { createTerm } from '../chaos/term.js';

function termOf(ms: number) {
  let now = 500;
  const term = createTerm(() => now, ms);
  return {
    isOverAfter: (passedMs: number, enough: boolean) => {
      now = 500 + passedMs;
      return term.isOver(() => enough);
    },
  };
}

it('is over when its time is up and enough has happened', () => {
  const { isOverAfter } = termOf(1000);
  expect(isOverAfter(999, true)).toBe(false);
  expect(isOverAfter(1000, true)).toBe(true);
});

it('goes on while too little has happened, but not for ever', () => {
  const { isOverAfter } = termOf(1000);
  expect(isOverAfter(4999, false)).toBe(false);
  expect(isOverAfter(4999, true)).toBe(true);
  expect(isOverAfter(5000, false)).toBe(true);
});

describe('two minutes of clients under faults', () => {
  const introspections = Array.from({ length: 2 * LEAST_PER_MINUTE.operations }, () => ({
    kind: 'introspect',
  }));
  const kills = Array.from({ length: 2 * LEAST_PER_MINUTE.kills }, () => ({
    kind: 'fault',
    name: 'kill-replica',
    isKill: true,
  }));
  const faults = FAULT_NAMES.map((name) => ({ kind: 'fault', name, isKill: false }));

  it('have enough with operations, kills and each fault', () => {
    expect(hasEnough([...introspections, ...kills, ...faults], 2)).toBe(true);
  });

  it.each([
    ['operations', [...kills, ...faults]],
    ['kills', [...introspections, ...faults]],
    ['one of the faults', [...introspections, ...kills, ...faults.slice(0, -1)]],
  ])('have not enough without %s', (_, operations) => {
    expect(hasEnough(operations, 2)).toBe(false);
  });
});
