/** Whether connections are our own: behind a pooler that hands them out by transaction, settings and locks get lost. */
import type pg from 'pg';

import { isItself } from './driver.js';

/** What is said of a database behind such a pooler. */
export const SHARED_CONNECTIONS =
  'is behind a pooler that lends a connection for one transaction (in PgBouncer: pool_mode = transaction). ' +
  'Gatehouse needs connections of its own: point DATABASE_URL at PostgreSQL itself, or at a pooler in session mode.';

/**
 * Whether two connections keep what they were told, each while the other one is used.
 *
 * A pooler that has one connection to PostgreSQL shows it at once: the second one has overwritten what the first one was
 * told. One that has several lends the latest used or the longest unused: the transactions make it lend another one than
 * before in either case.
 */
export async function areOwn(one: pg.ClientBase, two: pg.ClientBase): Promise<boolean> {
  if (!(await isItself(one)) || !(await isItself(two))) return false;
  for (const [holder, other] of [
    [one, two],
    [two, one],
  ] as const) {
    await holder.query('BEGIN');
    const isOwn = (await isItself(holder)) && (await isItself(other));
    await holder.query('ROLLBACK');
    if (!isOwn) return false;
  }
  return (await isItself(one)) && (await isItself(one));
}
