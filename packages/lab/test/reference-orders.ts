// What administrators order of the reference service: rows that end what they name until they are lifted, and ends for good.
import type { Row as WrittenRow } from '../chaos/history.js';
import type { ReferenceEvents } from './reference-events.js';
import type { Row } from './reference-service.js';

export type Order =
  | { by: 'session_ids'; sids: string[] }
  | { by: 'user_ids'; users: string[] }
  | { by: 'jti' | 'token'; lineage: string }
  | { by: 'ip'; client: number; since: number; until: number }
  | { by: 'all'; before: number }
  | { by: 'now' };

interface OrdersRow extends WrittenRow {
  ending: string;
  actor: number;
  isLifted: boolean;
}

/** Of an administrator, as events have it. */
export const nameOf = (administrator: number): string => `client:administrator-${administrator}`;

export function createReferenceOrders(service: {
  rows: Map<string, Row>;
  revoked: Set<string>;
  /** No operator's row counts. */
  standsButForRows: (sid: string) => boolean;
  isThere: (user: string) => boolean;
  raise: (user: string) => void;
  /** Of everybody. */
  raiseAll: () => void;
  events: ReferenceEvents;
}) {
  const { rows: sessions, revoked, standsButForRows, isThere, raise, raiseAll, events } = service;
  const written: OrdersRow[] = [];
  let notBefore = -Infinity;
  let endings = 0;

  const isHeld = (target: string, counts: (row: OrdersRow) => boolean = () => true) =>
    written.some((row) => row.target === target && !row.isLifted && counts(row));

  /** What an order names; a target that its own actor holds already needs no other row. */
  function doomed(order: Order, actor: number, now: number): WrittenRow[] {
    const isOwn = (row: OrdersRow) => row.actor === actor;
    const isDoomed = (sid: string) =>
      (sessions.get(sid)?.expiresAt ?? 0) > now && standsButForRows(sid) && !isHeld(sid, isOwn);
    const ofSessions = (sids: string[]) =>
      sids.filter(isDoomed).map((target) => ({ id: '', kind: 'session' as const, target }));
    switch (order.by) {
      case 'session_ids':
        return ofSessions([...new Set(order.sids)]);
      case 'ip': {
        const { client, since, until } = order;
        const found = [...sessions.values()].filter(
          (row) => row.client === client && row.openedMs >= since && row.openedMs < until,
        );
        return ofSessions(found.map(({ id }) => id));
      }
      case 'user_ids':
        return order.users.filter(isThere).map(() => ({ id: '', kind: 'user', target: null }));
      case 'all':
      case 'now':
        return [{ id: '', kind: 'user', target: null }];
      default: {
        const { lineage } = order;
        if (sessions.has(lineage)) return ofSessions([lineage]);
        const isAlive = !revoked.has(lineage) && !isHeld(lineage, isOwn);
        return isAlive ? [{ id: '', kind: 'token', target: lineage }] : [];
      }
    }
  }

  return {
    isHeld: (target: string) => isHeld(target),
    notBefore: () => notBefore,

    /** Writes its rows, and says how many of what it names had stood. */
    order: (
      order: Order,
      actor: number,
      now: number,
    ): { ending: string; counted: number; reached: number } => {
      endings += 1;
      const ending = `ending-${endings}`;
      const found = doomed(order, actor, now);
      const counted = found.filter(({ target }) => target !== null && !isHeld(target)).length;
      for (const [place, row] of found.entries())
        written.push({ ...row, id: `${ending}-${place}`, ending, actor, isLifted: false });
      if (order.by === 'user_ids') for (const user of new Set(order.users)) raise(user);
      if (order.by === 'all') notBefore = Math.max(notBefore, order.before);
      if (order.by === 'now') raiseAll();
      if (found.length > 0)
        events.write('revocation.added', { actor: nameOf(actor), detail: { ending_id: ending } });
      return { ending, counted, reached: found.length };
    },

    rowsOf: (ending: string): WrittenRow[] =>
      written.filter((row) => row.ending === ending).map(({ id, kind, target }) => ({ id, kind, target })),

    /** Whether what the row had ended lives now; null for a row that is final. */
    lift: (id: string, now: number, actor: number): boolean | null => {
      const row = written.find((one) => one.id === id);
      if (row === undefined || row.target === null) return null;
      const { kind, target } = row;
      if (!row.isLifted)
        events.write('revocation.lifted', {
          actor: nameOf(actor),
          sessionId: kind === 'session' ? target : null,
          detail: { revocation_id: id },
        });
      row.isLifted = true;
      if (isHeld(target)) return false;
      if (kind === 'token') return !revoked.has(target);
      return standsButForRows(target) && (sessions.get(target)?.expiresAt ?? 0) > now;
    },
  };
}
