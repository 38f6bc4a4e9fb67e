/** Ids of sessions and events: UUIDv7 by the primary's clock (RFC 9562 section 5.7), so that they are in the order of time. */
import { sql } from '../../database/sql.js';

/** The id of what comes into being `now`: built by hand since PostgreSQL makes its own only from 18 on. */
export const NEW_ID = sql`overlay(
               overlay(gen_random_uuid()::text PLACING
                 overlay(lpad(to_hex((extract(epoch FROM now) * 1000)::bigint), 12, '0') PLACING '-' FROM 9 FOR 0)
                 FROM 1 FOR 13)
               PLACING '7' FROM 15 FOR 1
             )::uuid`;

/** No id of ours is lower, nor equal. */
export const FIRST_ID = '00000000-0000-0000-0000-000000000000';

/** The most milliseconds that fit. */
const MAX_MS = 2 ** 48 - 1;

/** The least id of what comes into being at a time, or later. */
export function firstIdOf(time: Date): string {
  const ms = Math.min(Math.max(time.getTime(), 0), MAX_MS);
  const hex = ms.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

/** The time that an id begins with, to the millisecond. */
export function timeOfId(id: string): Date {
  return new Date(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16));
}
