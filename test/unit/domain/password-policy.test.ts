import { describe, expect, it } from 'vitest';
import { generatePassword, refusePassword } from '../../../src/domain/passwords/policy.js';

const alice = { username: 'alice.liddell@example.com', passwordMinLength: 15 };

describe('a password that is set', () => {
  it.each([
    ['a passphrase', 'correct horse battery staple'],
    ['a passphrase in capitals', 'Correct Horse Battery Staple'],
    ['a passphrase without spaces', 'correcthorsebatterystaple'],
    ['another passphrase', 'vfr4 mountain lamp 83'],
    ['random characters', 'kP9wq7RtzB4nM2xY'],
    ['letters beyond ASCII', 'zwölf boxkämpfer jagen viktor'],
    ['Cyrillic', 'съешь же ещё этих булок'],
    ['the non-ASCII spaces of RFC 8265', 'foo\u1680bar\u3000jack of \u2666s'],
    ['emoji', '🦊🐼🦁🐯🐨🐸🐵🐔🐧🐦🐤🦄🐝🐛🦋'],
    ['emoji of several code points', '👩‍👩‍👧‍👦❤️🏴󠁧󠁢󠁳󠁣󠁴󠁿👍🏽1️⃣ family'],
    [
      'Persian with non-joiners',
      '\u0646\u0645\u06CC\u200C\u062E\u0648\u0627\u0647\u0645 \u0628\u0631\u0648\u0645 \u062E\u0627\u0646\u0647',
    ],
    ['printing characters that the FreeformClass refuses', 'a·b ـ ᄒ l·m · n'],
    ['quotes, brackets and backslashes', `"'\\{}[]<>;--%00&`],
    ['the user name in something hard to guess', 'alice 9xK-2vQ riddle mushroom'],
  ])('may be %s', async (_what, password) => {
    expect(await refusePassword(password, alice)).toBeNull();
  });

  it.each([
    ['passwordpassword', 'repeats itself'],
    ['aaaaaaaaaaaaaaa', 'repeats itself'],
    ['P@ssw0rdP@ssw0rd', 'repeats itself'],
    ['changemechangeme', 'repeats itself'],
    ['gatehousegatehouse', 'repeats itself'],
    ['abcdefghijklmnop', 'is a sequence'],
    ['123456789012345', 'is made of common passwords'],
    ['qwertyuiopasdfghj', 'is made of common passwords'],
    ['Password123456789', 'is made of common passwords'],
    ['gatehouse12345678', 'is made of common passwords'],
    ['1qaz2wsx3edc4rfv', 'is among the commonest passwords'],
    ['!@#$%^&*()_+{}|', 'follows neighbouring keys'],
    ['alice.liddell12345678', 'contains the user name'],
    ['Liddell123456789', 'contains the user name'],
    ['alice.liddell@example.com', 'contains the user name'],
  ])('may not be %s: it %s', async (password, reason) => {
    expect(await refusePassword(password, alice)).toBe(reason);
  });

  it.each([
    ['19870312', 'is little more than a date'],
    ['qzkvw123', 'is too easy to guess'],
    ['vkqzwpassword', 'is made of common passwords'],
    ['wvkjqzxy', 'contains the user name'],
  ])('may not be %s where short ones are allowed: it %s', async (password, reason) => {
    const rules = { username: 'qzxy.wvkj@example.com', passwordMinLength: 8 };
    expect(await refusePassword(password, rules)).toBe(reason);
  });

  it('is measured in code points after preparation', async () => {
    expect(await refusePassword('kP9wq7RtzB4nM2', alice)).toBe('is shorter than 15 characters');
    expect(await refusePassword('🦊🐼🦁🐯🐨🐸🐵🐔🐧🐦🐤🦄🐝🐛', alice)).toBe('is shorter than 15 characters');
    expect(await refusePassword('e\u0301a\u0301o\u0301u\u0301i\u0301e\u0301x', alice)).toBe(
      'is shorter than 15 characters',
    );
    const long = 'kP9wq7RtzB4nM2xY'.repeat(3) + 'ä🦊'.repeat(104);
    expect(await refusePassword(long.normalize('NFD'), alice)).toBeNull();
    expect(await refusePassword(`${long}x`, alice)).toBe('is longer than 256 characters');
    expect(await refusePassword('x'.repeat(1_000_000), alice)).toBe('is longer than 256 characters');
  });

  it.each([
    [8, 'kP9wq7Rt'],
    [64, 'kP9wq7RtzB4nM2xY'.repeat(4)],
  ])(
    'has at least %i characters where an operator says so, and is still hard to guess',
    async (least, enough) => {
      const rules = { ...alice, passwordMinLength: least };
      expect(await refusePassword(enough, rules)).toBeNull();
      expect(await refusePassword(enough.slice(1), rules)).toBe(`is shorter than ${least} characters`);
      expect(await refusePassword('password'.repeat(least / 8), rules)).not.toBeNull();
    },
  );

  it.each([
    ['a tab (RFC 8265, table 4)', 'my cat is a \tby my side'],
    ['a line break', 'correct horse battery staple\n'],
    ['a null', 'correct horse\0battery staple'],
    ['a lone surrogate', 'correct horse battery \uD800'],
    ['a noncharacter', 'correct horse battery \uFFFF'],
    ['a private character', 'correct horse battery \uE000'],
    ['an unassigned character', 'correct horse battery \u0378'],
    ['a zero width space', 'correct horse\u200B battery'],
    ['a direction override', 'correct horse\u202E battery'],
    ['a line separator', 'correct horse\u2028battery staple'],
  ])('does not contain %s', async (_what, password) => {
    expect(await refusePassword(password, alice)).toBe(
      'contains a control character, or one that is invisible or unassigned',
    );
  });
});

describe('a password that we make', () => {
  it('is 24 letters and digits without look-alikes, and never refused', async () => {
    for (let i = 0; i < 20; i += 1) {
      const password = generatePassword();
      expect(password).toMatch(/^[2-9A-HJ-NP-Za-km-z]{24}$/);
      expect(await refusePassword(password, alice)).toBeNull();
    }
  });

  it('carries at least 128 bits, every character drawn', () => {
    const drawn = new Set(Array.from({ length: 500 }, generatePassword).join(''));
    expect(24 * Math.log2(drawn.size)).toBeGreaterThanOrEqual(128);
  });

  it('is never made twice', () => {
    expect(new Set(Array.from({ length: 1000 }, generatePassword)).size).toBe(1000);
  });
});
