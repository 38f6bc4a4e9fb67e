/** Events: who did what, and from where. The statement that does it writes them, so that an event is there exactly when its change is. */
import type { ErrorCode } from '@gatehouse/protocol';

import type { Database } from '../../database/prisma.js';
import { Clause, sql, type Fragment } from '../../database/sql.js';
import type { Trail } from '../reports/told.js';
import { NEW_ID } from '../sessions/ids.js';

/** What can have happened. docs/events.md says what each means. */
export const EVENT_TYPES = [
  'session.opened',
  'login',
  'request.limited',
  'request.refused',
  'session.ended',
  'session.changed',
  'session.reused',
  'token.revoked',
  'user.added',
  'user.imported',
  'user.changed',
  'user.disabled',
  'user.enabled',
  'user.deleted',
  'user.unlocked',
  'user.code_issued',
  'password.changed',
  'client.added',
  'client.changed',
  'client.removed',
  'client.secret_added',
  'client.secret_removed',
  'key.added',
  'key.rotated',
  'key.retired',
  'key.reencrypted',
  'key.reset',
  'revocation.added',
  'revocation.lifted',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** What the caller of a statement knows of its event. */
export interface Facts {
  /** Null where the call changes nothing: then no event is written. */
  type: EventType | null;
  /** Who acts, as it stands in rows (sessions/actors.ts). */
  actor: string;
  /** What the caller is answered: `ok` unless it is an error. */
  outcome?: ErrorCode;
  reason?: string | null;
  /** What an operator wrote down. */
  note?: string | null;
  /** What else is to be told. No name and no address stands here, and nothing that is secret. */
  detail?: object;
}

/**
 * What a statement knows of its event.
 *
 * @param source.from parts of its WITH, one row for an event; one of them has the column `now`
 * @param source.where whether something has changed. `told` has the {@link Facts}, so that `told.type` may be asked
 */
export function eventOf({
  from,
  where = sql`true`,
  userId = sql`NULL::uuid`,
  sessionId = sql`NULL::uuid`,
  clientId = sql`NULL::text`,
  detail = sql`told.detail`,
}: {
  from: Fragment;
  where?: Fragment;
  userId?: Fragment;
  sessionId?: Fragment;
  clientId?: Fragment;
  detail?: Fragment;
}): readonly [Fragment, Fragment] {
  return [
    sql`, recorded AS (
      INSERT INTO events (id, type, outcome, actor, user_id, session_id, client_id, ip, user_agent, request_id, reason, note, detail)
      SELECT ${NEW_ID}, told.type, told.outcome, told.actor, ${userId}, ${sessionId}, ${clientId}, told.ip, told.user_agent, told.request_id,
             told.reason, told.note, ${detail}
      FROM jsonb_to_record(`,
    sql`::jsonb) AS told (
        type text, outcome text, actor text, ip inet, user_agent text, request_id uuid, reason text, note text, detail jsonb
      ), ${from}
      WHERE told.type IS NOT NULL AND (${where})
    )`,
  ];
}

const NOTHING = sql``;

/**
 * The last part of a statement's WITH: writes its event, if there is one. Where no events are kept, the statement is without it.
 *
 * @param trail of the request, which tells from where it came
 */
export function recorded(
  database: Pick<Database, 'events'>,
  event: readonly [Fragment, Fragment],
  { type, actor, outcome, reason, note, detail }: Facts,
  trail: Trail | undefined,
): Clause | Fragment {
  if (database.events === 'off') return NOTHING;
  const { ip, userAgent, requestId } = trail?.origin ?? {};
  const told = { type, outcome: outcome ?? 'ok', actor, reason, note, detail };
  return new Clause(event, [JSON.stringify({ ...told, ip, user_agent: userAgent, request_id: requestId })]);
}
