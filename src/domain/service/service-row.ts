/** The one row of `service`, from which every statement about keys, clients and liveness reads. */
import { DatabaseUnavailable } from '../../database/unavailable.js';

/**
 * The first row of a statement that reads from `service`, which always gives one while that row is there.
 *
 * @throws {DatabaseUnavailable} when it is gone: nothing can be known without it
 */
export function firstRow<Row>(rows: readonly Row[]): Row {
  const [first] = rows;
  if (first !== undefined) return first;
  throw new DatabaseUnavailable(
    'the table "service" has lost its row: restore it from a backup',
    'database_unreachable',
  );
}
