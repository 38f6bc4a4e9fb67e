// The rules of deploy/prometheus, as Prometheus reads them: each alert fires when it should, with series made up and with real ones.
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';

import { findFreePort } from '../../packages/lab/shared/ports.js';
import { createBlackHole, type BlackHole } from '../support/black-hole.js';
import { bearer, openHouse, type House, type TokenPair } from '../support/house.js';
import { panelQueries, PROMETHEUS_FILE, rules, RULES_FILE, RULES_TEST_FILE } from '../support/monitoring.js';
import { createOwnCluster } from '../support/own-cluster.js';
import { describeWhere, PATH, works } from '../support/programs.js';
import { isSelected, readSamples, selectorsIn, writeSelector, type Sample } from '../support/promql.js';
import { retryOn503 } from '../support/retry.js';
import { ask, createWorkshop, environmentFor, type Service, type SpawnOptions } from '../support/service.js';

const WHERE = { name: 'promtool', needs: 'promtool', required: 'GATEHOUSE_REQUIRE_PROMTOOL' };

/** Longer than any rule looks back and waits: with the same counted in each minute, nothing changes any more. */
const MINUTES = 30;

const selectors = rules.flatMap(({ expr }) => selectorsIn(expr));

/** A service that other tests keep waiting says so, rightly. */
const OF_A_BUSY_MACHINE = ['GatehouseUnavailable', 'GatehouseSlow', 'GatehouseDatabaseDown'];

/** Of what is counted beside the requests, the first count may come too late on a busy machine. */
const PATIENCE = { timeout: 180_000, interval: 200 };

/** Of services of one test, and of the one that serves all tests that leave it as it was. */
const workshop = createWorkshop();
const lasting = createWorkshop();
let house: House;
let directory: string;
/** The way of the common service to its database. */
let hole: BlackHole;

beforeAll(async () => {
  house = await openHouse();
  hole = await createBlackHole(house.database.url);
  directory = await mkdtemp(join(tmpdir(), 'gatehouse-alerts-'));
});
afterEach(() => workshop.clear());
afterAll(async () => {
  await lasting.clear();
  await hole.remove();
  await house.close();
  await rm(directory, { recursive: true });
});

/** @returns what it wrote, where it fails */
function promtool(...parameters: string[]): string {
  const { status, stdout, stderr, error } = spawnSync('promtool', parameters, {
    env: { ...process.env, PATH },
    encoding: 'utf8',
  });
  return status === 0 ? '' : `${error?.message ?? ''}${stdout}${stderr}`;
}

async function made(name: string, content: unknown): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, stringify(content));
  return path;
}

interface Measured extends Service {
  /** All that it exposes now. */
  scrape: () => Promise<Sample[]>;
}

/** A service that has found its database. */
async function start(
  environment: Record<string, string> = {},
  options: SpawnOptions = {},
  place = workshop,
): Promise<Measured> {
  const address = `127.0.0.1:${await findFreePort()}`;
  const service = await place.start(
    { ...environmentFor(house.database.url), METRICS_ADDRESS: address, ...environment },
    options,
  );
  // A connection for each: one that was kept may be closed by the service just when it is used.
  const headers = { connection: 'close' };
  const scrape = async () =>
    readSamples(await (await fetch(`http://${address}/metrics`, { headers })).text());
  await expect.poll(async () => valueOf(await scrape(), 'gatehouse_database_up'), PATIENCE).toBe(1);
  return { ...service, scrape };
}

let common: Promise<Measured> | undefined;

/**
 * One for all tests that count what they do: it is started once. It removes old rows every few seconds, and counts them as
 * others do. Two tabs may be as slow as they like.
 */
function findCommon(): Promise<Measured> {
  const environment = { DATABASE_URL: hole.url, REFRESH_REPLAY_WINDOW: '5m' };
  return (common ??= start(environment, { isHurried: true }, lasting));
}

function valueOf(samples: Sample[], name: string, labels: Record<string, string> = {}): number | undefined {
  return samples.find(
    (sample) =>
      sample.name === name &&
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  )?.value;
}

const isCounter = (name: string) => /_(?:total|bucket|sum|count)$/.test(name);

/** As Prometheus stores it. */
function seriesOf({ name, labels }: Sample): string {
  const pairs = Object.entries({ ...labels, job: 'gatehouse', instance: 'a' });
  return `${name}{${pairs.map(([label, value]) => `${label}=${JSON.stringify(value)}`).join(',')}}`;
}

/**
 * What promtool says of the alerts that fire half an hour later, if all that was counted between two looks is counted in each
 * minute, and all else stays as it was at the second look. Nothing, if they are those that are expected. It gets the series
 * that the rules select, a sixth of all: each of the others would cost it as much.
 *
 * @param after null where the second look found nobody
 */
async function complaintsOf(
  before: Sample[],
  after: Sample[] | null,
  expected: string[],
  besides: string[],
): Promise<string> {
  const areSelected = (samples: Sample[]) =>
    samples.filter((sample) => selectors.some((selector) => isSelected(sample, selector)));
  const earlier = new Map(areSelected(before).map((sample) => [seriesOf(sample), sample.value]));
  const series = areSelected(after ?? []).map((sample) => {
    const begun = earlier.get(seriesOf(sample)) ?? 0;
    const perMinute = isCounter(sample.name) ? sample.value - begun : 0;
    const first = isCounter(sample.name) ? begun : sample.value;
    return { series: seriesOf(sample), values: `${first}+${perMinute}x${MINUTES}` };
  });
  const test = {
    rule_files: [resolve(RULES_FILE)],
    evaluation_interval: '1m',
    tests: [
      {
        interval: '1m',
        input_series: [
          { series: 'up{job="gatehouse",instance="a"}', values: `${after === null ? 0 : 1}x${MINUTES}` },
          ...series,
        ],
        promql_expr_test: [
          {
            expr: `count by (alertname) (ALERTS{alertstate="firing",alertname!~"${besides.join('|')}"})`,
            eval_time: `${MINUTES}m`,
            exp_samples: expected.map((alert) => ({ labels: `{alertname="${alert}"}`, value: 1 })),
          },
        ],
      },
    ],
  };
  return promtool('test', 'rules', await made('real.test.yml', test));
}

/** The same with times as Prometheus sees them who begins to look now, at its minute 0. */
function sinceNow(samples: Sample[]): Sample[] {
  const now = Date.now() / 1000;
  return samples.map((sample) => ({
    ...sample,
    value: sample.value - (sample.name.includes('timestamp') ? now : 0),
  }));
}

/** What depends on the time of day is left out: half an hour of Prometheus is over in a moment of ours. */
const withoutTimes = (samples: Sample[]) => samples.filter(({ name }) => !name.includes('timestamp'));

/**
 * Does something, and holds what fires against what should.
 *
 * @param besides may fire or not, by how fast this machine is
 */
async function provoke(
  service: Measured,
  alerts: string[],
  deed: () => Promise<unknown>,
  besides: string[] = [],
): Promise<void> {
  const before = await service.scrape();
  await deed();
  expect(
    await complaintsOf(before, withoutTimes(await service.scrape()), alerts, [
      ...besides,
      ...OF_A_BUSY_MACHINE.filter((alert) => !alerts.includes(alert)),
    ]),
  ).toBe('');
}

/** As many at once. */
const times = <Result>(count: number, work: (n: number) => Promise<Result>) =>
  Promise.all(Array.from({ length: count }, (_, n) => work(n)));

async function logIn(service: Service): Promise<TokenPair> {
  const { username, password } = await house.user();
  const body = { username, password };
  const answer = await retryOn503(() => ask(service, 'POST', '/login', { body }));
  expect(answer.status).toBe(200);
  return answer.json<TokenPair>();
}

/** @returns the next refresh token, if there is one */
async function refresh(service: Service, token: string): Promise<string> {
  const body = { refresh_token: token };
  const answer = await retryOn503(() => ask(service, 'POST', '/refresh', { body }));
  return answer.json<Partial<TokenPair>>().refresh_token ?? '';
}

describeWhere(works('promtool', ['--version']), WHERE, () => {
  it('reads the rules and the examples of a configuration', async () => {
    expect(promtool('check', 'rules', RULES_FILE)).toBe('');
    expect(promtool('check', 'config', PROMETHEUS_FILE)).toBe('');
    const page = await readFile('deploy/prometheus/README.md', 'utf8');
    const [, shown = ''] = /^```yaml\n(.*?)^```$/ms.exec(page) ?? [];
    expect(promtool('check', 'config', await made('names.yml', parse(shown)))).toBe('');
  });

  it('sees each alert fire, and not fire for what is harmless', () => {
    expect(promtool('test', 'rules', RULES_TEST_FILE)).toBe('');
  });

  it('reads each expression of the dashboard', async () => {
    const rules = panelQueries.map(({ expr }, n) => ({ record: `panel_${n}`, expr }));
    expect(panelQueries.length).toBeGreaterThan(20);
    expect(
      promtool('check', 'rules', await made('panels.yml', { groups: [{ name: 'panels', rules }] })),
    ).toBe('');
  });

  it('is shown more minutes than any rule looks back and waits', () => {
    // What is not in minutes is not a number, and less than nothing.
    const minutesOf = (text: string) => Number(/^(\d+)m$/.exec(text)?.[1]);
    const longest = rules.map(({ expr, for: wait = '0m' }) => {
      const ranges = [...expr.matchAll(/\[(.*?)\]/g)].map(([, range = '']) => minutesOf(range));
      return Math.max(0, ...ranges) + minutesOf(wait);
    });
    expect(Math.max(...longest)).toBeLessThan(MINUTES);
  });

  it('selects the series that we take for those of a rule, and no others', async () => {
    const samples = await (await findCommon()).scrape();
    const served = new Set(['up', ...samples.map(({ name }) => name)]);
    for (const { expr } of rules) {
      const named = (expr.match(/[a-z_:][\w:]*/gi) ?? []).filter((word) => served.has(word));
      expect(selectorsIn(expr).map(({ metric }) => metric)).toEqual(named);
    }
    const test = {
      evaluation_interval: '1m',
      tests: [
        {
          input_series: samples.map((sample) => ({ series: seriesOf(sample), values: '0' })),
          promql_expr_test: selectors
            .filter(({ metric }) => metric !== 'up')
            .map((selector) => ({
              expr: `count(${writeSelector(selector)})`,
              eval_time: '0m',
              exp_samples: [
                { labels: '{}', value: samples.filter((sample) => isSelected(sample, selector)).length },
              ],
            })),
        },
      ],
    };
    expect(promtool('test', 'rules', await made('selectors.test.yml', test))).toBe('');
  });

  it('sees no theft in a race of two tabs, in what a service exposes', async () => {
    const service = await findCommon();
    await provoke(service, [], async () => {
      const { refresh_token: first } = await logIn(service);
      const second = await refresh(service, first);
      expect(await refresh(service, first)).not.toBe('');
      await refresh(service, second);
      expect(await refresh(service, first)).toBe('');
    });
  });

  it('sees a theft', async () => {
    const strict = await start({ REFRESH_REPLAY_WINDOW: '0s' });
    await provoke(strict, ['GatehouseTokenTheft'], async () => {
      const { refresh_token: first } = await logIn(strict);
      await refresh(strict, first);
      expect(await refresh(strict, first)).toBe('');
    });
  });

  it('sees logins and clients that are refused', async () => {
    const service = await findCommon();
    const body = { username: 'nobody', password: 'a password of nobody' };
    await provoke(service, ['GatehouseLoginsRefused'], async () => {
      for (let n = 0; n < 20; n += 1) await retryOn503(() => ask(service, 'POST', '/login', { body }));
    });
    const headers = { authorization: `Basic ${btoa('orders:an-old-secret')}` };
    await provoke(service, ['GatehouseClientRefused'], () =>
      times(20, () =>
        retryOn503(() =>
          ask(service, 'POST', '/introspect', { headers, body: new URLSearchParams({ token: 'x' }) }),
        ),
      ),
    );
  });

  it('sees a request that was answered 500', async () => {
    const service = await findCommon();
    const { access_token: token } = await logIn(service);
    await house.database.admin.query('ALTER TABLE sessions RENAME COLUMN user_agent TO another');
    try {
      await provoke(service, ['GatehouseErrors'], async () => {
        const answer = await retryOn503(() => ask(service, 'GET', '/sessions', { headers: bearer(token) }));
        expect(answer.status).toBe(500);
      });
    } finally {
      await house.database.admin.query('ALTER TABLE sessions RENAME COLUMN another TO user_agent');
    }
  });

  it('sees that PostgreSQL has no connection left', async () => {
    const cluster = await createOwnCluster({ settings: { max_connections: '20' } });
    const others: pg.Client[] = [];
    try {
      const service = await start({ DATABASE_URL: cluster.url });
      await provoke(
        service,
        ['GatehouseDatabaseConnections'],
        async () => {
          for (let isRoom = true; isRoom;) {
            const other = new pg.Client({ connectionString: cluster.url });
            other.on('error', () => undefined);
            isRoom = await other.connect().then(
              () => true,
              () => false,
            );
            if (isRoom) others.push(other);
          }
          // Each name is looked up by a connection of its own, as far as there is one.
          const refused = async () => {
            await times(20, (n) => {
              const body = { username: `nobody-${n}`, password: 'a password of nobody' };
              return ask(service, 'POST', '/login', { body });
            });
            const reason = 'database_connections';
            return valueOf(await service.scrape(), 'gatehouse_unavailable_total', { reason });
          };
          await expect.poll(refused, PATIENCE).toBeGreaterThan(0);
        },
        ['GatehouseLoginsRefused', 'GatehouseHashingFull'],
      );
    } finally {
      await Promise.all(others.map((other) => other.end().catch(() => undefined)));
      await workshop.clear();
      await cluster.remove();
    }
  });

  it('sees more logins than can be hashed', async () => {
    const service = await findCommon();
    const attempt = (n: number) => {
      const body = { username: `nobody-${n}`, password: 'a password of nobody' };
      return ask(service, 'POST', '/login', { body });
    };
    await provoke(service, ['GatehouseHashingFull'], () => times(200, attempt), ['GatehouseLoginsRefused']);
  });

  it('sees that answers about tokens are slow', async () => {
    const service = await findCommon();
    const { access_token: token } = await logIn(service);
    const client = await house.database.admin.connect();
    await provoke(service, ['GatehouseSlow'], async () => {
      await client.query('BEGIN');
      await client.query('LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE');
      const asked = ask(service, 'GET', '/session', { headers: bearer(token) });
      await expect.poll(countWaiting, PATIENCE).toBeGreaterThan(0);
      await sleep(300);
      await client.query('COMMIT');
      await asked;
    }).finally(() => client.release());
  });

  it('sees a network that asks too often', async () => {
    // For a minute afterwards it refuses this network.
    const service = await findCommon();
    const headers = { authorization: `Basic ${btoa('orders:an-old-secret')}` };
    const body = new URLSearchParams({ token: 'x' });
    await provoke(service, ['GatehouseRequestsLimited', 'GatehouseClientRefused'], async () => {
      // As many a minute as are let through, and then some.
      for (let limited = 0; limited < 10;) {
        const answers = await times(20, () => ask(service, 'POST', '/revoke', { headers, body }));
        limited += answers.filter(({ status }) => status === 429).length;
      }
    });
  });

  it('sees that the database is away', async () => {
    const service = await findCommon();
    const isUp = async () => valueOf(await service.scrape(), 'gatehouse_database_up');
    const { access_token: token } = await logIn(service);
    try {
      await provoke(service, ['GatehouseDatabaseDown', 'GatehouseUnavailable'], async () => {
        hole.open();
        expect((await ask(service, 'GET', '/session', { headers: bearer(token) })).status).toBe(503);
        await expect.poll(isUp, PATIENCE).toBe(0);
      });
    } finally {
      hole.close();
    }
    await expect.poll(isUp, PATIENCE).toBe(1);
  });

  it('sees that old rows are not removed any more, and that nobody answers', async () => {
    const service = await findCommon();
    const lookedAt = async () =>
      valueOf(await service.scrape(), 'gatehouse_housekeeping_last_success_timestamp_seconds');
    await expect.poll(lookedAt, PATIENCE).toBeGreaterThan(0);
    const latest = sinceNow(await service.scrape());
    const age = -(valueOf(latest, 'gatehouse_housekeeping_last_success_timestamp_seconds') ?? NaN);
    // Seconds, by the clock of all: else the half hour would not be what makes it fire.
    expect(age).toBeGreaterThan(-1);
    expect(age).toBeLessThan(900);
    expect(await complaintsOf(latest, latest, ['GatehouseHousekeepingLate'], OF_A_BUSY_MACHINE)).toBe('');
    common = undefined;
    await service.stop('SIGTERM');
    await expect(service.scrape()).rejects.toThrow();
    expect(await complaintsOf([], null, ['GatehouseDown'], [])).toBe('');
  });

  it('sees a clock that is wrong, and an old key', async () => {
    await house.replica();
    await house.database.admin.query(`UPDATE signing_keys SET created_at = created_at - interval '200 days'`);
    const service = await start({}, { clockShiftMs: 60_000, isHurried: true });
    const ageOf = async () =>
      valueOf(await service.scrape(), 'gatehouse_key_age_seconds', { state: 'signing' });
    await expect.poll(ageOf, PATIENCE).toBeGreaterThan(0);
    await provoke(service, ['GatehouseClockOff', 'GatehouseSigningKeyOld'], () => Promise.resolve());
  });
});

/** How many statements on this database wait for a lock. */
async function countWaiting(): Promise<number> {
  const { rows } = await house.database.admin.query<{ waiting: number }>(
    `SELECT count(*)::int AS waiting FROM pg_locks
     WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
  );
  return rows[0]?.waiting ?? 0;
}
