/**
 * The one spelling of a user name: the profile UsernameCaseMapped of RFC 8265 section 3.3. Written out here because
 * npm has no maintained PRECIS library; Unicode's tables come from the runtime, directions from bidi-js.
 */

import bidiFactory from 'bidi-js';

import { MAX_CHARACTERS } from './name-length.js';

// No character decomposes into more UTF-16 units: this refuses nothing acceptable, and what is hostile before it is
// normalized.
const MAX_TYPED_UNITS = 8 * MAX_CHARACTERS;

// The package is CommonJS whose export is the factory itself, but its types describe an ES module.
const bidi = (bidiFactory as unknown as typeof bidiFactory.default)();

/** The canonical form; or why there is none, as the end of a sentence that begins with "the user name". */
type Verdict = { username: string; problem: null } | { username: null; problem: string };

/**
 * The canonical form of a user name, or null if it is none. Two names are the same user's if their canonical forms
 * are equal; a canonical form is its own. E-mail addresses are valid, spaces are not (RFC 8265 section 3.5 leaves
 * names of several parts to the application, and we need none).
 */
export function canonicalUsername(typed: string): string | null {
  return judgeUsername(typed).username;
}

/** Why this is no user name; null if it is one. */
export function explainUsername(typed: string): string | null {
  return judgeUsername(typed).problem;
}

/** Both at once: a name of two thousand marks costs 5 ms each time that it is normalized. */
export function judgeUsername(typed: string): Verdict {
  if (typed.length > MAX_TYPED_UNITS) return refused(`is longer than ${MAX_CHARACTERS} characters`);
  if (/\p{Cs}/u.test(typed)) return refused('is not well-formed Unicode');

  // The order of RFC 8264 section 7: the characters are judged last, after mapping, so that canonically equivalent
  // spellings share one verdict (decomposed Hangul, the Kelvin sign).
  const username = mapWidth(typed).toLowerCase().normalize('NFC');
  const characters = Array.from(username);
  if (characters.length === 0) return refused('is empty');
  if (characters.length > MAX_CHARACTERS) return refused(`is longer than ${MAX_CHARACTERS} characters`);

  const stranger = characters.find((character) => !isAdmitted(character));
  if (stranger !== undefined) return refused(`contains ${nameOf(stranger)}, which user names do not admit`);
  const misplaced = findMisplaced(username);
  if (misplaced !== undefined) return refused(`contains ${nameOf(misplaced)} where it may not stand`);
  if (!obeysBidiRule(characters)) return refused('mixes writing directions (RFC 5893)');
  return { username, problem: null };
}

function refused(problem: string): Verdict {
  return { username: null, problem };
}

function nameOf(character: string): string {
  const hex = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  return character === ' ' ? 'a space' : `U+${hex}`;
}

/** RFC 8264 section 5.2.1. The other half-width and full-width characters are not admitted, mapped or not. */
function mapWidth(text: string): string {
  return text.replace(/[\uFF01-\uFF9F]/g, (character) => character.normalize('NFKC'));
}

// RFC 8264 section 9: Exceptions (F), OldHangulJamo (I), PrecisIgnorableProperties (M), LetterDigits (A).
const ADMITTED_BY_NAME = /[\u00DF\u03C2\u06FD\u06FE\u0F0B\u3007]/u;
const DISALLOWED =
  /[\u0640\u07FA\u302E\u302F\u3031-\u3035\u303B\u1100-\u11FF\uA960-\uA97C\uD7B0-\uD7FB\p{Default_Ignorable_Code_Point}]/u;
const LETTER_DIGITS = /[\p{Ll}\p{Lu}\p{Lo}\p{Nd}\p{Lm}\p{Mn}\p{Mc}]/u;

/** Whether the IdentifierClass has this character, if only in some contexts (the order of RFC 8264 section 8). */
function isAdmitted(character: string): boolean {
  if (/[!-~]/.test(character) || ADMITTED_BY_NAME.test(character) || CONTEXT_RULES.has(character))
    return true;
  if (DISALLOWED.test(character)) return false;
  return LETTER_DIGITS.test(character) && character.normalize('NFKC') === character;
}

// Joining types of the Arabic block (ArabicShaping.txt): letters that join on both sides, and on the right alone.
const JOINS_NEXT =
  /[\u0620\u0626\u0628\u062A-\u062E\u0633-\u063F\u0641-\u0647\u0649\u064A\u066E\u066F\u0678-\u0687\u069A-\u06BF\u06C1\u06C2\u06CC\u06CE\u06D0\u06D1\u06FA-\u06FC\u06FF]\p{Mn}*$/u;
const JOINS_PREVIOUS =
  /^\p{Mn}*(?![\u0621\u0640\u0674])[\u0620-\u064A\u066E\u066F\u0671-\u06D3\u06D5\u06EE\u06EF\u06FA-\u06FC\u06FF]/u;

type ContextRule = (before: string, after: string) => boolean;

/** RFC 5892 appendix A, by character: whether it may stand between what comes before and after it. */
const CONTEXT_RULES: ReadonlyMap<string, ContextRule> = new Map<string, ContextRule>([
  // Zero width non-joiner. Stricter than the RFC in one thing: outside the Arabic block it needs a virama.
  [
    '\u200C',
    (before, after) => endsInVirama(before) || (JOINS_NEXT.test(before) && JOINS_PREVIOUS.test(after)),
  ],
  ['\u200D', endsInVirama],
  ['\u00B7', (before, after) => before.endsWith('l') && after.startsWith('l')],
  ['\u0375', (_before, after) => /^\p{Script=Greek}/u.test(after)],
  ['\u05F3', (before) => /\p{Script=Hebrew}$/u.test(before)],
  ['\u05F4', (before) => /\p{Script=Hebrew}$/u.test(before)],
  [
    '\u30FB',
    (before, after) => /[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]/u.test(before + after),
  ],
]);
const ARABIC_INDIC_DIGIT = /[\u0660-\u0669]/;
const EXTENDED_ARABIC_INDIC_DIGIT = /[\u06F0-\u06F9]/;

/** The first character that RFC 5892 appendix A does not let stand where it stands. */
function findMisplaced(username: string): string | undefined {
  if (ARABIC_INDIC_DIGIT.test(username)) {
    const mixed = EXTENDED_ARABIC_INDIC_DIGIT.exec(username);
    if (mixed !== null) return mixed[0];
  }
  let end = 0;
  for (const character of username) {
    const start = end;
    end += character.length;
    const mayStand = CONTEXT_RULES.get(character);
    if (mayStand?.(username.slice(0, start), username.slice(end)) === false) return character;
  }
  return undefined;
}

/**
 * A virama is what has combining class 9. JavaScript has no property for that, but canonical ordering shows it: such
 * a mark sorts before U+05B0 (class 10) and after U+3099 (class 8).
 */
function endsInVirama(text: string): boolean {
  const last = /\p{M}$/u.exec(text)?.[0];
  return last !== undefined && sortsBefore(last, '\u05B0') && sortsBefore('\u3099', last);
}

function sortsBefore(mark: string, other: string): boolean {
  return mark !== other && (other + mark).normalize('NFD') === mark + other;
}

const RIGHT_TO_LEFT = new Set(['R', 'AL', 'AN']);
const WITHIN_RIGHT_TO_LEFT = new Set(['R', 'AL', 'AN', 'EN', 'ES', 'CS', 'ET', 'ON', 'BN', 'NSM']);
const ENDS_RIGHT_TO_LEFT = new Set(['R', 'AL', 'EN', 'AN']);

/** RFC 5893 section 2, asked only of names with a right-to-left character in them (RFC 8265 section 3.3.2). */
function obeysBidiRule(characters: string[]): boolean {
  const classes = characters.map((character) => bidi.getBidiCharTypeName(character));
  if (!classes.some((type) => RIGHT_TO_LEFT.has(type))) return true;

  // A name that begins left to right must not contain right-to-left characters at all (conditions 1 and 5).
  if (classes[0] !== 'R' && classes[0] !== 'AL') return false;
  const last = classes.findLast((type) => type !== 'NSM');
  return (
    classes.every((type) => WITHIN_RIGHT_TO_LEFT.has(type)) &&
    last !== undefined &&
    ENDS_RIGHT_TO_LEFT.has(last) &&
    !(classes.includes('EN') && classes.includes('AN'))
  );
}
