/** How lists of /admin are asked for, and times written. */
import { DEFAULT_PAGE, type PageOrder } from '../../../domain/operators/pages.js';

export function pageOrder({
  limit,
  after,
}: {
  limit?: number | undefined;
  after?: string | undefined;
}): PageOrder {
  return { limit: limit ?? DEFAULT_PAGE, after: after ?? null };
}

/** An instant in RFC 3339, to the millisecond. */
export function toDate(text: string | undefined): Date | null {
  return text === undefined ? null : new Date(text);
}
