// The page's arithmetic of tokens says what the service's does, whatever the claims.
import { windowSeconds } from '@gatehouse/protocol';
import fc from 'fast-check';
import { expect, it } from 'vitest';

import { lifeOf, phaseAt, successorOf } from '../../../packages/account-page/src/life.js';
import { type AccessClaims } from '../../../src/domain/tokens/claims.js';
import { isExpired, isNearEnd, reissue } from '../../../src/domain/tokens/successor.js';

const LINEAGE = '01a22467-58f9-70bf-908f-12ff7b7e6d28';

/** Claims of a token somewhere in its session, rules, and a moment around its end. */
const cases = fc
  .record({
    seconds: fc.integer({ min: 1, max: 100_000 }),
    sessionLeft: fc.integer({ min: 0, max: 200_000 }),
    generation: fc.integer({ min: 0, max: 5 }),
    grace: fc.integer({ min: 0, max: 300 }),
    most: fc.integer({ min: 0, max: 6 }),
    share: fc.double({ min: 0, max: 1.2, noNaN: true }),
  })
  .map(({ seconds, sessionLeft, generation, grace, most, share }) => {
    const iat = 1_900_000_000;
    const exp = iat + seconds;
    const claims: AccessClaims = {
      iss: 'http://gatehouse.test',
      sub: LINEAGE,
      aud: 'gatehouse',
      client_id: 'gatehouse',
      username: 'alice',
      sid: LINEAGE,
      jti: `${LINEAGE}.${generation}`,
      iat,
      exp,
      auth_time: iat - 10,
      session_exp: exp + sessionLeft,
    };
    const now = Math.floor(iat + share * (seconds + grace));
    return { claims, now, grace, most };
  });

it('agrees with the domain on windows, successors and grace', () => {
  fc.assert(
    fc.property(cases, ({ claims, now, grace, most }) => {
      const rules = { graceSeconds: grace, reissueMax: most };
      const domainRules = {
        issuer: claims.iss,
        audience: 'gatehouse',
        accessTtlSeconds: 600,
        reissueGraceSeconds: grace,
        reissueMax: most,
      };
      const life = lifeOf(claims, rules);
      expect(life.windowAt).toBe(claims.exp - windowSeconds(claims));

      const atWindow = reissue(claims, life.windowAt, domainRules);
      const next = successorOf(life, rules);
      expect(next === null).toBe(atWindow === null);
      // Of the shortest lives a successor is near its own end at once, and gives way in the same answer.
      if (next !== null && atWindow !== null && atWindow.jti === `${LINEAGE}.${life.generation + 1}`)
        expect(next).toEqual(lifeOf(atWindow, rules));

      const phase = phaseAt(life, now, rules);
      expect(phase === 'grace' || phase === 'over').toBe(isExpired(claims, now));
      if (phase === 'renewing') expect(isNearEnd(claims, now)).toBe(true);
      if (phase === 'fresh') expect(isNearEnd(claims, now)).toBe(false);
      if (phase === 'over' || phase === 'fresh' || phase === 'last')
        expect(reissue(claims, now, domainRules)).toBeNull();
    }),
    { numRuns: 500 },
  );
});

it('counts generations by the number after the dot', () => {
  const who = { iss: '', sub: '', aud: '', client_id: '', username: '', sid: '' };
  const claims = { ...who, jti: `${LINEAGE}.17`, iat: 0, exp: 600, auth_time: 0, session_exp: 9000 };
  const life = lifeOf(claims, { graceSeconds: 60, reissueMax: 90 });
  expect(life).toMatchObject({ lineage: LINEAGE, generation: 17, windowAt: 480, graceEndsAt: 660 });
});
