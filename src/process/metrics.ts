/** Metrics of a start, where METRICS_ADDRESS is set. Elsewhere none of the code behind them is even loaded. */
import type { Logger } from 'pino';

import type { Config } from '../config/config.js';
import { readVersion } from '../config/version.js';
import { openDatabase } from '../database/prisma.js';
import { startCensus } from '../domain/reports/census.js';
import { explainListening, METRICS_SETTING } from '../http/server/port.js';
import type { ReplicaMetrics } from '../observability/replica-metrics.js';
import type { Gather } from './scrapes.js';

/**
 * Serves the metrics of one process, or the sum of several, with those that there is one of.
 *
 * @param source the metrics of this process, or how to ask those that serve
 * @returns stops it
 */
export async function serveMetrics(
  {
    config: { metricsAddress },
    databaseUrl,
  }: { config: Pick<Config, 'metricsAddress'>; databaseUrl: string },
  source: ReplicaMetrics | Gather,
  logger: Logger,
): Promise<() => Promise<void>> {
  if (metricsAddress === null) return () => Promise.resolve();
  const [{ createServiceMetrics }, { reportOf, writeMerged, writeSum }, { openEndpoint }] = await Promise.all(
    [
      import('../observability/service-metrics.js'),
      import('../observability/adding-up.js'),
      import('../observability/endpoint.js'),
    ],
  );
  const service = createServiceMetrics({ version: readVersion(), isAlone: typeof source !== 'function' });
  const write =
    typeof source === 'function'
      ? async () => writeSum([...(await source()), await reportOf(service.registry)])
      : () => writeMerged([source.registry, service.registry]);
  const endpoint = await openEndpoint(metricsAddress, write, logger).catch((error: unknown) => {
    throw explainListening(error, metricsAddress.port, METRICS_SETTING);
  });
  // A connection for each census: once a minute is not worth keeping one.
  const database = openDatabase(databaseUrl, { connections: 1, readsOnly: true, isFresh: true });
  const stopCensus = startCensus(database, service.takeUp);
  logger.info(`metrics at ${endpoint.url}`);
  return async () => {
    service.stop();
    await Promise.all([endpoint.close(), stopCensus()]);
    await database.close();
  };
}
