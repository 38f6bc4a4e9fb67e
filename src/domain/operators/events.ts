/** Events as operators look them up: newest first, page by page, or as they come. */
import { nullable, type RowOf } from '../../database/columns.js';
import type { Database } from '../../database/prisma.js';
import { sql } from '../../database/sql.js';
import type { EventType } from '../events/recorded.js';
import { firstIdOf, timeOfId } from '../sessions/ids.js';
import { idsOfSpan, LAST_ID, readPage, type Page, type PageOrder, type Place } from './pages.js';

const COLUMNS = {
  id: 'uuid',
  type: 'text',
  outcome: 'text',
  actor: 'text',
} as const;
const NULLABLE_COLUMNS = {
  userId: 'uuid?',
  sessionId: 'uuid?',
  clientId: 'text?',
  /** An address; of what was counted, a network. */
  ip: 'text?',
  userAgent: 'text?',
  requestId: 'uuid?',
  reason: 'text?',
  note: 'text?',
  /** JSON. */
  detail: 'text?',
} as const;
const EVENT_COLUMNS = { ...COLUMNS, ...NULLABLE_COLUMNS } as const;

type Found = RowOf<typeof EVENT_COLUMNS>;

export interface FoundEvent extends Omit<Found, 'detail'> {
  at: Date;
  detail: object | null;
}

export interface EventFilter {
  userId: string | null;
  /** As it stands in rows. */
  actor: string | null;
  type: EventType | null;
  /** From here on. */
  since: Date | null;
  /** Before. */
  until: Date | null;
}

/** No index is by type: of more rows than this nobody waits to hear that none is of the type. */
const MOST_LOOKED_AT = 5000;

const FOUND_EVENT = sql`found.id, found.type, found.outcome, found.actor, found.user_id AS "userId", found.session_id AS "sessionId",
           found.client_id AS "clientId", abbrev(found.ip) AS ip, found.user_agent AS "userAgent", found.request_id AS "requestId",
           found.reason, found.note, found.detail::text AS detail`;

/**
 * Events, newest first. A page of one type may be shorter than asked for, even empty, and yet not be the last: it ends where
 * enough of all types was looked at.
 */
export async function findEvents(
  database: Database,
  filter: EventFilter,
  order: PageOrder,
): Promise<Page<FoundEvent>> {
  const { userId, actor, type, since, until } = filter;
  const { first, last } = idsOfSpan(since, until);
  return await readPage(
    { name: 'events', filter },
    order,
    ({ id }) => ({ at: null, id }),
    async (after, count) => {
      const looked = type === null ? count : Math.max(count, MOST_LOOKED_AT);
      const rows = await database.query({ ...nullable(COLUMNS), ...NULLABLE_COLUMNS, end: 'uuid?' })`
        WITH looked AS MATERIALIZED (
          SELECT * FROM events
          WHERE id >= ${first}::uuid AND id < ${last}::uuid AND id < ${after?.id ?? LAST_ID}::uuid
            AND (${userId}::uuid IS NULL OR user_id = ${userId}::uuid)
            AND (${actor}::text IS NULL OR actor = ${actor}::text)
          ORDER BY id DESC
          LIMIT ${looked}::int4
        ), bounds AS MATERIALIZED (
          SELECT CASE WHEN (SELECT count(*) FROM looked) = ${looked}::int4 THEN (SELECT id FROM looked ORDER BY id LIMIT 1) END AS "end"
        )
        SELECT ${FOUND_EVENT}, bounds."end"
        FROM bounds LEFT JOIN LATERAL (
          SELECT * FROM looked WHERE ${type}::text IS NULL OR looked.type = ${type}::text
          ORDER BY id DESC LIMIT ${count}::int4
        ) AS found ON true
        ORDER BY found.id DESC`;
      const end = rows[0]?.end ?? null;
      const place: Place | null = end === null ? null : { at: null, id: end };
      return { rows: rows.filter(isFound).map(toEvent), end: place };
    },
  );
}

function isFound<Row extends { [Name in keyof Found]: Found[Name] | null }>(row: Row): row is Row & Found {
  return row.id !== null;
}

function toEvent({ detail, ...event }: Found): FoundEvent {
  return {
    ...event,
    at: timeOfId(event.id),
    detail: detail === null ? null : (JSON.parse(detail) as object),
  };
}

/** Ids are in the order of statements, and not of commits: one that took so long is still seen. */
export const OVERLAP_SECONDS = 10;

/** Of one statement. */
const MOST_FOLLOWED = 1000;

/**
 * Follows what is written: each call brings the events that the calls before have not brought, oldest first. The first call brings none:
 * it begins. An event whose commit comes later than {@link OVERLAP_SECONDS} after it began may be missed.
 */
export function followEvents(database: Database): () => Promise<FoundEvent[]> {
  let from: string | null = null;
  let seen = new Set<string>();

  return async () => {
    const [clock] = await database.query({ now: 'timestamptz' })`SELECT clock_timestamp() AS now`;
    const next = firstIdOf(new Date((clock?.now.getTime() ?? 0) - 1000 * OVERLAP_SECONDS));
    const rows = await readAfter(database, from ?? next);
    const fresh = from === null ? [] : rows.filter(({ id }) => !seen.has(id));
    from = next;
    seen = new Set(rows.map(({ id }) => id));
    return fresh.map(toEvent);
  };
}

async function readAfter(database: Database, id: string): Promise<Found[]> {
  const all: Found[] = [];
  for (;;) {
    const rows = await database.query(EVENT_COLUMNS)`
      SELECT ${FOUND_EVENT} FROM events AS found WHERE id > ${all.at(-1)?.id ?? id}::uuid ORDER BY id LIMIT ${MOST_FOLLOWED}::int4`;
    all.push(...rows);
    if (rows.length < MOST_FOLLOWED) return all;
  }
}
