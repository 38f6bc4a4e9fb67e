/** The line to Gatehouse: a pool of kept connections, a deadline for each question, and one more attempt where it helps. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';

import type { Settings } from './options.js';
import { Unanswered } from './unanswered.js';

export interface UpstreamAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** What a question is written as: a form about one token, JSON about many. */
const CONTENT_TYPES = {
  '/introspect': 'application/x-www-form-urlencoded',
  '/introspect/batch': 'application/json',
} as const;

/**
 * @param endsAtMs when nobody waits for the answer any more, by `performance.now()`
 * @throws {Unanswered} when nothing came back in time
 */
export type Ask = (
  route: keyof typeof CONTENT_TYPES,
  body: string,
  endsAtMs: number,
) => Promise<UpstreamAnswer>;

export interface Upstream {
  ask: Ask;
  /** Waits for the answers under way, which the deadline bounds. */
  close: () => Promise<void>;
}

/** Plenty: on a busy one follows the next question as soon as the answer is there, usually within a few milliseconds. */
const MAX_CONNECTIONS = 64;

/** Twice what the claims and successors of 256 long tokens need. A longer answer is none of Gatehouse's, and is not read to its end. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** Before a 503 is answered with another attempt, which may meet another replica; by chance, so that not all come at once. */
const PAUSE_MS = { least: 50, most: 250 };

export function createUpstream({ origin, path, authorization, timeoutMs }: Settings): Upstream {
  const options = {
    connections: MAX_CONNECTIONS,
    maxResponseSize: MAX_ANSWER_BYTES,
    // The deadline ends whatever waits for a connection, but not the attempt to open one.
    connect: { timeout: timeoutMs },
  };
  const kept = new Pool(origin, options);
  // Where one kept connection was found broken, the next may be as well: a second attempt opens its own.
  const fresh = new Pool(origin, { ...options, pipelining: 0 });

  /** A question changes nothing, so it may be asked again whatever became of the first. */
  async function askTwice(
    attempt: (pool: Pool) => Promise<UpstreamAnswer>,
    endsAtMs: number,
    signal: AbortSignal,
  ): Promise<UpstreamAnswer> {
    const first = await attempt(kept).catch((error: unknown) => {
      if (signal.aborted) throw error;
      // A kept connection that the other side has just closed: there is nothing to wait for.
      return null;
    });
    if (first === null) return attempt(fresh);
    if (first.status !== 503 || endsAtMs - performance.now() <= PAUSE_MS.most) return first;
    await sleep(PAUSE_MS.least + Math.random() * (PAUSE_MS.most - PAUSE_MS.least));
    return attempt(fresh);
  }

  return {
    ask: async (route, body, endsAtMs) => {
      const expiry = startExpiry(endsAtMs, timeoutMs);
      const headers = { authorization, 'content-type': CONTENT_TYPES[route], accept: 'application/json' };
      const question = { method: 'POST', path: path + route, headers, body, signal: expiry.signal } as const;
      const attempt = async (pool: Pool): Promise<UpstreamAnswer> => {
        const answer = await pool.request(question);
        return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
      };
      try {
        // undici settles a request that still waits for a connection when it gets one, not when it is aborted.
        return await Promise.race([askTwice(attempt, endsAtMs, expiry.signal), expiry.reached]);
      } catch (error) {
        if (error instanceof Unanswered) throw error;
        throw new Unanswered(`Gatehouse cannot be reached: ${describe(error)}.`);
      } finally {
        expiry.clear();
      }
    },
    close: async () => {
      await Promise.all([kept.close(), fresh.close()]);
    },
  };
}

function startExpiry(
  endsAtMs: number,
  timeoutMs: number,
): { signal: AbortSignal; reached: Promise<never>; clear: () => void } {
  const controller = new AbortController();
  const { promise: reached, reject } = withRejection();
  const timer = setTimeout(() => {
    const error = new Unanswered(`Gatehouse did not answer within ${timeoutMs} ms.`);
    reject(error);
    controller.abort(error);
  }, endsAtMs - performance.now());
  return { signal: controller.signal, reached, clear: () => clearTimeout(timer) };
}

function withRejection(): { promise: Promise<never>; reject: (error: Error) => void } {
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<never>((_resolve, refuse) => (reject = refuse));
  return { promise, reject };
}

/** Codes are constant words; messages may quote what was read. */
function describe(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return String(code ?? name);
}
