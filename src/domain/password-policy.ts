/** Which passwords are good enough: judged when people choose them, certain when they are made here. */

import { randomInt } from 'node:crypto';
import type { Match, ZxcvbnFactory, ZxcvbnResult } from '@zxcvbn-ts/core';
import { MAX_TYPED_UNITS, preparePassword } from './passwords.js';

/** In code points, after preparation (NIST SP 800-63B-4 section 3.1.1.2). */
const MIN_CHARACTERS = 15;
const MAX_CHARACTERS = 256;

// Of zxcvbn's 0 to 4: "safely unguessable", more than 10^8 guesses, where the stored hash is a slow one.
const MIN_SCORE = 3;

// What nobody sees: controls, separators, what is unassigned or private, and what is drawn as nothing, but for the
// joiners and selectors that keyboards put into emoji and Persian words. Wider than the FreeformClass of RFC 8264,
// which also refuses some printing characters for their looks; nobody tells passwords apart by looking at them.
const UNTYPEABLE =
  /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?![\u200C\u200D\uFE0E\uFE0F\u{E0020}-\u{E007F}])\p{Default_Ignorable_Code_Point}/u;

/**
 * Why this password may not be set, as the end of a sentence that begins with "the password", or null if it may.
 * Repeats nothing of the password. Loads the dictionaries on demand (about 150 ms and 25 MB), so a process
 * that only verifies never pays for them.
 */
export async function refusePassword(
  typed: string,
  { username }: { username: string },
): Promise<string | null> {
  // No character decomposes into more UTF-16 units: this refuses nothing acceptable.
  if (typed.length > MAX_TYPED_UNITS) return `is longer than ${MAX_CHARACTERS} characters`;
  const password = preparePassword(typed);
  const characters = Array.from(password).length;
  if (characters < MIN_CHARACTERS) return `is shorter than ${MIN_CHARACTERS} characters`;
  if (characters > MAX_CHARACTERS) return `is longer than ${MAX_CHARACTERS} characters`;
  if (UNTYPEABLE.test(password))
    return 'contains a control character, or one that is invisible or unassigned';

  const estimator = await loadEstimator();
  const estimate = estimator.check(password, guessableFrom(username));
  return estimate.score < MIN_SCORE ? explain(estimate) : null;
}

// Without 0, O, 1, I, l and their like: 24 of these 55 characters are 138 bits.
const GENERATED_ALPHABET = '23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz';
const GENERATED_LENGTH = 24;

/** A password that we make: at least 128 random bits, easy to read and to type. */
export function generatePassword(): string {
  const draw = () => GENERATED_ALPHABET.charAt(randomInt(GENERATED_ALPHABET.length));
  return Array.from({ length: GENERATED_LENGTH }, draw).join('');
}

async function loadEstimator(): Promise<ZxcvbnFactory> {
  const [core, common] = await Promise.all([import('@zxcvbn-ts/core'), import('@zxcvbn-ts/language-common')]);
  return new core.ZxcvbnFactory({
    dictionary: { ...common.dictionary, service: ['gatehouse'] },
    graphs: common.adjacencyGraphs,
  });
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

function explain({ sequence }: ZxcvbnResult): string {
  if (sequence.some((match) => match['dictionaryName'] === 'userInputs')) return 'contains the user name';
  const [weakest] = sequence.toSorted((a, b) => lengthOf(b) - lengthOf(a));
  if (sequence.length === 1 && weakest?.pattern === 'dictionary') return 'is among the commonest passwords';
  return REASONS[weakest?.pattern ?? ''] ?? 'is too easy to guess';
}

function lengthOf({ token }: Match): number {
  return token.length;
}
