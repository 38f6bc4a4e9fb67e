// Hashes of other systems: which are read, within which bounds, and which passwords are the right ones.
import bcrypt from 'bcryptjs';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';

import { verifyForeign } from '../../../src/background/foreign.js';
import type { Argon2 } from '../../../src/domain/passwords/argon2.js';
import { isOurs, readForeignHash } from '../../../src/domain/passwords/foreign.js';
import { createPasswordHasher } from '../../../src/domain/passwords/hasher.js';
import { BCRYPT, DEFAULTS, FOREIGN, FOREIGN_PASSWORD } from '../../support/foreign-hashes.js';

function verify(text: string, password: string): boolean {
  const read = readForeignHash(text);
  if ('problem' in read) throw new Error(read.problem);
  return verifyForeign(read.hash, password);
}

function problemOf(text: string): string | null {
  const read = readForeignHash(text);
  return 'problem' in read ? read.problem : null;
}

describe.each(Object.entries(FOREIGN))('a hash by %s', (_name, text) => {
  it('is one of its password, and of no other', () => {
    expect(verify(text, FOREIGN_PASSWORD)).toBe(true);
    for (const other of [
      `${FOREIGN_PASSWORD} `,
      FOREIGN_PASSWORD.slice(1),
      FOREIGN_PASSWORD.toUpperCase(),
      '',
    ])
      expect([other, verify(text, other)]).toEqual([other, false]);
  });

  it('is stored in a spelling that is read again, and that no hash of ours has', () => {
    const read = readForeignHash(text);
    const { stored } = read as { stored: string };
    expect(isOurs(stored)).toBe(false);
    expect(readForeignHash(stored)).toEqual(read);
    expect(stored.endsWith(text)).toBe(true);
  });

  it('is not read when a piece of it is missing, or anything is added', () => {
    for (let end = 0; end < text.length; end += 1)
      expect([end, problemOf(text.slice(0, end))]).toEqual([end, expect.any(String)]);
    for (const more of ['x', '$', '=', '\n', ' ', '\0'])
      for (const other of [text + more, more + text])
        expect([other, problemOf(other)]).toEqual([other, expect.any(String)]);
  });
});

it.each(Object.entries(DEFAULTS))(
  'the parameters that %s chooses by itself are within bounds',
  (_name, text) => {
    expect(verify(text, FOREIGN_PASSWORD)).toBe(true);
    expect(verify(text, 'another')).toBe(false);
  },
  60_000,
);

describe('a hash by bcrypt', () => {
  it('is one of the bytes of the password, as it was typed', () => {
    expect(verify(BCRYPT.unicode, 'pässwörd ☃ 𝄞')).toBe(true);
    expect(verify(BCRYPT.decomposed, 'cafe\u0301')).toBe(true);
    expect(verify(BCRYPT.decomposed, 'caf\u00E9')).toBe(false);
    expect(verify(BCRYPT.unicode, 'pässwörd ☃ \uD834')).toBe(false);
  });

  it('is one of the first 72 bytes, wherever they end', () => {
    const longest = 'x'.repeat(72);
    expect(verify(BCRYPT.longest, longest)).toBe(true);
    expect(verify(BCRYPT.longest, `${longest}and more`)).toBe(true);
    expect(verify(BCRYPT.longest, longest.slice(1))).toBe(false);
    expect(verify(BCRYPT.cutInCharacter, `${'x'.repeat(71)}é`)).toBe(true);
    expect(verify(BCRYPT.cutInCharacter, 'x'.repeat(71))).toBe(false);
  });

  it('is one of the whole password where SHA-256 was taken first', () => {
    expect(verify(BCRYPT.digest, 'long '.repeat(40))).toBe(true);
    expect(verify(BCRYPT.digest, `${'long '.repeat(39)}long`)).toBe(false);
  });

  it('is not one of a password with NUL, after which the library begins again', () => {
    const { salt } = { salt: BCRYPT.ab.slice(0, 29) };
    expect(bcrypt.hashSync('ab\0ab', salt)).toBe(BCRYPT.ab);
    expect(verify(BCRYPT.ab, 'ab')).toBe(true);
    for (const other of ['ab\0ab', 'ab\0', 'ab\0c', '\0'])
      expect([other, verify(BCRYPT.ab, other)]).toEqual([other, false]);
  });

  it('of an empty password lets nobody in', () => {
    expect(bcrypt.compareSync('', BCRYPT.empty)).toBe(true);
    for (const password of ['', '\0', '\0\0']) expect(verify(BCRYPT.empty, password)).toBe(false);
  });

  it('is the same with spare bits in its salt, and is nobody’s with spare bits in its tag', () => {
    expect(verify(BCRYPT.ab.replace(/(?<=^.{28})u/, 'v'), 'ab')).toBe(true);
    expect(problemOf(`${BCRYPT.ab.slice(0, -1)}X`)).toBe('has a salt or a tag that is not of this format');
  });
});

describe('bounds', () => {
  const salt = 'c2FsdHNhbHRzYWx0';
  const tag = 'A'.repeat(43);
  const argon2 = (m: number, t: number, p = 1) => `$argon2id$v=19$m=${m},t=${t},p=${p}$${salt}$${tag}`;
  const scrypt = (ln: number, r: number, p: number) => `$scrypt$ln=${ln},r=${r},p=${p}$${salt}$${tag}`;
  const django = (iterations: number | string) => `pbkdf2_sha256$${iterations}$salt$${tag}=`;
  const bcryptOf = (cost: string) => `$2b$${cost}$${BCRYPT.ab.slice(7)}`;

  it.each([
    [argon2(131_072, 8), null],
    [argon2(131_073, 1), 'takes more than 128 MiB'],
    [argon2(131_072, 9), 'takes more than 1024 MiB in all passes'],
    [argon2(8, 131_072), null],
    [argon2(8, 131_073), 'takes more than 1024 MiB in all passes'],
    [argon2(4_294_967_295, 1), 'takes more than 128 MiB'],
    [argon2(128, 1, 16), null],
    [argon2(1024, 1, 17), 'has parameters that argon2 does not take'],
    [argon2(15, 1, 2), 'has parameters that argon2 does not take'],
    [argon2(8, 0), 'has parameters that argon2 does not take'],
    [argon2(0, 0, 0), 'has parameters that argon2 does not take'],
    [scrypt(17, 8, 1), null],
    [scrypt(17, 8, 2), null],
    [scrypt(17, 8, 3), 'takes more than 256 MiB in all lanes'],
    [scrypt(18, 8, 1), 'takes more than 128 MiB'],
    [scrypt(99, 8, 1), 'takes more than 128 MiB'],
    [scrypt(14, 8, 16), null],
    [scrypt(10, 8, 17), 'has parameters that scrypt does not take'],
    [scrypt(15, 32, 1), null],
    [scrypt(10, 33, 1), 'has parameters that scrypt does not take'],
    [scrypt(15, 1, 1), null],
    [scrypt(16, 1, 1), 'has parameters that scrypt does not take'],
    [scrypt(10, 8, 0), 'has parameters that scrypt does not take'],
    [scrypt(10, 0, 1), 'has parameters that scrypt does not take'],
    [`scrypt:1000:8:1$salt$${'00'.repeat(64)}`, 'has parameters that scrypt does not take'],
    [`scrypt:1:8:1$salt$${'00'.repeat(64)}`, 'has parameters that scrypt does not take'],
    [django(2_000_000), null],
    [django(2_000_001), 'has a number of iterations that is not 1 to 2000000'],
    [django(0), 'has a number of iterations that is not 1 to 2000000'],
    [django(9_999_999_999), 'has a number of iterations that is not 1 to 2000000'],
    [bcryptOf('13'), null],
    [bcryptOf('14'), 'has a cost that is not 4 to 13'],
    [bcryptOf('03'), 'has a cost that is not 4 to 13'],
    [bcryptOf('99'), 'has a cost that is not 4 to 13'],
  ])('%s: %j', (text, problem) => {
    expect(problemOf(text)).toBe(problem);
  });

  it.each([
    ['pbkdf2_sha512$1000$salt$' + 'A'.repeat(86) + '==', 'is in no format that is taken, or is cut short'],
    [BCRYPT.ab.replace('2b', '2x'), 'is in no format that is taken, or is cut short'],
    ['$argon2id$v=16' + argon2(8, 1).slice(14), 'is in no format that is taken, or is cut short'],
    ['$1$salt$' + 'A'.repeat(22), 'is in no format that is taken, or is cut short'],
    ['5f4dcc3b5aa765d61d8327deb882cf99', 'is in no format that is taken, or is cut short'],
    ['!xYhkfQSih97oViUrUtjuHZpU7T8oEWZXkj25EIRe', 'is how Django marks a user without a password'],
    [`$argon2id$v=19$m=8,t=1,p=1$${salt}$AAAA`, 'has a salt or a tag that is not of this format'],
    [`$argon2id$v=19$m=8,t=1,p=1$AAAA$${tag}`, 'has a salt or a tag that is not of this format'],
    [
      `$argon2id$v=19$m=8,t=1,p=1$${salt}$${'A'.repeat(42)}B`,
      'has a salt or a tag that is not of this format',
    ],
    [`pbkdf2:sha256:1000$salt$${'0'.repeat(63)}`, 'has a salt or a tag that is not of this format'],
    [`pbkdf2:sha256:1000$salt$${'00'.repeat(20)}`, 'has a salt or a tag that is not of this format'],
    [`scrypt:1024:8:1$salt$${'00'.repeat(32)}`, 'has a salt or a tag that is not of this format'],
    ['', 'is in no format that is taken, or is cut short'],
    [argon2(8, 1).replace('m=8', 'm=08'), 'is in no format that is taken, or is cut short'],
    [argon2(8, 1).padEnd(2_000_000, 'A'), 'is in no format that is taken, or is cut short'],
  ])('nothing else is read, such as %.60s', (text, problem) => {
    expect(problemOf(text)).toBe(problem);
  });

  it('whatever is read takes no more than 85 times as long as one of ours, and is verified without an error', () => {
    const texts = Object.values({ ...FOREIGN, ...BCRYPT });
    const changed = fc
      .tuple(
        fc.constantFrom(...texts),
        fc.nat(),
        fc.string({ maxLength: 3, unit: 'grapheme-ascii' }),
        fc.nat(3),
      )
      .map(([text, at, inserted, removed]) => {
        const place = at % text.length;
        return text.slice(0, place) + inserted + text.slice(place + removed);
      });
    fc.assert(
      fc.property(changed, (text) => {
        const read = readForeignHash(text);
        if ('problem' in read) {
          expect(read.problem.length).toBeLessThan(100);
          return;
        }
        expect(read.weight).toBeLessThanOrEqual(85);
        if (read.weight < 1) expect(() => verifyForeign(read.hash, 'x')).not.toThrow();
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the hasher', () => {
  const { stored: slow } = readForeignHash(`pbkdf2_sha256$2000000$salt$${'A'.repeat(43)}=`) as {
    stored: string;
  };

  /** Verifies nothing before it is told to. */
  function createHeld() {
    const held: (() => void)[] = [];
    const hold = () => new Promise<boolean>((resolve) => held.push(() => resolve(false)));
    const argon2: Argon2 = {
      hash: () => Promise.reject(new Error('nothing is hashed here')),
      verify: () => Promise.resolve(true),
      verifyForeign: hold,
      close: () => Promise.resolve(),
      hashMs: () => 10,
    };
    return { argon2, held };
  }

  it('verifies hashes of others one at a time, and lets nobody wait for them whose hash is its own', async () => {
    const { argon2, held } = createHeld();
    const hasher = createPasswordHasher({ maxConcurrent: 1, maxWaitMs: 60_000, argon2 });
    const calls = [hasher.verify(slow, 'x'), hasher.verify(slow, 'x')];
    await vi.waitFor(() => expect(held).toHaveLength(1));
    expect(hasher.load()).toMatchObject({ running: 1, waiting: 1 });
    expect(await hasher.verify(`$argon2id$v=19$m=8,t=1,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`, 'x')).toBe(
      true,
    );
    held[0]?.();
    expect(await calls[0]).toBe(false);
    await vi.waitFor(() => expect(held).toHaveLength(2));
    held[1]?.();
    expect(await calls[1]).toBe(false);
    expect(hasher.load()).toMatchObject({ running: 0, waiting: 0 });
  });

  it('lets in as many as are done within half of the wait, counts each as long as it takes, and one in any case', async () => {
    // 2,000,000 iterations are 54 of its own hashes, 10 ms each.
    for (const [maxWaitMs, most] of [
      [10, 1],
      [2100, 1],
      [2200, 2],
      [3300, 3],
    ] as const) {
      const { argon2, held } = createHeld();
      const hasher = createPasswordHasher({ maxConcurrent: 3, maxWaitMs, argon2 });
      const calls = Array.from({ length: most }, () => hasher.verify(slow, 'x').catch(() => false));
      await expect(hasher.verify(slow, 'x')).rejects.toMatchObject({
        code: 'temporarily_unavailable',
        retryAfterSeconds: 1,
        cause: { message: 'too many hashes of other systems at once', lack: 'hashing' },
      });
      for (let done = 0; done < most; done += 1) {
        await vi.waitFor(() => expect(held).toHaveLength(done + 1));
        held[done]?.();
      }
      await Promise.all(calls);
      void hasher.verify(slow, 'x').catch(() => false);
      await vi.waitFor(() => expect(hasher.load().running).toBe(1));
    }
  });

  it.each(Object.entries(FOREIGN))(
    'verifies what %s has made, and wants it hashed anew',
    async (_name, text) => {
      const { verify: verifyStored, needsRehash, close } = createPasswordHasher({ maxWaitMs: 60_000 });
      const { stored } = readForeignHash(text) as { stored: string };
      expect(await verifyStored(stored, FOREIGN_PASSWORD)).toBe(true);
      expect(await verifyStored(stored, 'another')).toBe(false);
      expect(needsRehash(stored)).toBe(true);
      await close();
    },
  );
});
