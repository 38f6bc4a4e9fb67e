/** The lines of an import, as a request and a file bring them. */

/** A line with its number, which counts from 1. */
export interface ImportLine {
  line: number;
  text: string;
}

/** In one request, and in one statement. */
export const MOST_LINES = 1000;

/** The lines of NDJSON, without those that are empty, which count all the same. */
export function splitLines(text: string): ImportLine[] {
  return text
    .split('\n')
    .map((line, place) => ({ line: place + 1, text: line }))
    .filter((line) => !isEmpty(line));
}

export function isEmpty({ text }: ImportLine): boolean {
  return text.trim() === '';
}

/** Whether a text has more than {@link MOST_LINES}, empty ones included. It looks no further than it must. */
export function hasTooManyLines(text: string): boolean {
  let end = -1;
  for (let lines = 0; lines < MOST_LINES; lines += 1) {
    end = text.indexOf('\n', end + 1);
    if (end === -1) return false;
  }
  return end < text.length - 1;
}
