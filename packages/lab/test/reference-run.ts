// Random runs of the reference service: who asks what is chance, what is answered is right, and brackets and losses hide it.
import type { History, Operation, Rules } from '../chaos/history.js';
import { EPOCH_MS, RULES } from './checker-story.js';
import { createPurse } from './reference-purse.js';
import { createRequests, type Answer } from './reference-requests.js';

export interface RunOptions {
  random: () => number;
  steps: number;
  /** One request after the other, none of them lost: then every answer is certain. */
  isSequential: boolean;
}

const TOLERANCE_MS = 3;

/** By this no moment of a sequential run lies within milliseconds of a second, or of a window after another. */
const STEP_MS = 1370;
const FIRST_MS = 137;

/** Whose operations go straight to the database. */
const OPERATORS = new Set(['password', 'disable', 'enable', 'retire-key']);

/** How much later than asked for what nobody answers may still happen. */
const LATE_MS = { request: 29_000, operator: 14_000, hashing: 90_000 };

const KINDS: [kind: string, weight: number][] = [
  ['login', 10],
  ['refresh', 14],
  ['introspect', 14],
  ['session', 6],
  ['list', 6],
  ['logout', 2],
  ['revoke', 2],
  ['end-session', 1],
  ['logout-all', 1.5],
  ['password', 1],
  ['own-password', 1],
  ['disable', 0.7],
  ['enable', 2.5],
  ['retire-key', 0.3],
  ['fault', 0.5],
  ['away', 0.3],
];

export function runReference({ random, steps, isSequential }: RunOptions, rules: Rules = RULES): History {
  const operations: Operation[] = [];
  let later: { at: number; act: () => void }[] = [];
  let now = FIRST_MS;
  /** Until then there is no database. */
  let awayUntil = -Infinity;

  const secondsAt = (ms: number) =>
    (EPOCH_MS + ms + (isSequential ? 0 : TOLERANCE_MS * Math.sin(ms / 9000))) / 1000;
  const purse = createPurse(random, rules);
  const requests = createRequests(random, rules, purse, secondsAt);

  function record(kind: string, start: number, end: number, answer: Answer): void {
    operations.push({
      id: operations.length,
      kind: kind === 'own-password' ? 'password' : kind,
      replica: OPERATORS.has(kind) ? 'operator' : 'one',
      client: 1,
      start,
      end,
      outcome: 'ok',
      status: null,
      error: null,
      ...answer,
    });
  }

  function logIn(start: number, openAt: number, end: number, isLost: boolean): void {
    const { about, open } = requests.logIn();
    const finish = () => {
      if (openAt < awayUntil) {
        record('login', start, end, { ...about, outcome: 'unknown' });
        return;
      }
      const answer = isLost ? ({ outcome: 'unknown' } as const) : open(openAt, end);
      if (isLost) purse.hide(() => open(openAt, end));
      record('login', start, end, { ...about, ...answer });
    };
    if (isSequential) finish();
    else later.push({ at: openAt, act: finish });
  }

  function step(kind: string): void {
    const width = isSequential ? 0.4 : 400 * random() ** 3;
    const [start, end] = [now - width / 2, now + width];
    const isLost = !isSequential && random() < 0.1;
    if (kind === 'away') {
      goAway();
      return;
    }
    if (kind === 'login') {
      logIn(start, isSequential ? now : now + width * 0.9, end, isLost);
      return;
    }
    const asked = requests.ask(kind, start, end);
    if (asked === undefined) return;
    if (now < awayUntil && kind !== 'fault') {
      record(kind, start, end, { ...asked.about, outcome: 'unknown' });
      return;
    }
    if (!isLost || kind === 'fault') {
      record(kind, start, end, { ...asked.about, ...asked.act(now) });
      return;
    }
    record(kind, start, end, { ...asked.about, outcome: 'unknown' });
    const fate = random();
    if (fate < 0.4) purse.hide(() => asked.act(now));
    else if (fate < 0.7) {
      const at = OPERATORS.has(kind)
        ? end + LATE_MS.operator * random()
        : start + Math.max(width, (kind === 'own-password' ? LATE_MS.hashing : LATE_MS.request) * random());
      later.push({ at, act: () => purse.hide(() => at < awayUntil || asked.act(at)) });
    }
  }

  /** The database goes for a while; in a sequential run it is back before anybody asks. */
  function goAway(): void {
    if (now < awayUntil) return;
    const until = now + (isSequential ? 0.1 : 2000 * random());
    if (!isSequential) awayUntil = until;
    record('fault', now, until, {
      name: 'no-database',
      target: 'postgres',
      replica: 'operator',
      isAway: true,
    });
  }

  function catchUp(): void {
    const due = later.filter(({ at }) => at <= now).toSorted((a, b) => a.at - b.at);
    later = later.filter(({ at }) => at > now);
    for (const { act } of due) act();
  }

  const total = KINDS.reduce((sum, [, weight]) => sum + weight, 0);
  for (let done = 0; done < steps; done += 1) {
    now += isSequential ? STEP_MS * Math.ceil(2 * random() ** 2) : 900 * random() ** 3;
    catchUp();
    let place = random() * total;
    const [kind] = KINDS.find(([, weight]) => (place -= weight) <= 0) ?? ['login', 0];
    step(kind);
  }
  now = Infinity;
  catchUp();
  return {
    seed: 1,
    rules,
    epochMs: EPOCH_MS,
    toleranceMs: isSequential ? 0 : TOLERANCE_MS,
    tokens: purse.tokens,
    operations: operations.toSorted((a, b) => a.end - b.end),
  };
}
