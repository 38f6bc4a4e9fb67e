// What is sealed opens with its own secret in its own place, and in no other way.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { seal, unseal } from '../../../src/domain/keys/sealing.js';

const SECRET = 'a-secret-for-tests-of-more-than-32-bytes';
const OTHER = 'another-secret-of-more-than-32-bytes-too';
const PLAIN = '-----BEGIN PRIVATE KEY-----\nnot really\n-----END PRIVATE KEY-----\n';

/** Nonce and tag, as the format promises. */
const OVERHEAD_BYTES = 12 + 16;

describe('a sealed text', () => {
  it('opens to what it was, any text in any place under any secret', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        fc.string({ unit: 'grapheme' }),
        fc.string({ unit: 'grapheme' }),
        (plain, secret, context) => {
          const sealed = seal(plain, secret, context);
          expect(unseal(sealed, [secret], context)).toBe(plain);
          expect(sealed).toHaveLength(Buffer.byteLength(plain) + OVERHEAD_BYTES);
        },
      ),
    );
  });

  it('opens when it comes back from a database, as a view into a larger buffer', () => {
    const sealed = seal(PLAIN, SECRET, 'kid');
    const row = Buffer.concat([Buffer.from('before'), sealed, Buffer.from('after')]);
    expect(unseal(row.subarray(6, 6 + sealed.length), [SECRET], 'kid')).toBe(PLAIN);
  });

  it('never looks the same twice and shows nothing of its content', () => {
    const [one, other] = [seal(PLAIN, SECRET, 'kid'), seal(PLAIN, SECRET, 'kid')];
    expect(Buffer.from(one).equals(other)).toBe(false);
    expect(Buffer.from(one.subarray(0, 12)).equals(other.subarray(0, 12))).toBe(false);
    expect(Buffer.from(one).includes('PRIVATE')).toBe(false);
  });

  it('opens with whichever of several secrets is the right one', () => {
    const sealed = seal(PLAIN, OTHER, 'kid');
    expect(unseal(sealed, [SECRET, OTHER], 'kid')).toBe(PLAIN);
    expect(unseal(sealed, [OTHER, SECRET], 'kid')).toBe(PLAIN);
  });

  it.each([
    ['another secret', [OTHER], 'kid'],
    ['no secret', [], 'kid'],
    ['an empty secret', [''], 'kid'],
    ['its secret in another case', [SECRET.toUpperCase()], 'kid'],
    ['its secret and a space', [`${SECRET} `], 'kid'],
    ['its secret in another place', [SECRET], 'other'],
    ['its secret in no place', [SECRET], ''],
  ])('stays closed with %s', (_, secrets, context) => {
    expect(unseal(seal(PLAIN, SECRET, 'kid'), secrets, context)).toBeNull();
  });

  it('stays closed when anything is cut off at its end, or all of it', () => {
    const sealed = seal(PLAIN, SECRET, 'kid');
    for (let length = 0; length < sealed.length; length += 1) {
      expect(unseal(sealed.subarray(0, length), [SECRET], 'kid'), `${length} bytes`).toBeNull();
    }
  });

  it('stays closed when anything is cut off at its start', () => {
    const sealed = seal(PLAIN, SECRET, 'kid');
    for (let start = 1; start <= sealed.length; start += 1) {
      expect(unseal(sealed.subarray(start), [SECRET], 'kid'), `from byte ${start}`).toBeNull();
    }
  });

  it('stays closed when a byte is added', () => {
    const sealed = seal(PLAIN, SECRET, 'kid');
    expect(unseal(Buffer.concat([sealed, Buffer.of(0)]), [SECRET], 'kid')).toBeNull();
    expect(unseal(Buffer.concat([Buffer.of(0), sealed]), [SECRET], 'kid')).toBeNull();
  });

  it('stays closed when any one bit is flipped', () => {
    const sealed = seal(PLAIN, SECRET, 'kid');
    for (let bit = 0; bit < 8 * sealed.length; bit += 1) {
      const damaged = sealed.map((byte, place) => (place === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
      expect(unseal(damaged, [SECRET], 'kid'), `bit ${bit}`).toBeNull();
    }
  });
});
