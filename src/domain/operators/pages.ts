/** Pages of a list: where one ends and the next begins, as a text that its caller need not understand. */
import { hash } from 'node:crypto';

import { AuthError } from '../errors.js';
import { FIRST_ID, firstIdOf } from '../sessions/ids.js';
import { isUuid } from '../tokens/claims.js';

export const DEFAULT_PAGE = 50;
export const LARGEST_PAGE = 200;

/** No id of ours is higher, nor equal. */
export const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** Of what comes into being within a span: the least id that is in it, and the least that is beyond it. */
export function idsOfSpan(since: Date | null, until: Date | null): { first: string; last: string } {
  return {
    first: since === null ? FIRST_ID : firstIdOf(since),
    last: until === null ? LAST_ID : firstIdOf(until),
  };
}

/** The last row of a page: when it was written, for lists in the order of a time, and its id. */
export interface Place {
  at: Date | null;
  id: string;
}

/** What a caller asks of a list. */
export interface PageOrder {
  limit: number;
  /** The `next` of the page before; null for the first page. */
  after: string | null;
}

export interface Page<Row> {
  rows: Row[];
  /** Names the next page; null after the last row. */
  next: string | null;
}

/**
 * Reads one page.
 *
 * @param list its name and its filter: the cursor of another list, or of another filter, is refused; and whether a text can be an
 * id there, which is a UUID unless told otherwise
 * @param read reads rows after a place, in the order of the list, as many as it is told. One that stops before it has so many
 * says where: `end`
 * @throws {AuthError} invalid_request for a cursor that is not of this list
 */
export async function readPage<Row>(
  list: { name: string; filter: object; isId?: (text: string) => boolean },
  { limit, after }: PageOrder,
  placeOf: (row: Row) => Place,
  read: (after: Place | null, count: number) => Promise<Row[] | { rows: Row[]; end: Place | null }>,
): Promise<Page<Row>> {
  const mark = hash('sha256', JSON.stringify([list.name, list.filter]), 'base64url').slice(0, 16);
  const { isId = isUuid } = list;
  const place = after === null ? null : readCursor(after, mark, isId);
  const found = await read(place, limit + 1);
  const { rows, end } = 'rows' in found ? found : { rows: found, end: null };
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  const next = last === undefined ? end : placeOf(last);
  return { rows: rows.slice(0, limit), next: next === null ? null : writeCursor(next, mark) };
}

export const NO_PLACE = '`after` is no `next` of this list with this filter: leave it out to begin again.';

const CURSOR = /^(?<mark>[\w-]{16})(?<at>[0-9a-z]{1,9})?\.(?<id>[\w.-]{1,100})$/;

function writeCursor({ at, id }: Place, mark: string): string {
  return `${mark}${at === null ? '' : at.getTime().toString(36)}.${id}`;
}

function readCursor(text: string, expected: string, isId: (text: string) => boolean): Place {
  const { mark, at, id } = CURSOR.exec(text)?.groups ?? {};
  if (mark !== expected || id === undefined || !isId(id))
    throw new AuthError('invalid_request', { detail: NO_PLACE });
  return {
    at: at === undefined ? null : new Date(Number.parseInt(at, 36)),
    id,
  };
}
