/** Which passwords are good enough: judged when people choose them, certain when they are made here. */

import { randomInt } from 'node:crypto';

import type { Estimate } from '../../background/estimator.js';
import { estimate } from './estimator.js';
import { MAX_TYPED_UNITS, preparePassword } from './hasher.js';

/** What an operator decides about passwords. */
export interface PasswordRules {
  /** In code points, after preparation (NIST SP 800-63B-4 section 3.1.1.2). */
  passwordMinLength: number;
}

const MAX_CHARACTERS = 256;

// zxcvbn calls it "safely unguessable" where the stored hash is a slow one. Its score would ask for 5 more, and so refuse eight
// characters without any pattern.
const MIN_GUESSES = 1e8;

// What nobody sees: controls, separators, what is unassigned or private, and what is drawn as nothing, but for the
// joiners and selectors that keyboards put into emoji and Persian words. Wider than the FreeformClass of RFC 8264,
// which also refuses some printing characters for their looks; nobody tells passwords apart by looking at them.
const UNTYPEABLE =
  /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?![\u200C\u200D\uFE0E\uFE0F\u{E0020}-\u{E007F}])\p{Default_Ignorable_Code_Point}/u;

/**
 * Why this password may not be set, as the end of a sentence that begins with "the password", or null if it may.
 * Repeats nothing of the password.
 *
 * @param withinMs how long judging may take; half a minute unless somebody waits who gives up sooner
 * @throws {AuthError} temporarily_unavailable when it cannot be judged
 */
export async function refusePassword(
  typed: string,
  { username, passwordMinLength, withinMs = 30_000 }: PasswordRules & { username: string; withinMs?: number },
): Promise<string | null> {
  // No character decomposes into more UTF-16 units: this refuses nothing acceptable.
  if (typed.length > MAX_TYPED_UNITS) return `is longer than ${MAX_CHARACTERS} characters`;
  const password = preparePassword(typed);
  const characters = Array.from(password).length;
  if (characters < passwordMinLength) return `is shorter than ${passwordMinLength} characters`;
  if (characters > MAX_CHARACTERS) return `is longer than ${MAX_CHARACTERS} characters`;
  if (UNTYPEABLE.test(password))
    return 'contains a control character, or one that is invisible or unassigned';

  const estimated = await estimate(password, guessableFrom(username), withinMs);
  return estimated.guesses < MIN_GUESSES ? explain(estimated) : null;
}

// Without 0, O, 1, I, l and their like: 24 of these 55 characters are 138 bits.
const GENERATED_ALPHABET = '23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz';
const GENERATED_LENGTH = 24;

/** A password that we make: at least 128 random bits, easy to read and to type. */
export function generatePassword(): string {
  const draw = () => GENERATED_ALPHABET.charAt(randomInt(GENERATED_ALPHABET.length));
  return Array.from({ length: GENERATED_LENGTH }, draw).join('');
}

/** What an attacker tries first for this user: the name, what stands before its @, and its longer parts. */
function guessableFrom(username: string): string[] {
  const parts = username.split(/[^\p{L}\p{M}\p{N}]+/u).filter((part) => part.length > 3);
  return [username, username.replace(/@.*/su, ''), ...parts];
}

const REASONS: Record<string, string> = {
  dictionary: 'is made of common passwords',
  repeat: 'repeats itself',
  sequence: 'is a sequence',
  spatial: 'follows neighbouring keys',
  date: 'is little more than a date',
};

function explain({ parts }: Estimate): string {
  if (parts.some(({ dictionary }) => dictionary === 'userInputs')) return 'contains the user name';
  const [weakest] = parts.toSorted((a, b) => b.length - a.length);
  if (parts.length === 1 && weakest?.pattern === 'dictionary') return 'is among the commonest passwords';
  return REASONS[weakest?.pattern ?? ''] ?? 'is too easy to guess';
}
