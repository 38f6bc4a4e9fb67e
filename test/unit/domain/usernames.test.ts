import bidiFactory from 'bidi-js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalUsername, explainUsername } from '../../../src/domain/users/usernames.js';

const VIRAMA = '\u094D';
const ZWNJ = '\u200C';
const ZWJ = '\u200D';

describe('the examples of RFC 8265', () => {
  it.each([
    ['juliet@example.com', 'juliet@example.com'],
    ['fussball', 'fussball'],
    ['fußball', 'fußball'],
    ['π', 'π'],
    ['Σ', 'σ'],
    ['σ', 'σ'],
    ['ς', 'ς'],
  ])('takes %s as %s (table 1)', (typed, canonical) => {
    expect(canonicalUsername(typed)).toBe(canonical);
    expect(explainUsername(typed)).toBeNull();
  });

  it.each([
    ['foo bar', 'contains a space, which user names do not admit'],
    ['', 'is empty'],
    ['henry\u2163', 'contains U+2173, which user names do not admit'],
    ['\u265A', 'contains U+265A, which user names do not admit'],
  ])('refuses %j and says why (table 2)', (typed, problem) => {
    expect(canonicalUsername(typed)).toBeNull();
    expect(explainUsername(typed)).toBe(problem);
  });
});

describe('the canonical form', () => {
  it.each([
    ['maps case', 'Alice.Liddell+Tea_Party-2@Example.COM', 'alice.liddell+tea_party-2@example.com'],
    ['maps full width', '\uFF21\uFF4C\uFF49\uFF43\uFF45\uFF20\uFF17', 'alice@7'],
    ['maps half-width katakana and composes it', '\uFF76\uFF9E', '\u30AC'],
    ['composes', 'Zoe\u0308', 'zo\u00EB'],
    ['takes the Kelvin sign for the letter that it is', '\u212Aevin', 'kevin'],
    ['takes the Angstrom sign for the letter that it is', '\u212Bsa', '\u00E5sa'],
    ['composes decomposed Hangul', '\u1112\u1161\u11AB', '\uD55C'],
    ['keeps the final sigma of Unicode lower case', 'ΟΔΥΣΣΕΥΣ', 'οδυσσευς'],
    ['does not fold sharp s', 'STRASSE', 'strasse'],
    ['keeps a dotted capital I apart', '\u0130', 'i\u0307'],
    ['takes characters outside the basic plane', '\u{1041}\u{20000}', '\u{1041}\u{20000}'],
    ['takes ideographic zero by exception', '二\u3007', '二\u3007'],
  ])('%s', (_what, typed, canonical) => {
    expect(canonicalUsername(typed)).toBe(canonical);
  });

  it.each([
    ['a line break', 'alice\n'],
    ['a null', 'alice\0'],
    ['an ideographic space', 'alice\u3000liddell'],
    ['a no-break space', 'alice\u00A0liddell'],
    ['a full-width macron, which would bring a space', 'alice\uFFE3'],
    ['a soft hyphen', 'al\u00ADice'],
    ['a zero width space', 'al\u200Bice'],
    ['a byte order mark', '\uFEFFalice'],
    ['a direction override', '\u202Eecila'],
    ['a variation selector', 'alice\uFE0F'],
    ['a ligature', 'o\uFB03ce'],
    ['a superscript', 'x\u00B2'],
    ['an emoji', 'alice🦊'],
    ['half-width Hangul', '\uFFA1\uFFC2'],
    ['a lone Hangul jamo', '\u1112'],
    ['a Hangul filler', '\u3164'],
    ['a tatweel', '\u0628\u0640\u0628'],
    ['a private character', 'a\uE000'],
    ['a noncharacter', 'a\uFFFE'],
    ['an unassigned character', 'a\u0378'],
  ])('admits no name with %s', (_what, typed) => {
    expect(canonicalUsername(typed)).toBeNull();
    expect(explainUsername(typed)).not.toBeNull();
  });

  it.each(['\uD800', 'a\uDC00b', 'a\uD83E'])('refuses a lone surrogate (%#)', (typed) => {
    expect(explainUsername(typed)).toBe('is not well-formed Unicode');
  });

  it('has at most 254 characters, counted in code points after mapping', () => {
    expect(canonicalUsername('a'.repeat(254))).toBe('a'.repeat(254));
    expect(explainUsername('a'.repeat(255))).toBe('is longer than 254 characters');
    expect(canonicalUsername('\u{20000}'.repeat(254))).toBe('\u{20000}'.repeat(254));
    expect(canonicalUsername('\u{20000}'.repeat(255))).toBeNull();
    expect(canonicalUsername('\u1F82'.normalize('NFD').repeat(254))).toBe('\u1F82'.repeat(254));
    expect(explainUsername('a\u0301'.repeat(1_000_000))).toBe('is longer than 254 characters');
  });
});

describe('the contextual rules of RFC 5892 appendix A', () => {
  it.each([
    ['a non-joiner after a virama', `\u0915${VIRAMA}${ZWNJ}\u0937`, true],
    ['a non-joiner in Persian', `\u0646\u0645\u06CC${ZWNJ}\u062E\u0648\u0627\u0647\u0645`, true],
    ['a non-joiner between marked letters', `\u062C\u0610${ZWNJ}\u0610\u0627`, true],
    ['a non-joiner after a letter that joins nothing', `\u0627${ZWNJ}\u0628`, false],
    ['a non-joiner before a hamza', `\u0628${ZWNJ}\u0621`, false],
    ['a non-joiner between Latin letters', `a${ZWNJ}b`, false],
    ['a non-joiner at the end', `\u0628${ZWNJ}`, false],
    ['a joiner after a virama', `\u0915${VIRAMA}${ZWJ}`, true],
    ['a joiner after a vowel sign', `\u0915\u093E${ZWJ}`, false],
    ['a joiner after a sheva, whose class is next to a virama', `\u05D0\u05B0${ZWJ}\u05D0`, false],
    ['a joiner between Latin letters', `a${ZWJ}b`, false],
    ['a middle dot between two l', 'paral\u00B7lel', true],
    ['a middle dot between two L', 'PARAL\u00B7LEL', true],
    ['a middle dot elsewhere', 'a\u00B7b', false],
    ['a middle dot at the end', 'l\u00B7', false],
    ['a keraia before Greek', '\u0375\u03B1', true],
    ['a keraia before Latin', '\u0375a', false],
    ['a geresh after Hebrew', '\u05E9\u05F3', true],
    ['gershayim within Hebrew', '\u05E6\u05D4\u05F4\u05DC', true],
    ['a geresh at the beginning', '\u05F3\u05E9', false],
    ['a katakana middle dot beside katakana', 'ア\u30FBb', true],
    ['a katakana middle dot alone with Latin', 'a\u30FBb', false],
    ['Arabic-Indic digits', '\u0628\u0661\u0662', true],
    ['extended Arabic-Indic digits', '\u0628\u06F1\u06F2', true],
    ['both kinds of Arabic digits', '\u0628\u0661\u06F2', false],
  ])('%s: %j is valid: %s', (_what, typed, valid) => {
    expect(canonicalUsername(typed)).toBe(valid ? typed.toLowerCase() : null);
  });

  it('says which character stands wrong', () => {
    expect(explainUsername('a\u00B7b')).toBe('contains U+00B7 where it may not stand');
    expect(explainUsername('\u0628\u0661\u06F2')).toBe('contains U+06F2 where it may not stand');
  });
});

describe('the Bidi rule of RFC 5893', () => {
  it.each([
    [
      'Dhivehi that ends in a mark (section 4.1)',
      '\u0786\u07AE\u0782\u07B0\u0795\u07A9\u0793\u07A6\u0783\u07B0',
      true,
    ],
    ['Yiddish that ends in a mark (section 4.2)', '\u05D9\u05D9\u05B4\u05D5\u05D5\u05D0\u05B8', true],
    ['Hebrew with European digits', '\u05D0\u05D1123', true],
    ['Hebrew with a hyphen inside', '\u05D0-\u05D1', true],
    ['Hebrew that ends in a hyphen (condition 3)', '\u05D0\u05D1-', false],
    ['digits before Hebrew (condition 1)', '123\u05D0', false],
    ['Arabic digits alone (condition 1)', '\u0661\u0662', false],
    ['a mark before Hebrew (condition 1)', '\u05B8\u05D0', false],
    ['Hebrew with Latin (condition 2)', '\u05E9a', false],
    ['Latin with Hebrew (condition 5)', 'a\u05E9', false],
    ['a Hebrew name at a Latin domain (condition 2)', '\u05D0\u05D1@example.com', false],
    ['European and Arabic digits together (condition 4)', '\u06281\u0662', false],
    ['a name without right-to-left characters, whatever it begins with', '1-a-', true],
  ])('%s: %j is valid: %s', (_what, typed, valid) => {
    expect(canonicalUsername(typed)).toBe(valid ? typed : null);
  });

  it('has a direction for every right-to-left script that this runtime knows', () => {
    const bidi = (bidiFactory as unknown as typeof bidiFactory.default)();
    const blocks: [number, number][] = [
      [0x590, 0x8ff],
      [0xfb1d, 0xfdff],
      [0x10800, 0x10fff],
      [0x1e800, 0x1efff],
    ];
    for (const [first, last] of blocks) {
      for (let codePoint = first; codePoint <= last; codePoint += 1) {
        const character = String.fromCodePoint(codePoint);
        if (/\P{Cn}/u.test(character)) expect(bidi.getBidiCharTypeName(character)).not.toBe('L');
      }
    }
  });
});

describe('whatever is typed', () => {
  // Hostile on purpose: joiners, marks, digits and jamo beside letters of every width, case and direction.
  const spice = Array.from(
    'aZß@.+-_ lL7\u00B7\u0130ΣςσIΐ\u0345\u212A\uFF21\uFF76\uFF9E\u1112\u1161\u11AB\uFFA1\u05D0\u05B0\u05F3\u0628\u0661\u06F1' +
      `\u0640${ZWNJ}${ZWJ}${VIRAMA}\u0301\u0308\u0323\u01C5\u1F88\u2163\u30FB🦊\u{10D50}`,
  );
  const typed = fc.oneof(
    fc.string({ unit: fc.constantFrom(...spice), maxLength: 20 }),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.string({ unit: 'grapheme', maxLength: 20 }),
  );

  it('has either a canonical form or a problem', () => {
    fc.assert(
      fc.property(typed, (name) => {
        expect(canonicalUsername(name) === null).toBe(explainUsername(name) !== null);
      }),
      { numRuns: 2000 },
    );
  });

  it('is canonical once it was made canonical', () => {
    fc.assert(
      fc.property(typed, (name) => {
        const canonical = canonicalUsername(name);
        fc.pre(canonical !== null);
        expect(canonicalUsername(canonical)).toBe(canonical);
        expect(canonical.normalize('NFC')).toBe(canonical);
        expect(canonical.toLowerCase()).toBe(canonical);
      }),
      { numRuns: 2000 },
    );
  });

  it('is the same name composed, decomposed and in lower case', () => {
    fc.assert(
      fc.property(typed, (name) => {
        const canonical = canonicalUsername(name);
        expect(canonicalUsername(name.normalize('NFC'))).toBe(canonical);
        expect(canonicalUsername(name.normalize('NFD'))).toBe(canonical);
        expect(canonicalUsername(name.toLowerCase())).toBe(canonical);
      }),
      { numRuns: 2000 },
    );
  });

  it('is the same name in upper case and in full width, for ASCII', () => {
    const ascii = fc.string({
      unit: fc.constantFrom(...Array.from('abcXYZ019@.+-_~!')),
      minLength: 1,
      maxLength: 40,
    });
    fc.assert(
      fc.property(ascii, (name) => {
        const wide = name.replace(/[!-~]/g, (character) =>
          String.fromCodePoint((character.codePointAt(0) ?? 0) + 0xfee0),
        );
        expect(canonicalUsername(name)).toBe(name.toLowerCase());
        expect(canonicalUsername(name.toUpperCase())).toBe(name.toLowerCase());
        expect(canonicalUsername(wide)).toBe(name.toLowerCase());
      }),
    );
  });

  it('is canonical at once for each single character of Unicode', () => {
    for (let codePoint = 0; codePoint <= 0x10ffff; codePoint += 1) {
      const canonical = canonicalUsername(String.fromCodePoint(codePoint));
      if (canonical !== null && canonicalUsername(canonical) !== canonical)
        expect.fail(`U+${codePoint.toString(16)}`);
    }
  });
});
