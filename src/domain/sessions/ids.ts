/** Ids of sessions: UUIDv7 by the primary's clock (RFC 9562 section 5.7), so that they are in the order of opening. */

/** The most milliseconds that fit. */
const MAX_MS = 2 ** 48 - 1;

/** The least id that a session which is opened at a time, or later, can have. */
export function firstIdOf(time: Date): string {
  const ms = Math.min(Math.max(time.getTime(), 0), MAX_MS);
  const hex = ms.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
