// What a chaos run has to reach: a rule or a fault that had hardly a turn fails the run, whatever else went well.
import { expect, it } from 'vitest';

import { FAULT_NAMES } from '../chaos/faults.js';
import { findRareFaults, findRareRules, JUDGED } from '../chaos/floors.js';
import type { Findings } from '../chaos/report.js';
import { targetsOf } from '../chaos/targets.js';

const plenty = (names: string[], many: number) => Object.fromEntries(names.map((name) => [name, many]));

const COUNTS = { operations: 1_000_000, tokens: 1, sessions: 1, kills: 1000 };
const APPLIED = { A: 1, B: 1, C: 1, D: 1, E: 1, F: 1, G: 1, H: 1, I: 1, J: 1, K: 1 };

function findings(change: {
  minutes?: number;
  firstMs?: number;
  judged?: Record<string, number>;
  faults?: Record<string, number>;
  signatures?: Partial<{ verified: number; forged: number; orphans: string[] }>;
  chosen?: string[];
}): Findings {
  const { minutes = 2, firstMs = 0, judged = {}, faults = {}, signatures = {}, chosen = null } = change;
  return {
    seed: 1,
    minutes,
    phases: ['mixed'],
    faults: chosen,
    takenAt: '',
    seconds: 1,
    mutants: null,
    control: null,
    run: {
      counts: { ...COUNTS, applied: APPLIED, judged: { ...plenty(JUDGED, 1_000_000), ...judged } },
      outcomes: { 'retire-key': { ok: 1, refused: 0, unknown: 1 } },
      violations: [],
      violationsByRule: {},
      faults: {
        faults: { ...plenty(FAULT_NAMES, 1), ...faults },
        kills: { replica: 1, postgres: 1 },
        missed: 0,
        restarts: [{ name: 'kill-postgres', recoveredMs: 0, firstMs, slowestMs: firstMs }],
        exits: [],
        refusals: 0,
      },
      trials: null,
      refreshes: null,
      restarts: null,
      sweep: null,
      exits: [],
      manners: {
        breaches: 0,
        told: [],
        late: 0,
        silent: 0,
        broken: 0,
        signatures: { verified: 1_000_000, forged: 0, orphans: [], ...signatures },
      },
      keptIn: null,
    },
  };
}

const missedIn = (one: Findings) =>
  targetsOf(one)
    .filter(({ isReached }) => !isReached)
    .map(({ what }) => what);

it('lets a run pass in which everything had its turn', () => {
  expect(missedIn(findings({}))).toEqual([]);
});

it.each(JUDGED)('misses a run that has hardly judged: %s', (what) => {
  expect(missedIn(findings({ judged: { [what]: 0 } }))).toEqual([
    `rules that had too little to judge: ${what}`,
  ]);
});

it.each(FAULT_NAMES)('misses a run without the fault %s', (name) => {
  expect(missedIn(findings({ faults: { [name]: 0 } }))).toEqual([`faults that happened too seldom: ${name}`]);
});

it('asks nothing of rules and faults where some faults were chosen', () => {
  expect(missedIn(findings({ judged: plenty(JUDGED, 0), faults: { cut: 0 }, chosen: ['delay'] }))).toEqual(
    [],
  );
});

it('gives a short run more time than a long one until something is answered after a restart', () => {
  const what = 'ms to the first success after a restart of PostgreSQL';
  const faults = plenty(FAULT_NAMES, 3);
  expect(missedIn(findings({ firstMs: 14_000 }))).toEqual([]);
  expect(missedIn(findings({ firstMs: 16_000 }))).toEqual([what]);
  expect(missedIn(findings({ minutes: 6, faults, firstMs: 4000 }))).toEqual([]);
  expect(missedIn(findings({ minutes: 6, faults, firstMs: 6000 }))).toEqual([what]);
});

it('asks for more of a longer run, and for no rule in less than two minutes', () => {
  const faults = { ...plenty(FAULT_NAMES, 5), delay: 4 };
  expect(findRareFaults(faults, 8)).toEqual([]);
  expect(findRareFaults(faults, 10)).toEqual(['delay']);
  expect(findRareFaults({}, 1)).toEqual([]);
  expect(findRareRules({}, 1.9)).toEqual([]);
  const judged = plenty(JUDGED, 5000);
  expect(findRareRules(judged, 2)).toEqual([]);
  expect(findRareRules(judged, 60).length).toBeGreaterThan(5);
});

it('misses forged signatures, too few of them, and keys that nobody published, but for those that were retired', () => {
  expect(missedIn(findings({ signatures: { forged: 1 } }))).toEqual(['tokens whose signature does not hold']);
  expect(missedIn(findings({ signatures: { verified: 10 } }))).toEqual(['signatures that hold']);
  expect(missedIn(findings({ signatures: { orphans: ['a', 'b'] } }))).toEqual([]);
  expect(missedIn(findings({ signatures: { orphans: ['a', 'b', 'c'] } }))).toEqual([
    'keys that signed and were never published',
  ]);
});
