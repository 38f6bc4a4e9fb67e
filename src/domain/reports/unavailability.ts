/** Why a request cannot be served now, as one of a few words that operators can count. */
import { DATABASE_LACKS } from '../../database/failure.js';
import { DatabaseUnavailable } from '../../database/unavailable.js';
import { LACKS, Reason } from '../errors.js';

/** docs/metrics.md says what each means. */
export const UNAVAILABILITIES = [...DATABASE_LACKS, ...LACKS] as const;
export type Unavailability = (typeof UNAVAILABILITIES)[number];

/** @param cause of the error that the request fails with, which knows what is missing where it was thrown */
export function unavailabilityOf(cause: unknown): Unavailability {
  return cause instanceof DatabaseUnavailable || cause instanceof Reason ? cause.lack : 'other';
}
