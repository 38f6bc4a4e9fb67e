/**
 * Joins the questions that arrive together into one request. None joins a request that was already sent: its answer could be
 * older than the question.
 */
import type { Ask } from './upstream.js';
import { readVerdict, readVerdicts, type Verdict } from './verdict.js';

export interface Questions {
  /**
   * @param token one by its text, see `isTokenText`
   * @throws {Unanswered} when Gatehouse gave no answer that can be believed
   */
  ask: (token: string) => Promise<Verdict>;
  /** Sends at once what waits for others. */
  flush: () => void;
}

interface Question {
  token: string;
  /** By `performance.now()`. */
  askedAtMs: number;
  resolve: (verdict: Verdict) => void;
  reject: (error: unknown) => void;
}

/** Of Gatehouse. So many of the longest tokens are 973,581 bytes of JSON: below the 1 MiB that it reads, and proxies usually pass. */
const MAX_TOGETHER = 256;

/** A question waits no longer than this for the answers to others, so that one slow answer holds up nobody. */
const MAX_WAIT_MS = 5;

/** How long single questions are asked before another try, where the route for many was missing: a deployment may bring it. */
const WITHOUT_BATCHES_MS = 60_000;

/** Gatehouse is older, or something on the way does not let this route, or its JSON, pass: the route for one token may work. */
const MISSING = [404, 405, 415];

/** Something on the way cannot read this request. Single questions are smaller, and older. */
const UNREADABLE = [400, 413];

const WARNING = { type: 'GatehouseWarning', code: 'GATEHOUSE_WITHOUT_BATCHES' };

/**
 * A question that finds no other one under way leaves at once, together with those that are asked in the same run of the
 * program. Others wait until one of those under way was answered, and leave together.
 */
export function createQuestions(ask: Ask, timeoutMs: number): Questions {
  let waiting: Question[] = [];
  let underWay = 0;
  let departure: NodeJS.Timeout | undefined;
  let batchesFromMs = -Infinity;
  let hasWarned = false;

  function join(question: Question): void {
    waiting.push(question);
    if (waiting.length === MAX_TOGETHER) depart();
    else if (waiting.length > 1) return;
    else if (underWay === 0) queueMicrotask(depart);
    else departure = setTimeout(depart, MAX_WAIT_MS);
  }

  function depart(): void {
    clearTimeout(departure);
    const together = waiting;
    waiting = [];
    if (together.length === 0) return;
    underWay += 1;
    void answer(together).finally(() => {
      underWay -= 1;
      depart();
    });
  }

  /** Settles every question. The first of them came first, and its deadline is theirs. */
  async function answer(together: Question[]): Promise<void> {
    const [first] = together as [Question];
    const endsAtMs = first.askedAtMs + timeoutMs;
    try {
      const verdicts = together.length === 1 ? null : await askTogether(together, endsAtMs);
      if (verdicts === null) await askSingly(together, endsAtMs);
      else together.forEach(({ resolve }, place) => resolve(verdicts[place] as Verdict));
    } catch (error) {
      for (const { reject } of together) reject(error);
    }
  }

  /** Null where each is to be asked about singly. */
  async function askTogether(together: Question[], endsAtMs: number): Promise<Verdict[] | null> {
    const tokens = together.map(({ token }) => token);
    const answered = await ask('/introspect/batch', JSON.stringify({ tokens }), endsAtMs);
    const isMissing = MISSING.includes(answered.status);
    if (isMissing) doWithoutBatches(answered.status);
    if (isMissing || UNREADABLE.includes(answered.status)) return null;
    return readVerdicts(answered, tokens.length);
  }

  async function askSingly(together: Question[], endsAtMs: number): Promise<void> {
    const asking = together.map(({ token, resolve, reject }) =>
      ask('/introspect', `token=${token}`, endsAtMs).then(readVerdict).then(resolve, reject),
    );
    await Promise.all(asking);
  }

  function doWithoutBatches(status: number): void {
    batchesFromMs = performance.now() + WITHOUT_BATCHES_MS;
    if (hasWarned) return;
    hasWarned = true;
    process.emitWarning(
      `Gatehouse answered ${status} to /introspect/batch: each token is asked about in a request of its own, which costs both sides more. Update Gatehouse, or let the way to it pass this route.`,
      WARNING,
    );
  }

  return {
    ask: (token) =>
      new Promise((resolve, reject) => {
        const question = { token, askedAtMs: performance.now(), resolve, reject };
        if (question.askedAtMs < batchesFromMs) void answer([question]);
        else join(question);
      }),
    flush: depart,
  };
}
