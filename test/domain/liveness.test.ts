// Many questions, one statement, and none that is older than the question.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { Columns, RowOf } from '../../src/database/columns.js';
import {
  DatabaseUnavailable,
  openDatabase,
  STATEMENT_DEADLINE_MS,
  type Ask,
  type Database,
} from '../../src/database/prisma.js';
import { addClient, removeClient } from '../../src/domain/clients.js';
import { createGatehouse, type Gatehouse } from '../../src/domain/gatehouse.js';
import { retireKey, rotateKeys } from '../../src/domain/keys/lifecycle.js';
import { listKeys } from '../../src/domain/keys/keys.js';
import { createTokenCodec } from '../../src/http/jwt.js';
import { AMPLE_MS, claimsOf, DEFAULTS, login, SECRET, type TokenPair } from '../support/house.js';
import { stopClock } from '../support/stopped-clock.js';
import { logOut, openTwins, type Twins } from '../support/twins.js';

/** The most questions in a statement, and statements under way: what the code chooses is written down here once more. */
const MAX_QUESTIONS = 512;
const MAX_STATEMENTS = 2;

let twins: Twins;
let real: Database;
let watched: ReturnType<typeof watch>;
let gatehouse: Gatehouse;

beforeAll(async () => {
  twins = await openTwins();
  real = openDatabase(twins.house.database.url, { deadlineMs: AMPLE_MS });
});
afterAll(async () => {
  await real.close();
  await twins.house.close();
});
beforeEach(async () => {
  watched = watch(real);
  gatehouse = await createGatehouse({
    database: watched.database,
    hasher: twins.house.hasher,
    createCodec: createTokenCodec,
    rules: DEFAULTS,
    jwtAlgorithm: 'EdDSA',
    secrets: [SECRET],
  });
});

/** The real database, with statements about liveness counted, and their answers held or lost on demand. */
function watch(database: Database) {
  const seen = { sent: 0, underWay: 0, mostUnderWay: 0 };
  let after: (statement: number) => Promise<void> = () => Promise.resolve();
  return {
    seen,
    /** Called with each statement’s number when the primary has answered it, before anybody learns the answer. */
    intercept: (hook: (statement: number) => Promise<void>) => (after = hook),
    database: {
      ...database,
      prepared: <const C extends Columns>(name: string, columns: C): Ask<RowOf<C>> => {
        const ask = database.prepared(name, columns);
        return async (template, ...values) => {
          const statement = (seen.sent += 1);
          seen.underWay += 1;
          seen.mostUnderWay = Math.max(seen.mostUnderWay, seen.underWay);
          try {
            const rows = await ask(template, ...values);
            await after(statement);
            return rows;
          } finally {
            seen.underWay -= 1;
          }
        };
      },
    },
  };
}

function gate(): { closed: Promise<void>; open: () => void } {
  let open: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => (open = resolve));
  return { closed, open };
}

async function logIn(): Promise<TokenPair> {
  return await login(twins.one, await twins.house.user());
}

describe('questions that arrive together', () => {
  it('share one statement, and each gets its own answer', async () => {
    const [alive, dead] = [await logIn(), await logIn()];
    await logOut(twins.two, dead.access_token);
    const texts = Array.from(
      { length: 300 },
      (_, place) =>
        [alive.access_token, dead.access_token, null, 'garbage', alive.refresh_token][place % 5] ?? null,
    );
    const judgements = await Promise.all(texts.map((text) => gatehouse.judge(text)));
    expect(watched.seen.sent).toBe(1);
    expect(judgements.map(({ stands }) => stands)).toEqual(
      texts.map((_, place) => [0, 4].includes(place % 5)),
    );
    expect(judgements[3]?.token).toBeNull();
  });

  it('are answered though they are 10,000, by few statements, of which few are under way', async () => {
    const [alive, dead] = [await logIn(), await logIn()];
    await logOut(twins.two, dead.access_token);
    const texts = Array.from({ length: 10_000 }, (_, place) =>
      place % 3 === 0 ? dead.access_token : alive.access_token,
    );
    // However long it takes, none of them is given up.
    stopClock();
    const judgements = await Promise.all(texts.map((text) => gatehouse.judge(text)));
    expect(judgements.filter(({ stands }, place) => stands !== (place % 3 !== 0))).toEqual([]);
    expect(watched.seen.sent).toBe(Math.ceil(10_000 / MAX_QUESTIONS));
    expect(watched.seen.mostUnderWay).toBe(MAX_STATEMENTS);
  });
});

describe('a question', () => {
  it('never joins a statement that has been sent', async () => {
    const { access_token: access } = await logIn();
    const { closed, open } = gate();
    watched.intercept((statement) => (statement === 1 ? closed : Promise.resolve()));
    const before = gatehouse.judge(access);
    await expect.poll(() => watched.seen.sent).toBe(1);
    expect((await logOut(twins.two, access)).statusCode).toBe(204);

    expect((await gatehouse.judge(access)).stands).toBe(false);
    open();
    // It was asked before the end: then the token stood.
    expect((await before).stands).toBe(true);
  });

  it('waits for a statement of its own while as many as may be are under way', async () => {
    const { access_token: access } = await logIn();
    const { closed, open } = gate();
    watched.intercept((statement) => (statement <= MAX_STATEMENTS ? closed : Promise.resolve()));
    const early: Promise<unknown>[] = [];
    for (let statement = 1; statement <= MAX_STATEMENTS; statement += 1) {
      early.push(gatehouse.judge(access));
      await expect.poll(() => watched.seen.sent).toBe(statement);
    }
    await logOut(twins.two, access);
    const late = Promise.all(Array.from({ length: 20 }, () => gatehouse.judge(access)));
    await sleep(50);
    expect(watched.seen.sent).toBe(MAX_STATEMENTS);

    open();
    expect((await late).filter(({ stands }) => stands)).toEqual([]);
    expect(watched.seen.sent).toBe(MAX_STATEMENTS + 1);
    expect(await Promise.all(early)).toHaveLength(MAX_STATEMENTS);
  });

  it('fails with the others of its statement, and with no other', async () => {
    const { access_token: access } = await logIn();
    const { closed, open } = gate();
    watched.intercept(async (statement) => {
      if (statement <= MAX_STATEMENTS) await closed;
      if (statement === 2) throw new Error('connection lost');
    });
    const askThree = () => Promise.allSettled([1, 2, 3].map(() => gatehouse.judge(access)));
    const sent: ReturnType<typeof askThree>[] = [];
    for (let statement = 1; statement <= MAX_STATEMENTS; statement += 1) {
      sent.push(askThree());
      await expect.poll(() => watched.seen.sent).toBe(statement);
    }
    const waiting = askThree();
    open();

    const outcomes = await Promise.all([...sent, waiting]);
    expect(outcomes.map((outcome) => [...new Set(outcome.map(({ status }) => status))])).toEqual([
      ['fulfilled'],
      ['rejected'],
      ...Array<string[]>(MAX_STATEMENTS - 2).fill(['fulfilled']),
      ['fulfilled'],
    ]);
  });

  it('is given up when it has waited longer than anybody waits for its answer', async () => {
    const { access_token: access } = await logIn();
    const { closed, open } = gate();
    watched.intercept(() => closed);
    const early: Promise<unknown>[] = [];
    for (let statement = 1; statement <= MAX_STATEMENTS; statement += 1) {
      early.push(gatehouse.judge(access));
      await expect.poll(() => watched.seen.sent).toBe(statement);
    }
    const overdue = expect(gatehouse.judge(access)).rejects.toThrow(DatabaseUnavailable);
    await sleep(STATEMENT_DEADLINE_MS + 50);
    const inTime = gatehouse.judge(access);
    open();

    await overdue;
    expect((await inTime).stands).toBe(true);
    expect(watched.seen.sent).toBe(MAX_STATEMENTS + 1);
    expect(await Promise.all(early)).toHaveLength(MAX_STATEMENTS);
  });

  it('is about the session of that subject and no other', async () => {
    const [mine, other] = [await logIn(), await logIn()];
    const { ring } = (await gatehouse.judge(null)).snapshot;
    const claims = claimsOf(mine.access_token);
    const { sub, sid } = claimsOf(other.access_token);
    for (const mixed of [
      { ...claims, sub },
      { ...claims, sid },
    ]) {
      const judgement = await gatehouse.judge(ring.signAccess(mixed));
      expect([judgement.token?.kind, judgement.stands]).toEqual(['access', false]);
    }
  });

  it('brings the primary’s time', async () => {
    await twins.house.database.clock.freeze(1_999_999_999.25);
    expect((await gatehouse.judge(null)).now).toBe(1_999_999_999.25);
  });
});

describe('what is remembered', () => {
  it('learns of a new client, and of one that is removed, in the request that asks', async () => {
    const client = await addClient(real, 'late', ['introspect']);
    const credentials = { id: 'late', secret: client?.secret ?? '' };
    expect((await gatehouse.judge(null, credentials)).client).toEqual({
      id: 'late',
      permissions: ['introspect'],
    });
    expect((await gatehouse.judge(null, { ...credentials, secret: 'wrong' })).client).toBeNull();
    await removeClient(real, 'late');
    expect((await gatehouse.judge(null, credentials)).client).toBeNull();
  });

  it('learns of a new key in the request that brings a token which it signed', async () => {
    await rotateKeys(real, 'EdDSA', SECRET);
    await twins.house.database.clock.advance(601);
    const pair = await login(twins.two, await twins.house.user());
    expect((await gatehouse.judge(pair.access_token)).stands).toBe(true);
  });

  it('forgets a retired key in the request that brings a token which it signed', async () => {
    const pair = await logIn();
    expect((await gatehouse.judge(pair.access_token)).token).not.toBeNull();
    const kid = (await listKeys(real)).find(({ state }) => state === 'signing')?.kid ?? '';
    await retireKey(real, kid, 'EdDSA', SECRET);
    const judgements = await Promise.all([1, 2, 3].map(() => gatehouse.judge(pair.access_token)));
    expect(judgements.map(({ token, stands }) => [token, stands])).toEqual(Array(3).fill([null, false]));
  });

  it('is not believed while it keeps changing', async () => {
    // Each statement says that what was loaded after the one before is outdated once more.
    let versions = 0;
    const restless: Database = {
      ...watched.database,
      prepared: <const C extends Columns>(name: string, columns: C): Ask<RowOf<C>> => {
        const ask = watched.database.prepared(name, columns);
        return async (template, ...values) => {
          const rows = await ask(template, ...values);
          versions += 1;
          return rows.map((row) => ({ ...row, clientsVersion: `v${versions}` }));
        };
      },
    };
    const replica = await createGatehouse({
      database: restless,
      hasher: twins.house.hasher,
      createCodec: createTokenCodec,
      rules: DEFAULTS,
      jwtAlgorithm: 'EdDSA',
      secrets: [SECRET],
    });
    await expect(replica.judge(null)).rejects.toMatchObject({ code: 'temporarily_unavailable' });
    expect(versions).toBe(5);
  });
});
