/** That nobody knows: of the database's answer, or of whether anything has changed. */
import type { DatabaseLack } from './failure.js';

/**
 * The database did not answer, or not as a healthy primary does: what was asked is unknown. Its message is ours and
 * may be logged; that of its cause may not.
 */
export class DatabaseUnavailable extends Error {
  override name = 'DatabaseUnavailable';
  readonly lack: DatabaseLack;

  constructor(message: string, lack: DatabaseLack, options?: { cause: unknown }) {
    super(message, options);
    this.lack = lack;
  }
}

/** Of a database that answers reads and refuses writes. */
const REFUSALS_OF_WRITES = ['disk_full', 'read_only'] as const satisfies DatabaseLack[];
export type RefusalOfWrites = (typeof REFUSALS_OF_WRITES)[number];

/** Why the database refuses writes, where the error says so. */
export function refusalOfWritesIn(error: unknown): RefusalOfWrites | undefined {
  if (!(error instanceof DatabaseUnavailable)) return undefined;
  return REFUSALS_OF_WRITES.find((lack) => lack === error.lack);
}
