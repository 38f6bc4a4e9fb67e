/** Outages in the log: a line when one begins, and one when it is over with how many requests it cost. */
import type { Logger } from 'pino';

import { DatabaseUnavailable } from '../../database/unavailable.js';
import type { Unavailability } from '../../domain/reports/unavailability.js';

/** Without a refusal for so long, an outage is over. */
const QUIET_MS = 5000;
const LOOKED_AT_MS = 1000;

/** The failure of the database, or the reason in constant words; undefined where nobody foresaw it. */
type Why = DatabaseUnavailable | string | undefined;

interface Outage {
  requests: number;
  latestAtMs: number;
}

/**
 * Takes note of each request that is answered 503. While a database fails over, one thing after the other is missing: that is one
 * outage. What else is missing, a place to hash for instance, has outages of its own.
 */
export function createOutageLog(logger: Logger): (missing: Unavailability, why: Why) => void {
  const outages = new Map<string, Outage>();

  function begin(name: string, missing: Unavailability, why: Why): Outage {
    // The one line that says where: all that follow would say the same.
    if (why instanceof DatabaseUnavailable)
      logger.error({ missing, err: why }, 'the database cannot be asked: requests are answered 503');
    else logger.warn({ missing, reason: why }, 'requests are answered 503');
    const beganAtMs = performance.now();
    const outage = { requests: 0, latestAtMs: beganAtMs };
    const watch = setInterval(() => {
      if (performance.now() - outage.latestAtMs < QUIET_MS) return;
      clearInterval(watch);
      outages.delete(name);
      const { requests, latestAtMs } = outage;
      const seconds = Math.round((latestAtMs - beganAtMs) / 1000);
      logger.warn({ missing, requests, seconds }, 'no request has been answered 503 for this reason for 5 s');
    }, LOOKED_AT_MS);
    watch.unref();
    outages.set(name, outage);
    return outage;
  }

  return (missing, why) => {
    // `/ready` says no on purpose, when a replica leaves for instance.
    if (missing === 'not_ready') return;
    const name = why instanceof DatabaseUnavailable ? 'database' : missing;
    const outage = outages.get(name) ?? begin(name, missing, why);
    outage.requests += 1;
    outage.latestAtMs = performance.now();
  };
}
