// Many questions, one statement, and none that is older than the question.
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { Columns, RowOf } from '../../src/database/columns.js';
import { openDatabase, STATEMENT_DEADLINE_MS, type Ask, type Database } from '../../src/database/prisma.js';
import { DatabaseUnavailable } from '../../src/database/unavailable.js';
import { addClient, removeClient } from '../../src/domain/clients.js';
import { createGatehouse, type Gatehouse } from '../../src/domain/gatehouse.js';
import { rotateKeys } from '../../src/domain/keys/lifecycle.js';
import { retireKey } from '../../src/domain/keys/retirement.js';
import { listKeys } from '../../src/domain/keys/keys.js';
import { createTokenCodec } from '../../src/http/jwt.js';
import { AMPLE_MS, claimsOf, DEFAULTS, login, SECRET, type TokenPair } from '../support/house.js';
import { stopClock } from '../support/stopped-clock.js';
import { logOut, openTwins, type Twins } from '../support/twins.js';

/**
 * The most single questions in a statement, as many of batches, and statements under way: what the code chooses is written down
 * here once more.
 */
const MAX_QUESTIONS = 512;
const MAX_STATEMENTS = 2;
const BATCH = 256;

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
  const asked: string[] = [];
  let after: (statement: number) => Promise<void> = () => Promise.resolve();
  return {
    seen,
    /** Of the first statement that asks about a session; 0 for none. When its answer is there, others have been sent since. */
    numberOf: (sid: string) => 1 + asked.findIndex((values) => values.includes(sid)),
    /** Called with each statement’s number when the primary has answered it, before anybody learns the answer. */
    intercept: (hook: (statement: number) => Promise<void>) => (after = hook),
    database: {
      ...database,
      prepared: <const C extends Columns>(name: string, columns: C): Ask<RowOf<C>> => {
        const ask = database.prepared(name, columns);
        return async (template, ...values) => {
          const statement = (seen.sent += 1);
          asked.push(JSON.stringify(values));
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

describe('a batch', () => {
  const NOBODY = { id: 'nobody', secret: 'none' };

  it('is answered by one statement, which others may share, in its own order', async () => {
    const [alive, dead] = [await logIn(), await logIn()];
    await logOut(twins.two, dead.access_token);
    const kinds = [alive.access_token, dead.access_token, 'garbage', alive.refresh_token];
    const texts = Array.from({ length: BATCH }, (_, at) => kinds[at % 4] ?? '');
    const [one, other, single] = await Promise.all([
      gatehouse.judgeMany(texts, NOBODY),
      gatehouse.judgeMany(texts.toReversed(), NOBODY),
      gatehouse.judge(alive.access_token),
    ]);
    const due = texts.map((_, at) => [0, 3].includes(at % 4));
    expect(one.map(({ stands }) => stands)).toEqual(due);
    expect(other.map(({ stands }) => stands)).toEqual(due.toReversed());
    expect(one.map(({ live }) => live !== null)).toEqual(due.map((_, at) => at % 4 === 0));
    expect(single.stands).toBe(true);
  });

  it('has half of a statement: a flood of them takes as many statements as fill these halves', async () => {
    const { access_token: access } = await logIn();
    stopClock();
    const texts = Array<string>(BATCH).fill(access);
    const judgements = await Promise.all(
      Array.from({ length: 10 }, () => gatehouse.judgeMany(texts, NOBODY)),
    );
    expect(judgements.flat().filter(({ stands }) => !stands)).toEqual([]);
    // The first statements may go before the later batches have been read.
    expect(watched.seen.sent).toBeGreaterThanOrEqual((10 * BATCH) / MAX_QUESTIONS);
    expect(watched.seen.mostUnderWay).toBe(MAX_STATEMENTS);
  });

  it('keeps no single question waiting: each is in the next statement that is sent, behind however many batches', async () => {
    const { access_token: access } = await logIn();
    const gates = [gate(), gate()];
    watched.intercept((statement) => gates[statement - 1]?.closed ?? Promise.resolve());
    const texts = Array<string>(BATCH).fill(access);
    stopClock();
    const flood: Promise<unknown>[] = [];
    for (let statement = 1; statement <= MAX_STATEMENTS; statement += 1) {
      flood.push(gatehouse.judgeMany(texts, NOBODY));
      await expect.poll(() => watched.seen.sent).toBe(statement);
    }
    for (let more = 0; more < 20; more += 1) flood.push(gatehouse.judgeMany(texts, NOBODY));
    // All of them have been read, and wait, before the first of these asks.
    for (let turn = 0; turn < 1000; turn += 1) await nextTurn();
    const sentWhenAnswered: number[] = [];
    const singles = Array.from({ length: MAX_QUESTIONS }, () =>
      gatehouse.judge(access).then(() => sentWhenAnswered.push(watched.seen.sent)),
    );
    await nextTurn();
    // One statement is over: the next one is theirs.
    gates[0]?.open();
    await Promise.all(singles);
    expect(new Set(sentWhenAnswered)).toEqual(new Set([MAX_STATEMENTS + 1]));
    gates[1]?.open();
    await Promise.all(flood);
  });

  it('waits for no more than its turn among batches beside a flood of single questions', async () => {
    const { access_token: access } = await logIn();
    const { closed, open } = gate();
    watched.intercept((statement) => (statement <= MAX_STATEMENTS ? closed : Promise.resolve()));
    stopClock();
    const early: Promise<unknown>[] = [];
    for (let statement = 1; statement <= MAX_STATEMENTS; statement += 1) {
      early.push(gatehouse.judge(access));
      await expect.poll(() => watched.seen.sent).toBe(statement);
    }
    const { access_token: own, session_id: sid } = await logIn();
    const singles = Array.from({ length: 4 * MAX_QUESTIONS }, () => gatehouse.judge(access));
    const judged = gatehouse.judgeMany([own, 'garbage'], NOBODY);
    await nextTurn();
    open();
    await Promise.all([...early, ...singles, judged]);
    const sent = watched.numberOf(sid);
    expect(sent).toBeGreaterThan(MAX_STATEMENTS);
    expect(sent).toBeLessThanOrEqual(2 * MAX_STATEMENTS);
  });

  it('lets others have their turn between each 16 of its tokens', async () => {
    const { access_token: access } = await logIn();
    let turns = 0;
    let isOver = false;
    const count = async () => {
      while (!isOver) {
        await nextTurn();
        turns += 1;
      }
    };
    const counting = count();
    const { closed, open } = gate();
    watched.intercept(() => closed);
    const judged = gatehouse.judgeMany(Array<string>(BATCH).fill(access), NOBODY);
    await expect.poll(() => watched.seen.sent).toBe(1);
    expect(turns).toBeGreaterThanOrEqual(BATCH / 16 - 1);
    open();
    await judged;
    isOver = true;
    await counting;
  });

  it('is unavailable as a whole when its statement fails', async () => {
    const { access_token: access } = await logIn();
    watched.intercept(() =>
      Promise.reject(new DatabaseUnavailable('connection lost', 'database_unreachable')),
    );
    await expect(gatehouse.judgeMany([access, 'garbage', access], NOBODY)).rejects.toThrow(
      DatabaseUnavailable,
    );
  });

  it('learns of a removed client, and of a retired key, in the request that asks', async () => {
    const pair = await logIn();
    const client = await addClient(real, { id: 'leaving', permissions: ['introspect'] });
    const credentials = { id: 'leaving', secret: client?.secret ?? '' };
    const ask = () => gatehouse.judgeMany([pair.access_token, pair.access_token], credentials);
    expect((await ask()).map(({ client, stands }) => [client?.id, stands])).toEqual(
      Array(2).fill(['leaving', true]),
    );
    await removeClient(real, 'leaving');
    const kid = (await listKeys(real)).find(({ state }) => state === 'signing')?.kid ?? '';
    await retireKey(real, kid, 'EdDSA', SECRET);
    expect((await ask()).map(({ client, token, stands }) => [client, token, stands])).toEqual(
      Array(2).fill([null, null, false]),
    );
  });
});

describe('what is remembered', () => {
  it('learns of a new client, and of one that is removed, in the request that asks', async () => {
    const client = await addClient(real, { id: 'late', permissions: ['introspect'] });
    const credentials = { id: 'late', secret: client?.secret ?? '' };
    expect((await gatehouse.judge(null, credentials)).client).toEqual({
      id: 'late',
      permissions: ['introspect'],
      audiences: [],
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
    await expect(replica.judge(null)).rejects.toMatchObject({
      code: 'temporarily_unavailable',
      cause: { message: 'keys or clients keep changing' },
    });
    expect(versions).toBe(5);
  });
});
