/** Instants as people and programs write them. */

const INSTANT =
  /^(?<date>\d{4}-\d{2}-\d{2})T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** Reads an instant of RFC 3339, whose seconds may be left out; null for anything else. */
export function readInstant(text: string): Date | null {
  const date = INSTANT.exec(text)?.groups?.['date'] ?? '';
  const day = new Date(date);
  // JavaScript takes the 30th of February for the 2nd of March.
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(date) ? new Date(text) : null;
}
