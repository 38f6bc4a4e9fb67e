/** How many sessions are looked at for those of a network. No index is by address: each login would pay for it, and few ask. */
import type { Database } from '../../database/prisma.js';
import type { Place } from './pages.js';

/** Half a million take a tenth of a second on a machine at rest, so that a statement has the time under load, too. */
export const MOST_LOOKED_AT = 500_000;

/**
 * Of the sessions of a span, latest opened first, the one behind the first {@link MOST_LOOKED_AT}; null where there are no more than these.
 *
 * @param first the least id in the span; `last` is the least id beyond it
 */
export async function findBeyondLook(database: Database, first: string, last: string): Promise<Place | null> {
  const [beyond] = await database.query({ id: 'uuid' })`
    SELECT id FROM sessions WHERE id >= ${first}::uuid AND id < ${last}::uuid
    ORDER BY id DESC OFFSET ${MOST_LOOKED_AT}::int4 LIMIT 1`;
  return beyond === undefined ? null : { at: null, id: beyond.id };
}
