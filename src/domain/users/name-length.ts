/** How long a user name may be, beside its grammar: the configuration asks, which needs no tables of Unicode. */

/** In characters of Unicode. */
export const MAX_CHARACTERS = 254;
