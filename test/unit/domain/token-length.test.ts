// No token is longer than 3,800 characters, counted with the longest signature and the largest numbers that there are.
import { MAX_TOKEN_CHARACTERS } from '@gatehouse/protocol';
import { expect, it } from 'vitest';

import type { Session, TokenRules } from '../../../src/domain/tokens/claims.js';
import { bytesThatFit, fitsIntoTokens } from '../../../src/domain/tokens/length.js';
import { mintAccess } from '../../../src/domain/tokens/minting.js';

const RULES: TokenRules = {
  issuer: 'https://id.example.com',
  audience: 'gatehouse',
  accessTtlSeconds: 600,
  reissueGraceSeconds: 60,
  reissueMax: 90,
};
const SESSION: Session = {
  id: '01a203ff-ae5e-716a-a870-a1704282cb67',
  userId: '01a203fe-bbc7-77e9-9198-c643995645db',
  username: '',
  scope: '',
  clientId: null,
  externalId: null,
  claims: null,
  ver: Number.MAX_SAFE_INTEGER,
  generation: 0,
  openedAt: 1_900_000_000,
  rotatedAt: 1_900_000_000,
  refreshExpiresAt: 1_901_000_000,
  expiresAt: 1_910_000_000,
  now: 1_900_000_000,
};

/** As a token with an RS256 signature is written: of 2,048 bits, 342 characters. */
function lengthOf(user: { username: string; scope: string }): number {
  const claims = { ...mintAccess({ ...SESSION, ...user }, RULES), jti: `${SESSION.id}.999999999` };
  const header = { alg: 'RS256', typ: 'at+jwt', kid: '0123456789abcdef' };
  const [first, second] = [header, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  return `${first}.${second}.`.length + 342;
}

function largest(fits: (size: number) => boolean): number {
  let size = 1;
  while (fits(size + 1)) size += 1;
  return size;
}

it('is 3,800 characters', () => {
  expect(MAX_TOKEN_CHARACTERS).toBe(3800);
});

it.each([
  ['letters', 'a'],
  ['letters of two bytes', 'é'],
  ['letters of four bytes', '𐓘'],
  ['quotes, which JSON writes as two', '"'],
])('is reached by names of many %s, and passed by none that fits', (_what, letter) => {
  const user = (size: number) => ({ username: letter.repeat(size), scope: 'read' });
  const size = largest((each) => fitsIntoTokens(user(each), RULES));
  expect(lengthOf(user(size))).toBeLessThanOrEqual(MAX_TOKEN_CHARACTERS);
  expect(lengthOf(user(size + 1))).toBeGreaterThan(MAX_TOKEN_CHARACTERS);
});

it('counts scope, audience and issuer', () => {
  const user = { username: 'a', scope: '' };
  expect(fitsIntoTokens(user, RULES)).toBe(true);
  const long = 'x'.repeat(2500);
  expect(fitsIntoTokens({ ...user, scope: long }, RULES)).toBe(false);
  expect(fitsIntoTokens(user, { ...RULES, audience: long })).toBe(false);
  // A refresh token says it twice.
  expect(fitsIntoTokens(user, { ...RULES, issuer: 'x'.repeat(1200) })).toBe(false);
});

it('has room for as many bytes as it says, of any letters', () => {
  const bytes = bytesThatFit(RULES);
  expect(bytes).toBeGreaterThan(1500);
  expect(fitsIntoTokens({ username: 'a'.repeat(bytes - 4), scope: 'read' }, RULES)).toBe(true);
  expect(fitsIntoTokens({ username: '"'.repeat((bytes - 4) / 2), scope: 'read' }, RULES)).toBe(true);
});
