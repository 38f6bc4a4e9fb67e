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
