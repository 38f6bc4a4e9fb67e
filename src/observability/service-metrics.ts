/** The metrics that there is one of, however many processes serve: what the one lookout and the census tell. */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';

import { COUNTED_TABLES, KEY_STATES, type Census } from '../domain/reports/census.js';
import { told } from '../domain/reports/told.js';

export interface ServiceMetrics {
  registry: Registry;
  takeUp: (census: Census) => void;
  stop: () => void;
}

/** @param options.isAlone whether this process serves: then the defaults of prom-client are among the metrics of its replica */
export function createServiceMetrics({
  version,
  isAlone,
}: {
  version: string;
  isAlone: boolean;
}): ServiceMetrics {
  const registry = new Registry();
  const gauge = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
    new Gauge({ name, help, labelNames, registers: [registry] });

  const isUp = gauge(
    'gatehouse_database_up',
    'Whether the latest look, each second, found a primary: 1 or 0.',
  );
  const offset = gauge(
    'gatehouse_clock_offset_seconds',
    'Clock of this machine less that of the primary, at the latest look that found one.',
  );
  const rows = gauge('gatehouse_estimated_rows', 'Rows, as PostgreSQL estimates them.', ['table']);
  const keys = gauge('gatehouse_keys', 'Signing keys, by what they do now.', ['state']);
  const ages = gauge('gatehouse_key_age_seconds', 'Age of the oldest signing key of a state; 0 for none.', [
    'state',
  ]);
  const signing = gauge('gatehouse_signing_key_info', 'The key that signs; 1, or 0 where none is known.', [
    'kid',
  ]);
  const connections = gauge(
    'gatehouse_database_server_connections',
    'Connections of all who use this PostgreSQL server.',
  );
  const limit = gauge(
    'gatehouse_database_server_connections_limit',
    'How many it takes of roles that are no superusers.',
  );
  signing.set({ kid: '' }, 0);
  for (const table of COUNTED_TABLES) rows.set({ table }, 0);
  for (const each of [keys, ages]) for (const state of KEY_STATES) each.set({ state }, 0);
  gauge('gatehouse_build_info', 'The version that serves; always 1.', ['version']).set({ version }, 1);
  if (!isAlone) collectDefaultMetrics({ register: registry });

  const stop = told.look.listen((look) => {
    isUp.set(look.isUp ? 1 : 0);
    if (look.isUp) offset.set(look.clockOffsetSeconds);
  });

  return {
    registry,
    takeUp: (census) => {
      for (const table of COUNTED_TABLES) rows.set({ table }, census.rows[table]);
      for (const state of KEY_STATES) {
        keys.set({ state }, census.keys[state].count);
        ages.set({ state }, census.keys[state].oldestSeconds);
      }
      signing.reset();
      signing.set({ kid: census.signingKid ?? '' }, census.signingKid === null ? 0 : 1);
      connections.set(census.connections.open);
      limit.set(census.connections.limit);
    },
    stop,
  };
}
