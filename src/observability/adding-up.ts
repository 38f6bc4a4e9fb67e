/** Adds up what several processes have counted, those that have ended among them: a sum that shrinks would look like a restart. */
import { AggregatorRegistry, Registry, type MetricObjectWithValues, type MetricValue } from 'prom-client';

/** All that one process has measured, as plain data. */
export type Report = MetricObjectWithValues<MetricValue<string>>[];

export async function reportOf(registry: Registry): Promise<Report> {
  return await registry.getMetricsAsJSON();
}

/** Prometheus text of registries of this process that have no name in common. */
export async function writeMerged(registries: Registry[]): Promise<string> {
  return await Registry.merge(registries).metrics();
}

/** Prometheus text of several processes. */
export async function writeSum(reports: Report[]): Promise<string> {
  return await AggregatorRegistry.aggregate(reports).metrics();
}

/** What stays of processes that have ended: what they counted. What they had open is gone. */
export async function sumOfEnded(reports: Report[]): Promise<Report> {
  const counted = reports.map((report) => report.filter(({ type }) => isCounted(String(type))));
  return await reportOf(AggregatorRegistry.aggregate(counted));
}

const isCounted = (type: string) => type === 'counter' || type === 'histogram';
