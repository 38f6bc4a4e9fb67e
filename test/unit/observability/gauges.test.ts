// Metrics that show a state: what they say of hashing, connections, statements, the latest look and the census.
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { Registry } from 'prom-client';

import type { Census } from '../../../src/domain/reports/census.js';
import { told } from '../../../src/domain/reports/told.js';
import { createReplicaMetrics } from '../../../src/observability/replica-metrics.js';
import { createServiceMetrics } from '../../../src/observability/service-metrics.js';

let load = { running: 0, waiting: 0, admitted: 0, limit: 0 };
const pools = {
  work: { open: 0, idle: 0, waiting: 0 },
  liveness: { open: 0, idle: 0, waiting: 0 },
};
const replica = createReplicaMetrics({
  hasher: { load: () => load },
  pools: {
    work: { connections: () => pools.work },
    liveness: { connections: () => pools.liveness },
  },
});
const service = createServiceMetrics({ version: '1.2.3', isAlone: true });
afterAll(() => {
  replica.stop();
  service.stop();
});

/** The lines of one metric, without its name. */
async function linesOf(registry: Registry, name: string): Promise<string[]> {
  const text = await registry.getSingleMetricAsString(name);
  return text
    .split('\n')
    .filter((line) => line.startsWith(name))
    .map((line) => line.slice(name.length).trim());
}

const CENSUS: Census = {
  rows: { users: 1, sessions: 2, revocations: 3, login_attempts: 4, clients: 5, signing_keys: 6, events: 7 },
  keys: {
    next: { count: 1, oldestSeconds: 5 },
    signing: { count: 1, oldestSeconds: 700 },
    verifying: { count: 2, oldestSeconds: 9000 },
    retired: { count: 0, oldestSeconds: 0 },
  },
  signingKid: '0123456789abcdef',
  connections: { open: 40, limit: 97 },
};

it('tells how many passwords are hashed and wait, and how many logins are let in, of how many', async () => {
  load = { running: 2, waiting: 5, admitted: 9, limit: 12 };
  expect(await linesOf(replica.registry, 'gatehouse_hashing_passwords')).toEqual([
    '{state="running"} 2',
    '{state="waiting"} 5',
  ]);
  expect(await linesOf(replica.registry, 'gatehouse_hashing_admitted')).toEqual(['9']);
  expect(await linesOf(replica.registry, 'gatehouse_hashing_limit')).toEqual(['12']);
});

it('tells of each pool how many connections are busy and idle, and which statements wait', async () => {
  Object.assign(pools.work, { open: 10, idle: 4, waiting: 3 });
  Object.assign(pools.liveness, { open: 1, idle: 1, waiting: 0 });
  expect(await linesOf(replica.registry, 'gatehouse_database_connections')).toEqual([
    '{pool="work",state="busy"} 6',
    '{pool="work",state="idle"} 4',
    '{pool="liveness",state="busy"} 0',
    '{pool="liveness",state="idle"} 1',
  ]);
  expect(await linesOf(replica.registry, 'gatehouse_database_waiting')).toEqual([
    '{pool="work"} 3',
    '{pool="liveness"} 0',
  ]);
});

it('measures statements about tokens that were answered, and no others', async () => {
  const sizes = async () => {
    const all = await linesOf(replica.registry, 'gatehouse_liveness_batch_size');
    return all.filter((line) => /^_(?:sum|count)/.test(line));
  };
  told.statement.tell({ questions: 7, seconds: 0.002, askers: [], isAnswered: true });
  told.statement.tell({ questions: 30, seconds: 2, askers: [], isAnswered: false });
  expect(await sizes()).toEqual(['_sum 7', '_count 1']);
  const seconds = await linesOf(replica.registry, 'gatehouse_liveness_statement_duration_seconds');
  expect(seconds).toContain('_sum 0.002');
  expect(seconds).toContain('_bucket{le="0.0025"} 1');
  expect(seconds).toContain('_bucket{le="0.001"} 0');
});

it('tells when old rows were last looked for, in seconds since 1970', async () => {
  vi.useFakeTimers({ now: 1_900_000_000_500 });
  try {
    told.tidied.tell({ rows: 3 });
  } finally {
    vi.useRealTimers();
  }
  expect(await linesOf(replica.registry, 'gatehouse_housekeeping_last_success_timestamp_seconds')).toEqual([
    '1900000000.5',
  ]);
});

it('adds up the events that are lost, by type', async () => {
  const cause = new Error('away');
  told.unrecorded.tell({ type: 'login', events: 1, cause });
  told.unrecorded.tell({ type: 'request.limited', events: 1200, cause });
  told.unrecorded.tell({ type: 'request.limited', events: 3, cause });
  expect(await linesOf(replica.registry, 'gatehouse_events_lost_total')).toEqual([
    '{type="login"} 1',
    '{type="request.limited"} 1203',
    '{type="request.refused"} 0',
  ]);
});

describe('the latest look at the database', () => {
  const look = async () => [
    ...(await linesOf(service.registry, 'gatehouse_database_up')),
    ...(await linesOf(service.registry, 'gatehouse_clock_offset_seconds')),
  ];

  it('that finds a primary tells the difference of the clocks, which stays while none is found', async () => {
    told.look.tell({ isUp: true, clockOffsetSeconds: -1.5 });
    expect(await look()).toEqual(['1', '-1.5']);
    told.look.tell({ isUp: false });
    expect(await look()).toEqual(['0', '-1.5']);
    told.look.tell({ isUp: true, clockOffsetSeconds: 0.25 });
    expect(await look()).toEqual(['1', '0.25']);
  });
});

describe('the census', () => {
  it('tells rows, keys, their ages and connections', async () => {
    service.takeUp(CENSUS);
    expect(await linesOf(service.registry, 'gatehouse_estimated_rows')).toEqual([
      '{table="users"} 1',
      '{table="sessions"} 2',
      '{table="revocations"} 3',
      '{table="login_attempts"} 4',
      '{table="events"} 7',
      '{table="clients"} 5',
      '{table="signing_keys"} 6',
    ]);
    expect(await linesOf(service.registry, 'gatehouse_keys')).toEqual([
      '{state="next"} 1',
      '{state="signing"} 1',
      '{state="verifying"} 2',
      '{state="retired"} 0',
    ]);
    expect(await linesOf(service.registry, 'gatehouse_key_age_seconds')).toEqual([
      '{state="next"} 5',
      '{state="signing"} 700',
      '{state="verifying"} 9000',
      '{state="retired"} 0',
    ]);
    expect(await linesOf(service.registry, 'gatehouse_database_server_connections')).toEqual(['40']);
    expect(await linesOf(service.registry, 'gatehouse_database_server_connections_limit')).toEqual(['97']);
  });

  it('names the key that signs, and no longer the one before', async () => {
    service.takeUp(CENSUS);
    service.takeUp({ ...CENSUS, signingKid: 'fedcba9876543210' });
    expect(await linesOf(service.registry, 'gatehouse_signing_key_info')).toEqual([
      '{kid="fedcba9876543210"} 1',
    ]);
    service.takeUp({ ...CENSUS, signingKid: null });
    expect(await linesOf(service.registry, 'gatehouse_signing_key_info')).toEqual(['{kid=""} 0']);
  });
});
