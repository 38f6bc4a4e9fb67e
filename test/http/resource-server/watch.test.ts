// Connections that stay open: when they are told to close, and when not.
import { getEventListeners } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';

import { createIntrospector, type Admission } from '../../../packages/resource-server/src/introspector.js';
import {
  insufficientScope,
  invalidToken,
  unavailable,
} from '../../../packages/resource-server/src/refusal.js';
import { Unanswered } from '../../../packages/resource-server/src/unanswered.js';
import { createWatch, type Introspect } from '../../../packages/resource-server/src/watch.js';
import { bearer } from '../../support/house.js';
import { openStage } from './stage.js';

/** What the questions were about, in their order. */
let asked: unknown[];
/** What is said to the next questions; a promise is an answer that takes its time. */
let say: () => Partial<Admission> | Promise<Partial<Admission>>;
/** What the connection was told at its end, and how many seconds after it was opened. */
let ended: unknown[];
let gone: AbortController;

const DEAD = () => Promise.reject(invalidToken());
const AWAY = () => Promise.reject(unavailable(new Unanswered('Gatehouse answered 503.')));
const NEVER = () => new Promise<Admission>(() => undefined);

const introspect: Introspect = async (authorization, needs) => {
  asked.push([authorization, needs?.scope]);
  return { user: { sub: 'ada' }, refreshedToken: undefined, headers: {}, ...(await say()) } as Admission;
};

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  [asked, ended, gone, say] = [[], [], new AbortController(), () => ({})];
});

/** Opens a connection that may outlive its session by 20 s. */
function open(
  watch = createWatch(introspect, { seconds: 20 }),
  authorization = 'Bearer a',
): Promise<Admission> {
  const openedAtMs = performance.now();
  return watch(authorization, {
    scope: 'news',
    signal: gone.signal,
    onEnd: ({ status, cause }) => {
      const reason = cause instanceof Error ? cause.message : undefined;
      ended.push({ status, reason, after: (performance.now() - openedAtMs) / 1000 });
    },
  });
}

async function pass(seconds: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(seconds * 1000);
}

describe('a connection', () => {
  it('is opened by an answer, which is handed on, and is asked about while it is open', async () => {
    expect((await open()).user.sub).toBe('ada');
    expect(asked).toEqual([['Bearer a', 'news']]);
    await pass(600);
    expect(asked).toHaveLength(1 + 600 / 5);
    expect(ended).toEqual([]);
  });

  it('is not opened by a refusal, and then nothing is asked any more', async () => {
    say = DEAD;
    await expect(open()).rejects.toMatchObject({ status: 401 });
    await pass(60);
    expect(asked).toHaveLength(1);
    expect(ended).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    [401, DEAD],
    [403, () => Promise.reject(insufficientScope('news', {}))],
  ])('ends, once, with the first %i', async (status, refuse) => {
    await open();
    await pass(7);
    say = refuse;
    await pass(100);
    expect(ended).toMatchObject([{ status, after: 10 }]);
    expect(asked).toHaveLength(3);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is asked about with the newest successor', async () => {
    await open();
    say = () => ({ refreshedToken: 'b' });
    await pass(5);
    say = () => ({});
    await pass(10);
    expect(asked.map((one) => (one as string[])[0])).toEqual([
      'Bearer a',
      'Bearer a',
      'Bearer b',
      'Bearer b',
    ]);
  });

  it('that closed by itself is asked about no more, and told nothing', async () => {
    await open();
    await pass(5);
    say = DEAD;
    gone.abort();
    await pass(100);
    expect(asked).toHaveLength(2);
    expect(ended).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ['during the first question', () => undefined],
    ['before it', () => gone.abort()],
  ])('that closed %s is not watched', async (_when, before) => {
    let answer: (admission: Partial<Admission>) => void = () => undefined;
    say = () => new Promise((resolve) => (answer = resolve));
    before();
    const opening = open();
    gone.abort();
    answer({});
    await opening;
    expect(vi.getTimerCount()).toBe(0);
  });

  it('that closed while a question was under way is told nothing of its answer', async () => {
    await open();
    let answer: (admission: Partial<Admission> | Promise<Partial<Admission>>) => void = () => undefined;
    say = () => new Promise((resolve) => (answer = resolve));
    await pass(5);
    gone.abort();
    answer(DEAD());
    await pass(100);
    expect(ended).toEqual([]);
    say = () => ({});
    gone = new AbortController();
    await open();
    say = () => new Promise((resolve) => (answer = resolve));
    await pass(5);
    gone.abort();
    answer({});
    await pass(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('whichever way a connection ends', () => {
  it.each<[how: string, end: () => Promise<void>]>([
    [
      'by a refusal',
      async () => {
        await open();
        say = DEAD;
        await pass(5);
      },
    ],
    [
      'by a refusal of its opening',
      async () => {
        say = DEAD;
        await expect(open()).rejects.toMatchObject({ status: 401 });
      },
    ],
    [
      'by silence',
      async () => {
        await open();
        say = NEVER;
        await pass(20);
      },
    ],
    [
      'by itself',
      async () => {
        await open();
        gone.abort();
      },
    ],
  ])('its signal is listened to no more: %s', async (_how, end) => {
    await end();
    expect(getEventListeners(gone.signal, 'abort')).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ['a refusal', DEAD],
    ['silence', NEVER],
  ])('what its owner throws goes to the process, and others are told of theirs: %s', async (_why, answer) => {
    const thrown: unknown[] = [];
    const listeners = process.rawListeners('uncaughtException');
    process.removeAllListeners('uncaughtException').on('uncaughtException', (error) => thrown.push(error));
    onTestFinished(() => {
      process.removeAllListeners('uncaughtException');
      for (const listener of listeners) process.on('uncaughtException', listener as () => void);
    });
    const watch = createWatch(introspect, { seconds: 20 });
    const mistake = new Error('a mistake of the owner');
    const signal = new AbortController().signal;
    const onEnd = () => {
      throw mistake;
    };
    await watch('Bearer a', { signal, onEnd });
    await open(watch, 'Bearer b');
    say = answer;
    await pass(20);
    await nextTurn();
    expect(thrown).toEqual([mistake]);
    expect(ended).toHaveLength(1);
    say = () => ({});
    asked = [];
    await open(watch, 'Bearer c');
    await pass(5);
    expect(asked).toHaveLength(2);
  });
});

describe('an answer that comes after that to a newer question', () => {
  it('neither moves the deadline back nor brings an older successor', async () => {
    await open();
    let answerOlder: (admission: Partial<Admission>) => void = () => undefined;
    say = () => new Promise((resolve) => (answerOlder = resolve));
    await pass(5);
    say = () => ({ refreshedToken: 'newer' });
    await pass(5);
    answerOlder({ refreshedToken: 'older' });
    say = NEVER;
    await pass(5);
    expect(asked.at(-1)).toEqual(['Bearer newer', 'news']);
    await pass(14);
    expect(ended).toEqual([]);
    await pass(1);
    expect(ended).toMatchObject([{ status: 503, after: 30 }]);
  });
});

describe('without an answer of Gatehouse', () => {
  it('a connection lives on for as long as its owner chose, counted from the last question that got a yes', async () => {
    await open();
    await pass(5);
    say = AWAY;
    await pass(19.9);
    expect(ended).toEqual([]);
    await pass(0.1);
    expect(ended).toEqual([{ status: 503, reason: 'Gatehouse answered 503.', after: 25 }]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('it says that nothing came, where questions stay without any answer', async () => {
    await open();
    say = NEVER;
    await pass(20);
    expect(ended).toEqual([{ status: 503, reason: 'Gatehouse has not answered for 20 s.', after: 20 }]);
  });

  it('a yes counts from its question, not from when it came', async () => {
    let answer: (admission: Partial<Admission>) => void = () => undefined;
    say = () => new Promise((resolve) => (answer = resolve));
    const opening = open();
    await pass(3);
    answer({});
    await opening;
    say = NEVER;
    await pass(17);
    expect(ended).toMatchObject([{ status: 503, after: 20 }]);
  });

  it('for a shorter time it lives on', async () => {
    await open();
    say = AWAY;
    await pass(14);
    say = () => ({});
    await pass(100);
    expect(ended).toEqual([]);
  });
});

describe('the questions', () => {
  it('about all connections are asked together', async () => {
    const watch = createWatch(introspect, { seconds: 20 });
    await open(watch, 'Bearer a');
    await pass(2);
    await open(watch, 'Bearer b');
    asked = [];
    await pass(3);
    expect(asked).toEqual([
      ['Bearer a', 'news'],
      ['Bearer b', 'news'],
    ]);
  });

  it('come at least every 7 s, so that a token is renewed in its time', async () => {
    await open(createWatch(introspect, { seconds: 300 }));
    await pass(21);
    expect(asked).toHaveLength(4);
  });

  it.each([0, 0.5, 301, Number.NaN, '20', undefined])('cannot be asked every %j seconds', (seconds) => {
    expect(() => createWatch(introspect, { seconds: seconds as number })).toThrow(
      new TypeError('gatehouse: seconds is not a number from 1 to 300'),
    );
  });

  it.each([1, 300])('can be asked every %i seconds', (seconds) => {
    expect(() => createWatch(introspect, { seconds })).not.toThrow();
  });
});

it('a real session keeps its connection beyond the life of its first token, and a logout ends it', async () => {
  vi.useRealTimers();
  const stage = await openStage('news');
  const real = createIntrospector(stage.options);
  onTestFinished(async () => {
    await real.close();
    await stage.close();
  });
  // Each answer is waited for: how long it takes is not the test's affair.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  let answered = 0;
  const watch = createWatch((...question) => real(...question).finally(() => (answered += 1)), {
    seconds: 300,
  });
  const askAgain = async () => {
    const before = answered;
    vi.advanceTimersByTime(7_000);
    await expect.poll(() => answered).toBe(before + 1);
  };
  const pair = await stage.logIn();
  await open(watch, bearer(pair.access_token).authorization);
  for (const clock of [500, 1000, 1500]) {
    await stage.house.database.clock.set(clock);
    await askAgain();
  }
  expect(ended).toEqual([]);
  await stage.house.database.clock.set(1500);
  const ending = await stage.replica.app.inject({
    method: 'POST',
    url: '/logout',
    payload: { refresh_token: pair.refresh_token },
  });
  expect(ending.statusCode).toBe(204);
  await askAgain();
  await expect.poll(() => ended).toMatchObject([{ status: 401 }]);
});
