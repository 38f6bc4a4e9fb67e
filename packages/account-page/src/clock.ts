/** The server's time, learned from its answers: what the clock of this computer says is never believed. */

export interface ServerClock {
  /** Seconds since 1970, or null before the first answer. */
  now: () => number | null;
  /** Takes up the `Date` of an answer, which was written between two readings of our own counter. */
  hear: (date: string | null, sentAt: number, heardAt: number) => void;
  /**
   * Takes up that the clock by which tokens are judged was in `[from, before)` between two readings. Where `Date`,
   * which is another computer's, contradicts that, it is wrong.
   */
  learn: (from: number, before: number, sentAt: number, heardAt: number) => void;
}

/** Seconds of a counter that nobody sets. */
export function ticks(): number {
  return performance.now() / 1000;
}

export function createServerClock(read: () => number = ticks): ServerClock {
  const heard = createBounds();
  const learned = createBounds();

  return {
    now: () => {
      const guess = heard.middle() ?? learned.middle();
      return guess === null ? null : read() + learned.clamp(guess);
    },
    hear: (date, sentAt, heardAt) => {
      const second = Date.parse(date ?? '') / 1000;
      // It is cut to the second.
      if (Number.isFinite(second)) heard.narrow(second - heardAt, second + 1 - sentAt);
    },
    learn: (from, before, sentAt, heardAt) => learned.narrow(from - heardAt, before - sentAt),
  };
}

interface Bounds {
  narrow: (least: number, most: number) => void;
  middle: () => number | null;
  clamp: (offset: number) => number;
}

/**
 * How far the server's clock is from our counter: each answer bounds it, and together they do to a fraction of a second.
 * An answer that contradicts those before wins: this computer slept, or the server's clock was set.
 */
function createBounds(): Bounds {
  let [least, most] = [-Infinity, Infinity];
  return {
    narrow: (newLeast, newMost) => {
      const isContradiction = newLeast > most || newMost < least;
      least = isContradiction ? newLeast : Math.max(least, newLeast);
      most = isContradiction ? newMost : Math.min(most, newMost);
    },
    middle: () => (Number.isFinite(least) && Number.isFinite(most) ? (least + most) / 2 : null),
    clamp: (offset) => Math.min(Math.max(offset, least), most),
  };
}
