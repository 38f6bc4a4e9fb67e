// Random runs of the reference service: who asks what is chance, what is answered is right unless a mistake is made on purpose,
// and brackets and losses hide it.
import type { Beat, History, Operation, Rules } from '../chaos/history.js';
import { EPOCH_MS, RULES } from './checker-story.js';
import { createHeldTokens } from './reference-tokens.js';
import { createReferenceEvents } from './reference-events.js';
import { createRequests, type Answer } from './reference-requests.js';
import type { Mistake } from './reference-service.js';

export type Kinds = readonly [kind: string, weight: number][];

export interface RunOptions {
  random: () => number;
  steps: number;
  /** One request after the other, none of them lost: then every answer is certain. */
  isSequential: boolean;
  /** Of a service that is to be found wrong. */
  mistake?: Mistake;
  /** What is asked, how often beside the rest; all that can be asked unless given. */
  kinds?: Kinds;
}

const TOLERANCE_MS = 3;

/** By this no moment of a sequential run lies within milliseconds of a second, or of a window after another. */
const STEP_MS = 1370;
const FIRST_MS = 137;

/** Before each step of a sequential run, so that the latest beat is known for sure. */
const BEATS_BEFORE_MS = [4, 2];

/** Between two beats of any other run. */
const BEAT_MS = 1000;

/** What is recorded as something else: a batch as its parts. */
const RECORDED_AS: Partial<Record<string, string>> = { 'own-password': 'password', batch: 'introspect' };

/** Whose operations go straight to the database. */
const OPERATORS = new Set(['password', 'disable', 'enable', 'retire-key']);

/** How much later than asked for what nobody answers may still happen. */
const LATE_MS = { request: 29_000, operator: 14_000, hashing: 90_000 };

const KINDS: Kinds = [
  ['login', 10],
  ['refresh', 14],
  ['introspect', 14],
  ['batch', 4],
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
  ['order', 2],
  ['rows', 3],
  ['lift', 3],
  ['scope', 0.7],
  ['delete', 0.4],
  ['add-user', 0.8],
  ['export', 1.5],
  ['open', 4],
  ['change', 3],
  ['client-end', 1.5],
  ['client-end-all', 0.7],
  ['reauthenticate', 2],
  ['fault', 0.5],
  ['away', 0.3],
  ['silence', 0.4],
];

export function runReference(
  { random, steps, isSequential, mistake, kinds = KINDS }: RunOptions,
  rules: Rules = RULES,
): History {
  const operations: Operation[] = [];
  const later: { at: number; act: () => void }[] = [];
  let now = FIRST_MS;
  /** Until then there is no database. */
  let awayUntil = -Infinity;
  /** Until then nobody beats. */
  let silentUntil = -Infinity;
  const beats: Beat[] = [];

  const secondsAt = (ms: number) =>
    (EPOCH_MS + ms + (isSequential ? 0 : TOLERANCE_MS * Math.sin(ms / 9000))) / 1000;
  const held = createHeldTokens(random, rules);
  const events = createReferenceEvents();
  const requests = createRequests(random, rules, held, secondsAt, events, mistake);
  let marks = 0;

  function record(kind: string, mark: number, start: number, end: number, answer: Answer): void {
    operations.push({
      mark,
      id: operations.length,
      kind: RECORDED_AS[kind] ?? kind,
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

  function logIn(mark: number, start: number, openAt: number, end: number, isLost: boolean): void {
    const { about, open } = requests.logIn();
    const act = () => events.during(mark, () => open(openAt, end));
    const finish = () => {
      if (openAt < awayUntil) {
        record('login', mark, start, end, { ...about, outcome: 'unknown' });
        return;
      }
      const answer = isLost ? ({ outcome: 'unknown' } as const) : act();
      if (isLost) held.hide(act);
      record('login', mark, start, end, { ...about, ...answer });
    };
    if (isSequential) finish();
    else later.push({ at: openAt, act: finish });
  }

  function step(kind: string): void {
    const width = isSequential ? 0.4 : 400 * random() ** 3;
    const [start, end] = [now - width / 2, now + width];
    marks += 1;
    const mark = marks;
    const isLost = !isSequential && random() < 0.1;
    if (kind === 'away') {
      goAway();
      return;
    }
    if (kind === 'silence') {
      silentUntil = Math.max(silentUntil, now + 4000 + 14_000 * random());
      return;
    }
    if (kind === 'login') {
      logIn(mark, start, isSequential ? now : now + width * 0.9, end, isLost);
      return;
    }
    const asked = requests.ask(kind, start, end);
    const act = (at: number) => events.during(mark, () => asked.map((question) => question.act(at)));
    const isUnanswered = kind !== 'fault' && (now < awayUntil || isLost);
    const answers = isUnanswered ? [] : act(now);
    for (const [place, { about }] of asked.entries())
      record(kind, mark, start, end, { ...about, ...(answers[place] ?? { outcome: 'unknown' }) });
    if (!isUnanswered || now < awayUntil) return;
    const fate = random();
    if (fate < 0.4) held.hide(() => act(now));
    else if (fate < 0.7) {
      const at = OPERATORS.has(kind)
        ? end + LATE_MS.operator * random()
        : start + Math.max(width, (kind === 'own-password' ? LATE_MS.hashing : LATE_MS.request) * random());
      later.push({ at, act: () => held.hide(() => at < awayUntil || act(at)) });
    }
  }

  /** The database goes for a while; in a sequential run it is back before anybody asks. */
  function goAway(): void {
    if (now < awayUntil) return;
    const until = now + (isSequential ? 0.1 : (random() < 0.3 ? 9000 : 2000) * random());
    if (!isSequential) awayUntil = until;
    marks += 1;
    record('fault', marks, now, until, {
      name: 'no-database',
      target: 'postgres',
      replica: 'operator',
      isAway: true,
    });
  }

  function catchUp(): void {
    for (let due = earliest(); due !== undefined; due = earliest()) {
      later.splice(later.indexOf(due), 1);
      due.act();
    }
  }

  function earliest() {
    return later.filter(({ at }) => at <= now).toSorted((a, b) => a.at - b.at)[0];
  }

  /** One beat: it is noted at once or when the row is free, and becomes visible when it is committed. */
  function beat(at: number, notedAt: number): void {
    const moment = Math.floor(secondsAt(at) * 1000);
    const { answeringSince, answeredUntil } = requests.beat(moment / 1000);
    const since = (seconds: number | null) => (seconds === null ? null : seconds * 1000 - EPOCH_MS);
    const noted = secondsAt(notedAt) * 1000 - EPOCH_MS;
    beats.push({
      notedAt: noted,
      at: moment - EPOCH_MS,
      since: since(answeringSince),
      until: since(answeredUntil),
    });
  }

  /** Beats from this moment on. Each waits for the one before, and now and then a commit takes its time. */
  function beatFrom(at: number, rowIsFreeAt: number): void {
    const notedAt = Math.max(at, rowIsFreeAt) + 20 * random();
    const visibleAt = notedAt + (random() < 0.03 ? 7000 : 20) * random();
    later.push({
      at: visibleAt,
      act: () => {
        // After the last step nobody looks.
        if (now === Infinity) return;
        if (at >= silentUntil && at >= awayUntil) beat(at, notedAt);
        beatFrom(at + BEAT_MS * (0.75 + 0.4 * random()), visibleAt);
      },
    });
  }

  if (!isSequential) beatFrom(0, 0);
  let last = '';
  const total = kinds.reduce((sum, [, weight]) => sum + weight, 0);
  for (let done = 0; done < steps; done += 1) {
    now += isSequential ? STEP_MS * Math.ceil(2 * random() ** 2) : 900 * random() ** 3;
    catchUp();
    if (isSequential && now > silentUntil) for (const ms of BEATS_BEFORE_MS) beat(now - ms, now - ms);
    let place = random() * total;
    const [drawn] = kinds.find(([, weight]) => (place -= weight) <= 0) ?? ['login', 0];
    // Who has changed a password may ask once more.
    const kind = last === 'own-password' && random() < 0.5 ? last : drawn;
    last = kind;
    step(kind);
  }
  now = Infinity;
  catchUp();
  return {
    seed: 1,
    rules,
    epochMs: EPOCH_MS,
    toleranceMs: isSequential ? 0 : TOLERANCE_MS,
    tokens: held.tokens,
    beats,
    events: events.all,
    operations: operations.toSorted((a, b) => a.end - b.end),
  };
}
