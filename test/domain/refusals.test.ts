// Counters of refused requests: how many there can be, and that each becomes one event, also when the database was away.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';

import { openDatabase, type Ask, type Database } from '../../src/database/prisma.js';
import { DatabaseUnavailable } from '../../src/database/unavailable.js';
import {
  createRefusals,
  MOST_COUNTERS,
  startWritingRefusals,
  type Refusal,
  type Refusals,
} from '../../src/domain/events/refusals.js';
import { told, type UnrecordedTold } from '../../src/domain/reports/told.js';
import { timeOfId } from '../../src/domain/sessions/ids.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { AMPLE_MS } from '../support/house.js';
import { listen } from '../support/plans.js';
import { holdRow, type RowLock } from '../support/row-lock.js';

const MINUTE_MS = 60_000;

const FLOOD = {
  outcome: 'too_many_requests',
  limit: 'rate_of_network',
  door: 'anyone',
  client: null,
  address: '192.0.2.7',
} as const satisfies Refusal;
const WRONG = { ...FLOOD, outcome: 'invalid_client', limit: null, door: 'clients' } as const;

let server: TestDatabase;
let database: Database;

beforeAll(async () => {
  server = await createTestDatabase();
  database = openDatabase(server.url, { deadlineMs: AMPLE_MS });
});
beforeEach(() => server.admin.query('TRUNCATE events'));
afterAll(async () => {
  await database.close();
  await server.drop();
});

interface Row {
  id: string;
  type: string;
  outcome: string;
  actor: string;
  ip: string | null;
  reason: string | null;
  detail: { door: string; times: number };
}

async function read(): Promise<Row[]> {
  const { rows } = await server.admin.query<Row>(
    'SELECT id, type, outcome, actor, abbrev(ip) AS ip, reason, detail FROM events ORDER BY events.ip, actor, reason',
  );
  return rows;
}

const sum = (rows: { detail: { times: number } }[]) =>
  rows.reduce((all, { detail }) => all + detail.times, 0);

function create(on: Pick<Database, 'query' | 'events'> = database, processes = 1): Refusals {
  const refusals = createRefusals(on, { processes });
  if (refusals === null) throw new Error('nobody counts');
  return refusals;
}

function countTimes({ count }: Refusals, refusal: Refusal, times: number): void {
  for (let time = 1; time <= times; time += 1) count(refusal);
}

/** One refusal for each of so many networks. */
function flood(refusals: Refusals, networks: number, refusal: Refusal = FLOOD): void {
  for (let n = 0; n < networks; n += 1)
    refusals.count({ ...refusal, address: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}` });
}

/** The database, whose statements that write end as the test says. */
function through(
  end: (work: () => Promise<unknown[]>, events: unknown) => Promise<unknown[]>,
): Pick<Database, 'query' | 'events'> {
  const query = (columns: object) => {
    const ask = database.query(columns as never) as Ask<unknown>;
    return (template: TemplateStringsArray, ...values: unknown[]) => {
      const work = () => ask(template, ...values);
      return template.join('').includes('INSERT') ? end(work, values[0]) : work();
    };
  };
  return { events: 'all', query: query as Database['query'] };
}

const away = () => Promise.reject(new DatabaseUnavailable('away', 'database_unreachable'));

describe('an event', () => {
  it('tells of each kind and network how often, by whom and at which door', async () => {
    const refusals = create();
    countTimes(refusals, FLOOD, 3);
    countTimes(refusals, { ...FLOOD, address: '2001:db8:1:2:3::4' }, 1);
    countTimes(refusals, { ...FLOOD, address: '2001:db8:1:2:ffff::' }, 1);
    countTimes(refusals, { ...FLOOD, door: 'users', address: '192.0.2.8' }, 1);
    countTimes(refusals, { ...WRONG, address: '192.0.2.9' }, 2);
    const client = { id: 'orders' };
    countTimes(
      refusals,
      { ...FLOOD, limit: 'rate_of_client', door: 'clients', client, address: '192.0.2.10' },
      4,
    );
    await refusals.write();
    const limited = {
      type: 'request.limited',
      outcome: 'too_many_requests',
      actor: 'gatehouse',
      reason: 'rate_of_network',
    };
    const id = expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/) as string;
    expect(await read()).toEqual([
      { ...limited, id, ip: '192.0.2.7', detail: { door: 'anyone', times: 3 } },
      { ...limited, id, ip: '192.0.2.8', detail: { door: 'users', times: 1 } },
      {
        id,
        type: 'request.refused',
        outcome: 'invalid_client',
        actor: 'gatehouse',
        reason: null,
        ip: '192.0.2.9',
        detail: { door: 'clients', times: 2 },
      },
      {
        ...limited,
        id,
        actor: 'client:orders',
        reason: 'rate_of_client',
        ip: '192.0.2.10',
        detail: { door: 'clients', times: 4 },
      },
      { ...limited, id, ip: '2001:db8:1:2::/64', detail: { door: 'anyone', times: 2 } },
    ]);
  });

  it('has the time of the primary', async () => {
    await server.clock.freeze(1_900_000_000);
    onTestFinished(() => server.clock.set(0));
    const refusals = create();
    refusals.count(FLOOD);
    await refusals.write();
    expect((await read()).map(({ id }) => timeOfId(id).getTime())).toEqual([1_900_000_000_000]);
  });

  it('is written of nothing', async () => {
    const listening = listen(database);
    const refusals = create(listening);
    await refusals.write();
    refusals.count(FLOOD);
    await refusals.write();
    await refusals.write();
    expect(listening.asked.map(({ text }) => /INSERT/.test(text))).toEqual([false, true]);
    expect(sum(await read())).toBe(1);
  });
});

describe('the counters', () => {
  it.each([
    [1, MOST_COUNTERS],
    [4, MOST_COUNTERS / 4],
    [64, Math.floor(MOST_COUNTERS / 64)],
  ])(
    'of each of %i processes are %i at most; the rest has one without a network',
    async (processes, most) => {
      const refusals = create(database, processes);
      const networks = 20_000;
      flood(refusals, networks);
      countTimes(refusals, { ...FLOOD, client: { id: 'orders' }, address: '198.51.100.1' }, 5);
      countTimes(refusals, { ...WRONG, address: '198.51.100.1' }, 7);
      // What has a counter keeps it.
      countTimes(refusals, { ...FLOOD, address: '10.0.0.0' }, 2);
      expect(refusals.size()).toBeLessThanOrEqual(most);
      expect(refusals.size()).toBeGreaterThan(most - 100);
      await refusals.write();
      const rows = await read();
      expect(sum(rows)).toBe(networks + 14);
      expect(rows.find(({ ip }) => ip === '10.0.0.0')?.detail.times).toBe(3);
      const rest = rows.filter(({ ip }) => ip === null);
      expect(rest).toMatchObject([
        {
          reason: 'rate_of_network',
          actor: 'gatehouse',
          detail: { times: networks - (rows.length - 2) + 5 },
        },
        { reason: null, actor: 'gatehouse', detail: { times: 7 } },
      ]);
      expect(rest).toHaveLength(2);
    },
  );

  it('are no more while an answer is waited for that does not come', async () => {
    const refusals = create(through(away));
    for (let time = 1; time <= 3; time += 1) {
      flood(refusals, 20_000);
      flood(refusals, 20_000, WRONG);
      await expect(refusals.write()).rejects.toThrow(DatabaseUnavailable);
      expect(refusals.size()).toBeLessThanOrEqual(MOST_COUNTERS);
    }
  });

  it('begin anew once they are written', async () => {
    const refusals = create();
    flood(refusals, 20_000);
    await refusals.write();
    expect(refusals.size()).toBe(0);
    await server.admin.query('TRUNCATE events');
    countTimes(refusals, { ...FLOOD, address: '198.51.100.1' }, 2);
    await refusals.write();
    expect(await read()).toMatchObject([{ ip: '198.51.100.1', detail: { times: 2 } }]);
  });

  it.each(['changes', 'off'] as const)('are not there with EVENTS=%s', (events) => {
    expect(createRefusals({ ...database, events })).toBeNull();
  });
});

describe('writing', () => {
  it('takes a thousand events in a statement, the oldest first, and leaves what is counted meanwhile', async () => {
    const sizes: number[] = [];
    const refusals: Refusals = create(
      through(async (work) => {
        const before = (await read()).length;
        // Of a network that is in a batch to come, of one that has been sent, and of one that is new.
        for (const address of ['10.0.9.195', '10.0.0.0', '198.51.100.1'])
          refusals.count({ ...FLOOD, address });
        const rows = await work();
        sizes.push((await read()).length - before);
        return rows;
      }),
    );
    flood(refusals, 2500);
    await refusals.write();
    expect(sizes).toEqual([1000, 1000, 500]);
    expect(refusals.size()).toBe(3);
    await refusals.write();
    const rows = await read();
    expect(sum(rows)).toBe(2500 + 4 * 3 - 3);
  });

  it('goes on where it has failed, with nothing lost and nothing twice', async () => {
    const outcomes = [(work: () => Promise<unknown[]>) => work(), away];
    const refusals = create(through((work) => (outcomes.shift() ?? ((each) => each()))(work)));
    flood(refusals, 2500);
    await expect(refusals.write()).rejects.toThrow(DatabaseUnavailable);
    expect(await read()).toHaveLength(1000);
    flood(refusals, 2500);
    await refusals.write();
    expect(sum(await read())).toBe(5000);
    expect(refusals.size()).toBe(0);
  });

  it('does no harm to a batch whose answer was lost after its commit', async () => {
    let losses = 3;
    const refusals = create(
      through(async (work) => {
        const rows = await work();
        losses -= 1;
        return losses >= 0 ? await away() : rows;
      }),
    );
    countTimes(refusals, FLOOD, 3);
    await expect(refusals.write()).rejects.toThrow(DatabaseUnavailable);
    const first = await read();
    expect(first).toMatchObject([{ detail: { times: 3 } }]);
    // What is counted meanwhile is not in what may be there already.
    countTimes(refusals, FLOOD, 2);
    for (let time = 1; time <= 2; time += 1)
      await expect(refusals.write()).rejects.toThrow(DatabaseUnavailable);
    await refusals.write();
    const rows = await read();
    expect(rows).toEqual(expect.arrayContaining(first));
    expect(rows.map(({ detail }) => detail.times).sort()).toEqual([2, 3]);
  });

  it('waits for a first attempt whose commit is under way', async () => {
    const locks: RowLock[] = [];
    const refusals = create(
      through(async (work, events) => {
        if (locks.length > 0) return await work();
        locks.push(
          await holdRow(
            server,
            `INSERT INTO events (id, type, outcome, actor, ip, reason, detail)
             SELECT id, type, outcome, actor, ip, reason, detail FROM jsonb_to_recordset($1::jsonb) AS counted (
               id uuid, type text, outcome text, actor text, ip inet, reason text, detail jsonb)`,
            String(events),
          ),
        );
        return await away();
      }),
    );
    countTimes(refusals, FLOOD, 3);
    await expect(refusals.write()).rejects.toThrow(DatabaseUnavailable);
    const repeating = refusals.write();
    await locks[0]?.queue(1);
    await locks[0]?.release();
    await repeating;
    expect(sum(await read())).toBe(3);
  });
});

describe('once a minute', () => {
  /** From here on time passes only when the test says so; for PostgreSQL and its answers it goes on. */
  function stopTime(): void {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
  }

  async function until(isSo: () => Promise<boolean> | boolean): Promise<void> {
    const endsAtMs = performance.now() + AMPLE_MS;
    while (!(await isSo())) {
      if (performance.now() > endsAtMs) throw new Error('what was waited for does not come');
      await sleep(5);
    }
  }

  function heard(): UnrecordedTold[] {
    const lost: UnrecordedTold[] = [];
    onTestFinished(told.unrecorded.listen((message) => lost.push(message)));
    return lost;
  }

  it('they are written, also after a failure, and none is lost', async () => {
    stopTime();
    const lost = heard();
    const failures: unknown[] = [];
    let isAway = true;
    const refusals = create(through((work) => (isAway ? away() : work())));
    const stop = startWritingRefusals(refusals, (error) => failures.push(error));
    refusals.count(FLOOD);
    vi.advanceTimersByTime(MINUTE_MS - 1);
    await database.query({})`SELECT FROM service`;
    expect(failures).toEqual([]);
    vi.advanceTimersByTime(1);
    await until(() => failures.length === 1);
    expect(failures).toEqual([expect.any(DatabaseUnavailable)]);
    refusals.count(FLOOD);
    isAway = false;
    vi.advanceTimersByTime(MINUTE_MS);
    await until(async () => sum(await read()) === 2);
    refusals.count(FLOOD);
    vi.advanceTimersByTime(MINUTE_MS);
    await until(async () => sum(await read()) === 3);
    await stop();
    expect([failures.length, lost]).toEqual([1, []]);
  });

  it('is over with the service: what is left is written then', async () => {
    stopTime();
    const lost = heard();
    const refusals = create();
    const stop = startWritingRefusals(refusals, () => undefined);
    flood(refusals, 1500);
    await stop();
    expect(sum(await read())).toBe(1500);
    refusals.count(FLOOD);
    vi.advanceTimersByTime(10 * MINUTE_MS);
    await database.query({})`SELECT FROM service`;
    expect(await read()).toHaveLength(1500);
    expect(lost).toEqual([]);
  });

  it('what cannot be written at the end is lost, and that is told', async () => {
    const lost = heard();
    const refusals = create(through(away));
    const stop = startWritingRefusals(refusals, () => undefined);
    flood(refusals, 1200);
    countTimes(refusals, WRONG, 2);
    await stop();
    const cause = expect.any(DatabaseUnavailable) as Error;
    expect(lost).toEqual([
      { type: 'request.limited', events: 1200, cause },
      { type: 'request.refused', events: 1, cause },
    ]);
    expect(refusals.size()).toBe(0);
  });
});

it('each process writes its own: two that have counted the same write two events', async () => {
  const [one, other] = [create(), create()];
  countTimes(one, FLOOD, 2);
  countTimes(other, FLOOD, 3);
  await Promise.all([one.write(), other.write()]);
  expect((await read()).map(({ detail }) => detail.times).sort()).toEqual([2, 3]);
});
