/** What operators write down about what they do, for people who ask later. */

/** In characters, as JavaScript counts them. */
export const LONGEST_NOTE = 500;

/** Nothing that a reader cannot see, or that turns the direction of what follows; but line breaks and tabs. */
const UNSEEN = /[^\P{Cc}\n\t]|[\p{Cf}\p{Zl}\p{Zp}]/u;

export function isNote(text: string): boolean {
  return text.length <= LONGEST_NOTE && text.isWellFormed() && !UNSEEN.test(text);
}

/** Why something was ended, as a word that programs can count. */
export const REASON = /^[a-z][a-z0-9_]{0,63}$/;
export const DEFAULT_REASON = 'ended_by_operator';
