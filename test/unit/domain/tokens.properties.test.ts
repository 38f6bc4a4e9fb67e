// What holds for the successors of every token, whatever its times and the rules.
import { windowSeconds } from '@gatehouse/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  isAccessClaims,
  parseJti,
  type AccessClaims,
  type TokenRules,
} from '../../../src/domain/tokens/claims.js';
import { isExpired, isNearEnd, reissue } from '../../../src/domain/tokens/successor.js';

const issuer = 'https://login.example.com';
const audience = 'gatehouse';

/** Lives that people configure, as often as any other. */
const life = fc.oneof(fc.constantFrom(30, 35, 62, 600, 86_400), fc.integer({ min: 1, max: 200_000 }));

/** How long the session goes on after the token's `exp`: often not at all, or hardly. */
const rest = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 1, max: 300 }),
  fc.integer({ min: 0, max: 10_000_000 }),
);

const rulesOf: fc.Arbitrary<TokenRules> = fc.record({
  issuer: fc.constant(issuer),
  audience: fc.constant(audience),
  accessTtlSeconds: fc.integer({ min: 30, max: 86_400 }),
  reissueGraceSeconds: fc.oneof(fc.constantFrom(0, 60, 300), fc.integer({ min: 0, max: 300 })),
  reissueMax: fc.oneof(fc.constantFrom(0, 90), fc.integer({ min: 0, max: 100 })),
});

const tokenOf: fc.Arbitrary<AccessClaims> = fc
  .record({
    sub: fc.uuid(),
    sid: fc.uuid(),
    lineage: fc.uuid(),
    generation: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 100 })),
    iat: fc.integer({ min: 1_600_000_000, max: 1_900_000_000 }),
    life,
    rest,
    scope: fc.option(fc.constant({ scope: 'read write' }), { nil: {} }),
  })
  .map(({ sub, sid, lineage, generation, iat, life, rest, scope }) => ({
    iss: issuer,
    sub,
    aud: audience,
    client_id: 'gatehouse',
    username: 'ada',
    ...scope,
    sid,
    jti: `${lineage}.${generation}`,
    iat,
    exp: iat + life,
    auth_time: iat - 1,
    session_exp: iat + life + rest,
  }));

/** A moment as a distance from the token's `exp`: mostly within its window and its grace, to a fraction of a second. */
const distance = fc.oneof(
  fc.integer({ min: -40, max: 340 }),
  fc.integer({ min: -400_000, max: 1400 }).map((n) => n / 4),
);

interface Case {
  token: AccessClaims;
  rules: TokenRules;
  now: number;
}

const caseOf: fc.Arbitrary<Case> = fc
  .record({ token: tokenOf, rules: rulesOf, distance })
  .map(({ token, rules, distance }) => ({ token, rules, now: token.exp + distance }));

/** Asserts on every successor, and that there were some. */
function forEverySuccessor(holds: (successor: AccessClaims, parent: Case) => void): void {
  let successors = 0;
  fc.assert(
    fc.property(caseOf, (parent) => {
      const successor = reissue(parent.token, parent.now, parent.rules);
      if (successor === null) return;
      successors += 1;
      holds(successor, parent);
    }),
    { numRuns: 2000 },
  );
  expect(successors).toBeGreaterThan(100);
}

/** Contract section 2 once more, as a list of generations and in whole numbers. */
function generationsOf({
  token,
  rules,
}: Case): { generation: number; iat: number; exp: number; from: number }[] {
  const list = [];
  let { generation } = parseJti(token.jti);
  let { iat, exp } = token;
  for (;;) {
    const tenths = Math.min(Math.max(2 * (exp - iat), 300), 5 * (exp - iat));
    const from = exp - Math.floor(tenths / 10);
    list.push({ generation, iat, exp, from });
    const end = Math.min(from + exp - iat, token.session_exp);
    if (generation >= rules.reissueMax || end <= exp) return list;
    [generation, iat, exp] = [generation + 1, from, end];
  }
}

describe('a successor', () => {
  it('lives no longer than its parent, ends later, and not after the session', () => {
    forEverySuccessor((successor, { token }) => {
      expect(successor.exp - successor.iat).toBeLessThanOrEqual(token.exp - token.iat);
      expect(successor.exp).toBeGreaterThan(token.exp);
      expect(successor.exp).toBeLessThanOrEqual(token.session_exp);
    });
  });

  it('differs from its parent in generation, iat and exp alone', () => {
    forEverySuccessor((successor, { token, rules }) => {
      const { jti, iat, exp } = successor;
      expect(successor).toEqual({ ...token, jti, iat, exp });
      expect(Object.keys(successor)).toEqual(Object.keys(token));
      expect(parseJti(jti).lineage).toBe(parseJti(token.jti).lineage);
      expect(parseJti(jti).generation).toBeGreaterThan(parseJti(token.jti).generation);
      expect(parseJti(jti).generation).toBeLessThanOrEqual(rules.reissueMax);
    });
  });

  it('begins where the window of the token before it opens, and no later than now', () => {
    forEverySuccessor((successor, { token, now }) => {
      expect(successor.iat).toBeLessThanOrEqual(now);
      if (parseJti(successor.jti).generation === parseJti(token.jti).generation + 1) {
        expect(successor.iat).toBe(token.exp - windowSeconds(token));
      }
    });
  });

  it('has not expired, and the very next one is what a living token is answered with', () => {
    forEverySuccessor((successor, { token, now }) => {
      expect(isExpired(successor, now)).toBe(false);
      if (isExpired(token, now)) return;
      expect(parseJti(successor.jti).generation).toBe(parseJti(token.jti).generation + 1);
    });
  });

  it('is a token that we accept, and that is itself not due at the same moment', () => {
    forEverySuccessor((successor, { rules, now }) => {
      expect(isAccessClaims(successor, rules)).toBe(true);
      expect(reissue(successor, now, rules)).toBeNull();
    });
  });

  it('exists only near the end or in the grace', () => {
    forEverySuccessor((_, { token, rules, now }) => {
      expect(isNearEnd(token, now)).toBe(true);
      expect(now).toBeLessThan(token.exp + rules.reissueGraceSeconds);
    });
  });
});

describe('reissue', () => {
  it('finds what the contract describes, in whole numbers', () => {
    fc.assert(
      fc.property(caseOf, (parent) => {
        const { token, rules, now } = parent;
        const chain = generationsOf(parent);
        const due = chain.find(({ from }) => now < from) ?? chain.at(-1);
        const isDue = due !== chain[0] && due && now < due.exp && now < token.exp + rules.reissueGraceSeconds;
        const { lineage } = parseJti(token.jti);
        expect(reissue(token, now, rules)).toEqual(
          isDue ? { ...token, jti: `${lineage}.${due.generation}`, iat: due.iat, exp: due.exp } : null,
        );
      }),
      { numRuns: 5000 },
    );
  });

  it('gives equal claims in equal order for equal tokens, however often and wherever it is asked', () => {
    forEverySuccessor((successor, { token, rules, now }) => {
      const elsewhere = reissue(structuredClone(token), now, { ...rules, accessTtlSeconds: 30 });
      expect(JSON.stringify(elsewhere)).toBe(JSON.stringify(successor));
    });
  });

  it('ends: a client that asks at the first moment of every window is left with nothing', () => {
    fc.assert(
      fc.property(tokenOf, rulesOf, (token, rules) => {
        let held = token;
        let steps = 0;
        for (;;) {
          const next = reissue(held, held.exp - windowSeconds(held), rules);
          if (next === null) break;
          held = next;
          steps += 1;
          expect(steps).toBeLessThanOrEqual(rules.reissueMax - parseJti(token.jti).generation);
        }
        expect(held.exp).toBeLessThanOrEqual(token.session_exp);
      }),
    );
  });

  it('leads to one token at a given time, be it step by step or straight from the ancestor', () => {
    let journeys = 0;
    fc.assert(
      fc.property(caseOf, fc.integer({ min: 0, max: 1000 }), ({ token, rules, now }, wait) => {
        const step = reissue(token, now, rules);
        const straight = reissue(token, now + wait / 4, rules);
        // Where the ancestor's grace is over, only the step helps; where both exist, they are one.
        if (step === null || straight === null) return;
        journeys += 1;
        expect(reissue(step, now + wait / 4, rules) ?? step).toEqual(straight);
      }),
      { numRuns: 5000 },
    );
    expect(journeys).toBeGreaterThan(100);
  });
});
